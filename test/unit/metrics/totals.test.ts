import { describe, expect, it } from 'vitest';
import { addTotals, metricsOf, noTotals, shardOf, type Totals } from '../../../src/metrics/totals.ts';
import { someTotals } from './some-totals.ts';

describe('metrics', () => {
  it('are the contract’s five fields in its units, and what else there is to know', () => {
    expect(metricsOf(someTotals)).toMatchObject({
      totalCalls: 12,
      activeCalls: 2,
      averageCallDuration: 10,
      errorRate: 0.25,
      averageLatency: 900,

      endedCalls: 8,
      failedCalls: 2,
      unaccountedCalls: 2,
      callsByEnd: { hangup: 6, error: 2 },
      failedCallsByEnd: { error: 2 },
      latency: { total: { count: 2, average: 900, p50: 800, p95: 990, p99: 998 }, model: { p50: null } },
      recent: { seconds: 300, ended: 4, failed: 1, errorRate: 0.25, providerFailuresLastMinute: 2 },
      turns: { caller: 5, agent: 6 },
      providers: {
        'openai/gpt-6-luna': { answers: 7, failures: { timeout: 2 }, costMicroUsd: 1_500_000 },
        service: { answers: 0, failures: { internal_error: 1 } },
      },
      cache: { lookups: 8, hits: 6, hitRate: 0.75 },
      interruptions: 3,
      drops: 2,
      resumes: 1,
      speculation: { used: 4, discarded: 1 },
      outboxWaiting: { 'log ended': 2 },
      refusals: [
        { at: 'call', code: 'TOO_MANY_CALLS', count: 4 },
        { at: 'request', code: 'RATE_LIMIT', count: 9 },
      ],
    });
  });

  it('call those calls a success that ended well, of those that ended or were turned away by our fault', () => {
    expect(metricsOf(someTotals).callSuccessRate).toBe(6 / (8 + 4));
    expect(metricsOf(noTotals).callSuccessRate).toBe(1);
  });

  it('name no cost where none is known', () => {
    const { costMicroUsd: _, ...sums } = someTotals.sums;
    const { providers } = metricsOf({ ...someTotals, sums });
    expect(providers['openai/gpt-6-luna']).not.toHaveProperty('costMicroUsd');
  });

  it('are numbers also where nothing has happened', () => {
    expect(Object.values(metricsOf(noTotals)).slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
    expect(metricsOf(noTotals).latency.total).toEqual({
      count: 0,
      average: 0,
      p50: null,
      p95: null,
      p99: null,
    });
  });

  it('of shards add up', () => {
    const doubled = JSON.parse(JSON.stringify(someTotals), (_, value: unknown) =>
      typeof value === 'number' ? 2 * value : value,
    ) as Totals;
    expect(addTotals(someTotals, someTotals)).toEqual(doubled);
    expect(addTotals(noTotals, someTotals)).toEqual(someTotals);
    expect(noTotals.sums).toEqual({});
  });

  it('count no call as unaccounted for because it ended while they were read', () => {
    expect(metricsOf({ ...someTotals, active: 5 }).unaccountedCalls).toBe(0);
  });

  it('spread calls evenly over the shards, the same call always to the same one', () => {
    const counts = new Array<number>(8).fill(0);
    for (let i = 0; i < 8_000; i++) counts[shardOf(`call-${i}`, 8)]!++;
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    expect(shardOf('call-1', 8)).toBe(shardOf('call-1', 8));
  });
});
