import { describe, expect, it } from 'vitest';
import type { CountedFigures, Figures } from '../../../src/alerts/figures.ts';
import { holds, LEAST_ANSWERS, LEAST_FAILED, rules } from '../../../src/alerts/rules.ts';
import type { CostVerdict } from '../../../src/cost/anomaly.ts';

const at = 1_700_000_000_000;
const quiet: CountedFigures = {
  ended: 0,
  failed: 0,
  answers: 0,
  latencyMs: 0,
  providerFailures: {},
  waiting: {},
  nodes: null,
};
const noNodes = { up: 0, draining: 0, failing: 0, silent: 0 };

function ruleOf(id: string) {
  const rule = rules.find((each) => each.id === id);
  if (rule === undefined) throw new Error(`no rule ${id}`);
  return rule;
}

/** The rules that hold, of which `counts` are the figures. */
function holding(counts: Partial<CountedFigures> | null, cost: CostVerdict | null = null): string[] {
  const figures: Figures = { at, counts: counts === null ? null : { ...quiet, ...counts }, cost };
  return rules.flatMap((rule) => {
    const sample = rule.look(figures);
    return sample !== null && holds(rule, sample) ? [rule.id] : [];
  });
}

describe('the thresholds', () => {
  it.each<[what: string, counts: Partial<CountedFigures> | null, held: string[]]>([
    ['nothing happens', {}, []],
    ['5 % of the calls fail', { ended: 100, failed: 5 }, ['error-rate-warning']],
    ['more than 5 % fail', { ended: 119, failed: 6 }, ['error-rate-critical', 'error-rate-warning']],
    ['2 % fail', { ended: 150, failed: 3 }, []],
    ['more than 2 % fail', { ended: 149, failed: 3 }, ['error-rate-warning']],
    ['one call of one fails', { ended: 1, failed: 1 }, []],
    ['two calls of two fail', { ended: 2, failed: 2 }, []],
    ['three of three fail', { ended: 3, failed: 3 }, ['error-rate-critical', 'error-rate-warning']],
    ['providers fail ten times a minute', { providerFailures: { a: 6, b: 4 } }, []],
    ['providers fail eleven times a minute', { providerFailures: { a: 6, b: 5 } }, ['provider-failures']],
    ['answers take 2 s', { answers: 50, latencyMs: 2_000 }, []],
    ['answers take longer than 2 s', { answers: 20, latencyMs: 2_001 }, ['latency']],
    ['few answers take longer', { answers: 19, latencyMs: 9_000 }, []],
    ['there is a node', { nodes: { ...noNodes, up: 1 } }, []],
    ['one of two nodes is silent', { nodes: { ...noNodes, up: 1, silent: 1 } }, ['node-down']],
    ['one of two nodes is drained', { nodes: { ...noNodes, up: 1, draining: 1 } }, []],
    [
      'every node is failing or silent',
      { nodes: { ...noNodes, failing: 1, silent: 1 } },
      ['nodes-down', 'node-down'],
    ],
    ['every node is drained', { nodes: { ...noNodes, draining: 2 } }, ['nodes-down']],
    ['ten deliveries wait', { waiting: { 'log ended': 10 } }, []],
    ['more wait', { waiting: { 'log ended': 6, recording: 5 } }, ['deliveries-waiting']],
    ['the counts cannot be read', null, ['counts-unavailable']],
  ])('%s', (_, counts, held) => {
    expect(holding(counts)).toEqual(held);
  });

  it('of cost are those of the anomaly', () => {
    const anomaly = { measure: 'hour' as const, now: 40_000_000, usual: 10_000_000, times: 4 };
    const baseline = { hour: 10_000_000, minute: null };
    expect(holding({}, { anomalies: [], baseline })).toEqual([]);
    expect(holding({}, { anomalies: [anomaly], baseline })).toEqual(['cost-anomaly']);
    const free = { ...anomaly, usual: 0, times: Number.POSITIVE_INFINITY };
    const sample = ruleOf('cost-anomaly').look({ at, counts: null, cost: { anomalies: [free], baseline } });
    expect(JSON.parse(JSON.stringify(sample))).toEqual({
      value: 1_000_000,
      enough: true,
      detail: 'The last whole hour cost $40.00, where $0.00 is usual.',
    });
  });

  it('say how few is too few to judge by', () => {
    expect({ LEAST_FAILED, LEAST_ANSWERS }).toEqual({ LEAST_FAILED: 3, LEAST_ANSWERS: 20 });
  });

  it('cannot be judged while nothing is counted, but for that', () => {
    const known = rules.filter((rule) => rule.look({ at, counts: null, cost: null }) !== null);
    expect(known.map(({ id }) => id)).toEqual(['counts-unavailable']);
  });

  it('are the contract’s, by severity', () => {
    const of = (severity: string) =>
      rules
        .filter((rule) => rule.severity === severity)
        .map(({ id, threshold, unit }) => [id, threshold, unit]);
    expect(of('critical')).toEqual([
      ['counts-unavailable', 0, 'reads'],
      ['nodes-down', 0, 'nodes'],
      ['error-rate-critical', 0.05, 'ratio'],
      ['provider-failures', 10, 'per minute'],
    ]);
    expect(of('warning')).toEqual([
      ['error-rate-warning', 0.02, 'ratio'],
      ['latency', 2_000, 'ms'],
      ['node-down', 0, 'nodes'],
      ['deliveries-waiting', 10, 'deliveries'],
      ['cost-anomaly', 3, 'times'],
    ]);
  });

  it('are looked at after those that include them', () => {
    const ids = rules.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { id, inhibitedBy } of rules) {
      if (inhibitedBy === undefined) continue;
      expect(ids.indexOf(inhibitedBy)).toBeGreaterThanOrEqual(0);
      expect(ids.indexOf(inhibitedBy)).toBeLessThan(ids.indexOf(id));
    }
  });
});

describe('what people are told', () => {
  const said = (id: string, counts: Partial<CountedFigures>) =>
    ruleOf(id).look({ at, counts: { ...quiet, ...counts }, cost: null })?.detail;

  it('has the numbers behind it', () => {
    expect(said('error-rate-critical', { ended: 92, failed: 7 })).toBe(
      '7 of the 92 calls that ended in the last 5 minutes failed (7.6 %).',
    );
    expect(said('latency', { answers: 31, latencyMs: 2_345.6 })).toBe(
      '2346 ms on the average over 31 answers of the last 5 minutes.',
    );
    expect(said('nodes-down', { nodes: { ...noNodes, failing: 1, silent: 2 } })).toBe(
      'Of the nodes 0 up, 0 draining, 1 failing, 2 silent.',
    );
  });

  it('names the worst five, however many there are', () => {
    const providerFailures = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`provider-${i}`, i] as const),
    );
    expect(said('provider-failures', { providerFailures })).toBe(
      '435 requests failed in the last minute, after all retries (provider-29: 29, provider-28: 28, provider-27: 27, provider-26: 26, provider-25: 25).',
    );
  });
});
