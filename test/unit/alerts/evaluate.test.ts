import { describe, expect, it } from 'vitest';
import { type AlertBook, emptyBook, evaluate, GAP_MS, type Notice } from '../../../src/alerts/evaluate.ts';
import type { CountedFigures, Figures } from '../../../src/alerts/figures.ts';
import { type Rule, rules } from '../../../src/alerts/rules.ts';

const MINUTE = 60_000;
const START = 1_700_000_000_000;
const HOURS_4 = 4 * 60 * MINUTE;

const quiet: CountedFigures = {
  ended: 100,
  failed: 0,
  answers: 100,
  latencyMs: 900,
  providerFailures: {},
  waiting: {},
  nodes: { up: 2, draining: 0, failing: 0, silent: 0 },
};
const bad: CountedFigures = { ...quiet, failed: 6 };
const warned: CountedFigures = { ...quiet, failed: 3 };

/** A deployment that is looked at each minute. */
class Watch {
  book: AlertBook = emptyBook;
  now = START;
  readonly told: string[] = [];
  readonly notices: Notice[] = [];
  readonly #rules: readonly Rule[];
  readonly #repeatMs: number;

  constructor(watched: readonly Rule[] = rules, repeatMs = HOURS_4) {
    this.#rules = watched;
    this.#repeatMs = repeatMs;
  }

  /** Looks, and goes on by a minute; what was told. */
  look(counts: CountedFigures | null, minutes = 1): string[] {
    const figures: Figures = { at: this.now, counts, cost: null };
    const { book, notices } = evaluate(this.book, figures, this.#rules, this.#repeatMs);
    this.book = book;
    this.now += minutes * MINUTE;
    const told = notices.map(({ kind, rule }) => `${kind} ${rule}`);
    this.told.push(...told);
    this.notices.push(...notices);
    return told;
  }

  lookFor(minutes: number, counts: CountedFigures | null): string[] {
    return Array.from({ length: minutes }, () => this.look(counts)).flat();
  }
}

describe('an alert', () => {
  it('is told once it has held for its time, once, and its end as well', () => {
    const watch = new Watch();
    expect(watch.look(bad)).toEqual([]);
    expect(watch.look(bad)).toEqual(['firing error-rate-critical']);
    expect(watch.lookFor(60, bad)).toEqual([]);
    expect(watch.lookFor(5, quiet)).toEqual([]);
    expect(watch.look(quiet)).toEqual(['resolved error-rate-critical']);
    expect(watch.lookFor(60, quiet)).toEqual([]);
  });

  it('says since when, and how it stands now', () => {
    const watch = new Watch();
    watch.lookFor(2, bad);
    watch.lookFor(6, quiet);
    expect(watch.notices).toMatchObject([
      {
        kind: 'firing',
        id: `error-rate-critical-${START}-firing`,
        severity: 'critical',
        title: 'More than 5 % of the calls fail',
        value: 0.06,
        threshold: 0.05,
        unit: 'ratio',
        since: START,
        at: START + MINUTE,
      },
      {
        kind: 'resolved',
        id: `error-rate-critical-${START}-resolved`,
        value: 0,
        since: START,
        at: START + 7 * MINUTE,
      },
    ]);
  });

  it('that was over before its time is nobody’s', () => {
    const watch = new Watch();
    for (let i = 0; i < 10; i++) {
      watch.look(bad);
      watch.look(quiet);
    }
    expect(watch.told).toEqual([]);
  });

  it('that swings about the threshold is one alert', () => {
    const watch = new Watch();
    watch.lookFor(2, bad);
    for (let i = 0; i < 20; i++) {
      watch.lookFor(4, quiet);
      watch.look(bad);
    }
    expect(watch.told).toEqual(['firing error-rate-critical']);
  });

  it('that comes back after its end is another one', () => {
    const watch = new Watch();
    for (let i = 0; i < 2; i++) {
      watch.lookFor(2, bad);
      watch.lookFor(6, quiet);
    }
    expect(watch.told).toEqual([
      'firing error-rate-critical',
      'resolved error-rate-critical',
      'firing error-rate-critical',
      'resolved error-rate-critical',
    ]);
    expect(new Set(watch.notices.map(({ id }) => id)).size).toBe(4);
  });

  it('of providers is told at once: its window is a minute', () => {
    const watch = new Watch();
    expect(watch.look({ ...quiet, providerFailures: { openai: 11 } })).toEqual(['firing provider-failures']);
  });

  it('of a slow service, of a node, of what waits, is told after five minutes; of all nodes after one', () => {
    const slow = new Watch();
    expect(slow.lookFor(5, { ...quiet, latencyMs: 2_500 })).toEqual([]);
    expect(slow.look({ ...quiet, latencyMs: 2_500 })).toEqual(['firing latency']);
    const waiting = new Watch();
    expect(waiting.lookFor(5, { ...quiet, waiting: { recording: 11 } })).toEqual([]);
    expect(waiting.look({ ...quiet, waiting: { recording: 11 } })).toEqual(['firing deliveries-waiting']);
    const oneDown = { ...quiet, nodes: { up: 1, draining: 0, failing: 0, silent: 1 } };
    const node = new Watch();
    expect(node.lookFor(5, oneDown)).toEqual([]);
    expect(node.look(oneDown)).toEqual(['firing node-down']);
    const allDown = { ...quiet, nodes: { up: 0, draining: 0, failing: 0, silent: 2 } };
    const nodes = new Watch();
    expect(nodes.look(allDown)).toEqual([]);
    expect(nodes.look(allDown)).toEqual(['firing nodes-down']);
    expect(nodes.look(quiet)).toEqual([]);
    expect(nodes.look(quiet)).toEqual(['resolved nodes-down']);
  });
});

describe('an alert that goes on', () => {
  it('is told again after the time that is set, with numbers of its own', () => {
    const watch = new Watch(rules, 30 * MINUTE);
    watch.lookFor(2, bad);
    expect(watch.lookFor(29, bad)).toEqual([]);
    expect(watch.look({ ...quiet, failed: 9 })).toEqual(['repeated error-rate-critical']);
    expect(watch.notices.at(-1)).toMatchObject({
      value: 0.09,
      id: `error-rate-critical-${START}-repeated-2`,
    });
    watch.lookFor(30, bad);
    expect(new Set(watch.notices.map(({ id }) => id)).size).toBe(3);
  });

  it('is never told again where that is 0', () => {
    const watch = new Watch(rules, 0);
    watch.lookFor(2_000, bad);
    expect(watch.told).toEqual(['firing error-rate-critical']);
  });
});

describe('a warning that a critical alert includes', () => {
  it('is not told beside it', () => {
    const watch = new Watch();
    watch.lookFor(30, bad);
    expect(watch.lookFor(6, quiet)).toEqual(['resolved error-rate-critical']);
    expect(watch.told).toHaveLength(2);
  });

  it('is told when the critical one is over and it still holds', () => {
    const watch = new Watch();
    watch.lookFor(10, bad);
    watch.lookFor(5, warned);
    expect(watch.look(warned)).toEqual(['resolved error-rate-critical', 'firing error-rate-warning']);
    expect(watch.lookFor(6, quiet)).toEqual(['resolved error-rate-warning']);
  });

  it('that was told before keeps silent meanwhile, and its end is told', () => {
    const watch = new Watch(rules, 10 * MINUTE);
    expect(watch.lookFor(3, warned)).toEqual(['firing error-rate-warning']);
    expect(watch.lookFor(9, bad)).toEqual(['firing error-rate-critical']);
    expect(watch.lookFor(2, bad)).toEqual([]);
    expect(watch.lookFor(6, quiet)).toContain('resolved error-rate-warning');
  });
});

describe('looks that go wrong', () => {
  it('the same figures twice, or older ones, tell nothing and change nothing', () => {
    const watch = new Watch();
    watch.look(bad);
    const figures = { at: watch.now, counts: bad, cost: null };
    const first = evaluate(watch.book, figures, rules, HOURS_4);
    expect(first.notices).toHaveLength(1);
    const again = evaluate(first.book, figures, rules, HOURS_4);
    expect(again).toEqual({ book: first.book, notices: [] });
    const overtaken = evaluate(first.book, { at: watch.now - 1, counts: quiet, cost: null }, rules, HOURS_4);
    expect(overtaken).toEqual({ book: first.book, notices: [] });
  });

  it('where nothing is known, what fires goes on, what was beginning begins anew, and that is an alert of its own', () => {
    const watch = new Watch();
    watch.lookFor(2, { ...bad, latencyMs: 3_000 });
    expect(watch.lookFor(30, null)).toEqual(['firing counts-unavailable']);
    expect(watch.look(quiet)).toEqual([]);
    expect(watch.look(quiet)).toEqual(['resolved counts-unavailable']);
    expect(watch.lookFor(4, quiet)).toEqual(['resolved error-rate-critical']);
    expect(watch.told).not.toContain('firing latency');
  });

  it('two looks with a gap between are not two looks in a row', () => {
    const watch = new Watch();
    const pause = GAP_MS / MINUTE + 1;
    expect(watch.look(bad, pause)).toEqual([]);
    expect(watch.look(bad)).toEqual([]);
    expect(watch.look(bad)).toEqual(['firing error-rate-critical']);
    expect(watch.look(quiet, pause)).toEqual([]);
    expect(watch.lookFor(5, quiet)).toEqual([]);
    expect(watch.look(quiet)).toEqual(['resolved error-rate-critical']);
  });

  it('a rule that another version had is forgotten', () => {
    const watch = new Watch();
    watch.lookFor(2, bad);
    const fewer = evaluate(watch.book, { at: watch.now, counts: bad, cost: null }, [], HOURS_4);
    expect(fewer).toEqual({ book: { evaluatedAt: watch.now, rules: {} }, notices: [] });
  });
});
