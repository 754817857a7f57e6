import { describe, expect, it } from 'vitest';
import {
  addTotals,
  metricsOf,
  noTotals,
  prometheusText,
  recentErrorRate,
  shardOf,
} from '../../../src/metrics/totals.ts';

const some = {
  started: 10,
  active: 2,
  ended: 8,
  failed: 2,
  durationMsSum: 80_000,
  latencyMsSum: 9_000,
  latencyCount: 10,
  recentEnded: 4,
  recentFailed: 1,
};

describe('metrics', () => {
  it('are seconds, milliseconds and rates from 0 to 1', () => {
    expect(metricsOf(some)).toEqual({
      totalCalls: 10,
      activeCalls: 2,
      averageCallDuration: 10,
      errorRate: 0.25,
      averageLatency: 900,
    });
    expect(recentErrorRate(some)).toBe(0.25);
  });

  it('are numbers also where nothing has happened', () => {
    expect(Object.values(metricsOf(noTotals))).toEqual([0, 0, 0, 0, 0]);
    expect(recentErrorRate(noTotals)).toBe(0);
  });

  it('of shards add up', () => {
    expect(addTotals(some, some)).toEqual(
      Object.fromEntries(Object.entries(some).map(([key, value]) => [key, 2 * value])),
    );
  });

  it('have a help and a type line for each Prometheus sample', () => {
    const lines = prometheusText(some).trimEnd().split('\n');
    expect(lines.length % 3).toBe(0);
    for (let i = 0; i < lines.length; i += 3) {
      const name = lines[i + 2]!.split(' ')[0];
      expect(lines[i]).toMatch(new RegExp(`^# HELP ${name} .+`));
      expect(lines[i + 1]).toMatch(new RegExp(`^# TYPE ${name} (counter|gauge)$`));
    }
    expect(prometheusText(some)).toContain('\ncalls_active 2\n');
  });

  it('spread calls evenly over the shards, the same call always to the same one', () => {
    const counts = new Array<number>(8).fill(0);
    for (let i = 0; i < 8_000; i++) counts[shardOf(`call-${i}`, 8)]!++;
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    expect(shardOf('call-1', 8)).toBe(shardOf('call-1', 8));
  });
});
