import { describe, expect, it } from 'vitest';
import { RefusalTally } from '../../../src/metrics/refusals.ts';
import type { Sums } from '../../../src/metrics/sums.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function isolate() {
  const clock = new FakeClock();
  const sent: [string, number, Sums][] = [];
  const state = { down: false, hangs: false };
  const tally = new RefusalTally(clock, 'isolate-1');
  const send = async (id: string, batch: number, sums: Sums) => {
    sent.push([id, batch, structuredClone(sums)]);
    if (state.hangs) await new Promise(() => {});
    if (state.down) throw new Error('down');
  };
  const refuse = (code: string) => tally.add('call', code, send);
  return { clock, sent, state, refuse };
}
const refusals = (labels: Record<string, number>) => ({ refusals: labels });

describe('refusals', () => {
  it('are told together: a flood of them makes one request in two seconds', async () => {
    const { clock, sent, refuse } = isolate();
    const work = Array.from({ length: 1_000 }, (_, i) => refuse(i < 900 ? 'RATE_LIMIT' : 'UNAUTHORIZED'));
    expect(work.filter((each) => each !== null)).toHaveLength(1);
    await clock.advance(1_999);
    expect(sent).toEqual([]);
    await clock.advance(1);
    expect(sent).toEqual([['isolate-1', 1, refusals({ 'call RATE_LIMIT': 900, 'call UNAUTHORIZED': 100 })]]);
    await work[0];
    refuse('RATE_LIMIT');
    await clock.advance(2_000);
    expect(sent[1]).toEqual(['isolate-1', 2, refusals({ 'call RATE_LIMIT': 1 })]);
    expect(clock.pending).toBe(0);
  });

  it('that did not arrive are told again as they were, then what has come since', async () => {
    const { clock, sent, state, refuse } = isolate();
    state.down = true;
    await Promise.all([refuse('A'), clock.advance(2_000)]);
    state.down = false;
    await Promise.all([refuse('B'), clock.advance(2_000)]);
    expect(sent.map(([, batch, sums]) => [batch, sums])).toEqual([
      [1, refusals({ 'call A': 1 })],
      [1, refusals({ 'call A': 1 })],
      [2, refusals({ 'call B': 1 })],
    ]);
  });

  it('do not wait for ever for whoever was to tell of them', async () => {
    const { clock, sent, state, refuse } = isolate();
    state.hangs = true;
    refuse('A');
    await clock.advance(9_999);
    expect(refuse('B')).toBeNull();
    await clock.advance(1);
    state.hangs = false;
    expect(refuse('C')).not.toBeNull();
    await clock.advance(2_000);
    expect(sent.slice(1).map(([, batch, sums]) => [batch, sums])).toEqual([
      [1, refusals({ 'call A': 1 })],
      [2, refusals({ 'call B': 1, 'call C': 1 })],
    ]);
  });
});
