import { describe, expect, it } from 'vitest';
import {
  averageOf,
  durationBounds,
  histogramOf,
  latencyBoundsMs,
  observe,
  percentile,
} from '../../../src/metrics/histogram.ts';
import { add, type Sums } from '../../../src/metrics/sums.ts';
import { seeded } from '../../support/random.ts';

const of = (values: readonly number[]) => {
  const sums: Sums = {};
  for (const value of values) observe(sums, 'f', latencyBoundsMs, value);
  return histogramOf(sums, 'f', latencyBoundsMs);
};

describe('a histogram', () => {
  it('has bounds that grow by a seventh at most, from 10 ms to 90 s, and one on each alert’s threshold', () => {
    expect([latencyBoundsMs[0], latencyBoundsMs.at(-1)]).toEqual([10, 90_000]);
    for (const [place, bound] of latencyBoundsMs.entries()) {
      if (place > 0) expect(bound / latencyBoundsMs[place - 1]!).toBeLessThanOrEqual(8 / 7);
    }
    expect(latencyBoundsMs).toContain(2_000);
    expect(durationBounds).toEqual([...durationBounds].sort((a, b) => a - b));
  });

  it('counts a value on a bound below it, and one beyond the last bound all the same', () => {
    const { counts, count, sum } = of([10, 10.1, 90_000, 90_001]);
    expect([counts[0], counts[1], counts.at(-2), counts.at(-1)]).toEqual([1, 1, 1, 1]);
    expect([count, sum]).toEqual([4, 180_021]);
  });

  it('has no percentile where it has no values, and its average is 0', () => {
    expect([percentile(of([]), latencyBoundsMs, 0.5), averageOf(of([]))]).toEqual([null, 0]);
    expect(percentile(of([1_000_000]), latencyBoundsMs, 0.99)).toBe(90_000);
  });

  it('errs by less than a seventh of the true percentile, whatever the values are', () => {
    const random = seeded(7);
    for (let round = 0; round < 100; round++) {
      const spread = 1 + random.whole(6);
      const values = Array.from({ length: 1 + random.whole(400) }, () =>
        Math.min(89_000, 10 * Math.exp(random.fraction() * spread + random.fraction() * 2)),
      ).sort((a, b) => a - b);
      for (const part of [0.5, 0.95, 0.99]) {
        const truth = values[Math.ceil(part * values.length) - 1]!;
        const found = percentile(of(values), latencyBoundsMs, part)!;
        expect(Math.abs(found - truth) / truth).toBeLessThan(1 / 7);
      }
    }
  });

  it('of two shards is the histogram of both', () => {
    const [a, b] = [
      [50, 700, 1_300],
      [90, 700],
    ];
    const sums: Sums = {};
    for (const values of [a, b]) {
      const own: Sums = {};
      for (const value of values) observe(own, 'f', latencyBoundsMs, value);
      add(sums, own);
    }
    expect(histogramOf(sums, 'f', latencyBoundsMs)).toEqual(of([...a, ...b]));
  });
});
