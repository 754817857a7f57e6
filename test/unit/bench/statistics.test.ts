import { describe, expect, it } from 'vitest';
import { pingWaits, quantile } from '../../../bench/statistics.ts';

describe('waits of pings', () => {
  it('one ping, where none was due before its answer', () => {
    expect(pingWaits(100, 103, 1_000)).toEqual([3]);
    expect(pingWaits(100, 100, 1_000)).toEqual([0]);
    expect(pingWaits(100, 1_100, 1_000)).toEqual([1_000]);
  });

  it('those that were due meanwhile count: a system that stood still is not seen as one slow answer', () => {
    const waits = pingWaits(0, 3_500, 1_000);
    expect(waits).toEqual([3_500, 2_500, 1_500, 500]);
    expect(quantile([...Array<number>(16).fill(1), ...waits], 0.8)).toBeGreaterThan(100);
    expect(quantile([...Array<number>(16).fill(1), 3_500], 0.8)).toBe(1);
  });
});
