import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Sent } from '../../../src/tracing/otlp-request.ts';
import { SpanExport } from '../../../src/tracing/span-export.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seeded } from '../../support/random.ts';

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});

const span = (i: number) => ({ name: String(i) }) as ReadableSpan;
const again = (afterMs = 0): Sent => ({ outcome: 'again', afterMs, why: 'status 503' });
const refused: Sent = { outcome: 'refused', why: 'status 400' };

/** @param answers to the requests, one after the other; then all is taken. */
function createExport(...answers: (Sent | Promise<Sent>)[]) {
  const sent: { at: number; spans: string[] }[] = [];
  const background: Promise<void>[] = [];
  const troubles: object[] = [];
  let underWay = 0;
  let mostUnderWay = 0;
  const startedAt = clock.now();
  const exporter = new SpanExport({
    send: async (spans) => {
      mostUnderWay = Math.max(mostUnderWay, ++underWay);
      sent.push({ at: clock.now() - startedAt, spans: spans.map(({ name }) => name) });
      const answer = await (answers.shift() ?? { outcome: 'taken', rejected: 0 });
      underWay--;
      return answer;
    },
    clock,
    random: { id: () => '', fraction: seeded(3).fraction },
    delayMs: 5_000,
    background: (work) => background.push(work),
    onTrouble: (trouble) => troubles.push(trouble),
  });
  const add = (count: number, from = 0) => {
    for (let i = 0; i < count; i++) exporter.onEnd(span(from + i));
  };
  return { exporter, add, sent, background, troubles, most: () => mostUnderWay };
}

describe('finished spans', () => {
  it('wait for more, and go together', async () => {
    const { add, sent, background } = createExport();
    add(3);
    await clock.advance(4_000);
    add(2, 3);
    expect(sent).toEqual([]);
    await clock.advance(1_000);
    expect(sent).toEqual([{ at: 5_000, spans: ['0', '1', '2', '3', '4'] }]);
    expect(background).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('do not wait where there are many', async () => {
    const { add, sent } = createExport();
    add(128);
    await clock.advance(0);
    expect(sent.map(({ at, spans }) => [at, spans.length])).toEqual([[0, 128]]);
  });

  it('go one request at a time, whatever the collector’s pace', async () => {
    const slow = new Promise<Sent>((resolve) =>
      clock.after(20_000, () => resolve({ outcome: 'taken', rejected: 0 })),
    );
    const { add, sent, most } = createExport(slow);
    add(300);
    await clock.advance(19_000);
    expect(sent).toHaveLength(1);
    await clock.advance(60_000);
    expect(sent.map(({ spans }) => spans.length)).toEqual([128, 128, 44]);
    expect(most()).toBe(1);
  });

  it('are sent again after a while, each time later', async () => {
    const { add, sent, troubles } = createExport(again(), again(), again());
    add(1);
    await clock.advance(60_000);
    expect(sent).toHaveLength(4);
    const waits = sent.slice(1).map(({ at }, i) => at - sent[i]!.at);
    for (const [i, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(500 * 2 ** i);
      expect(wait).toBeLessThanOrEqual(1_000 * 2 ** i);
    }
    expect(troubles).toEqual([]);
  });

  it('are sent again when the collector says', async () => {
    const { add, sent } = createExport(again(7_000));
    add(1);
    await clock.advance(60_000);
    expect(sent.map(({ at }) => at)).toEqual([5_000, 12_000]);
  });

  it.each([
    ['it refuses them for good', [refused], 1],
    ['it is away for too long', Array.from({ length: 9 }, () => again()), 5],
    ['it wants to be left alone for an hour', [again(3_600_000)], 1],
  ])('are dropped, counted and told of once where %s', async (_, answers, requests) => {
    const { exporter, add, sent, troubles } = createExport(...answers, refused);
    add(3);
    await clock.advance(120_000);
    expect(sent).toHaveLength(requests);
    expect(exporter.lost).toBe(3);
    add(2);
    await clock.advance(120_000);
    expect(troubles).toHaveLength(1);
    await exporter.shutdown();
    expect(troubles.slice(1)).toEqual([{ lost: exporter.lost }]);
  });

  it('are counted where a part was not taken', async () => {
    const { exporter, add } = createExport({ outcome: 'taken', rejected: 2 });
    add(3);
    await clock.advance(5_000);
    expect(exporter.lost).toBe(2);
  });

  it('have room for 512 while the collector is away; the oldest are dropped', async () => {
    const first = new Promise<Sent>((resolve) =>
      clock.after(9_000, () => resolve({ outcome: 'taken', rejected: 0 })),
    );
    const { exporter, add, sent } = createExport(first);
    add(128);
    await clock.advance(0);
    add(600, 1_000);
    expect(exporter.lost).toBe(600 - 512);
    await clock.advance(10_000);
    expect(sent.at(-1)?.spans.at(-1)).toBe('1599');
    expect(sent[1]?.spans[0]).toBe('1088');
  });
});

describe('when the call is over', () => {
  it('the rest is sent at once', async () => {
    const { exporter, add, sent } = createExport();
    add(2);
    await exporter.shutdown();
    expect(sent).toEqual([{ at: 0, spans: ['0', '1'] }]);
    expect(clock.pending).toBe(0);
  });

  it('nothing is tried for longer than half a minute', async () => {
    const { exporter, add, sent, troubles } = createExport(...Array.from({ length: 50 }, () => again(9_000)));
    add(500);
    const over = exporter.shutdown();
    await clock.advance(30_000);
    await over;
    expect(sent.every(({ at }) => at <= 30_000)).toBe(true);
    expect(troubles.at(-1)).toEqual({ lost: 500 });
    expect(clock.pending).toBe(0);
  });
});
