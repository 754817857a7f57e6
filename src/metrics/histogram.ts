import { addOne, type Sums } from './sums.ts';

/** ISO 3 (Renard series R20): twenty preferred numbers a decade, the next one at most a seventh greater. */
const R20 = [
  1, 1.12, 1.25, 1.4, 1.6, 1.8, 2, 2.24, 2.5, 2.8, 3.15, 3.55, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9,
] as const;

/** Upper bounds of the buckets of a latency, in milliseconds: 10 ms to 90 s. What is longer is in one more bucket, without a bound. */
export const latencyBoundsMs: readonly number[] = [10, 100, 1_000, 10_000].flatMap((decade) =>
  R20.map((step) => Math.round(step * decade * 10) / 10),
);

/** Of the length of calls, in seconds. */
export const durationBounds: readonly number[] = [
  1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800,
  86_400,
];

/** The label of the sum of all values, beside the buckets' own: each is named by its place. */
const SUM = 'sum';

/** A family of sums, read as a histogram. */
export interface Histogram {
  /** How many values lie in each bucket; one more than there are bounds. */
  counts: number[];
  count: number;
  sum: number;
}

/** Counts one value; one on a bound belongs below it, as in Prometheus (`le`). */
export function observe(sums: Sums, family: string, bounds: readonly number[], value: number): void {
  const place = bounds.findIndex((bound) => value <= bound);
  addOne(sums, family, String(place < 0 ? bounds.length : place), 1);
  addOne(sums, family, SUM, Math.round(value));
}

export function histogramOf(sums: Sums, family: string, bounds: readonly number[]): Histogram {
  const labels = sums[family] ?? {};
  const counts = Array.from({ length: bounds.length + 1 }, (_, place) => labels[String(place)] ?? 0);
  return { counts, count: counts.reduce((sum, count) => sum + count, 0), sum: labels[SUM] ?? 0 };
}

/**
 * The value that the `part` of all values (0 to 1) does not exceed, between the bounds of its bucket by proportion, as Prometheus'
 * `histogram_quantile` does. With {@link latencyBoundsMs} it is off by less than a seventh of itself (a bucket's width) between 10 ms and 90 s;
 * below that by 10 ms at most, and above it the answer is 90 s. Null where there are no values.
 */
export function percentile(histogram: Histogram, bounds: readonly number[], part: number): number | null {
  const { counts, count } = histogram;
  if (count === 0) return null;
  const rank = part * count;
  let below = 0;
  for (const [place, inside] of counts.entries()) {
    if (below + inside >= rank && inside > 0) {
      const upper = bounds[place];
      if (upper === undefined) return bounds.at(-1)!;
      const lower = place === 0 ? 0 : bounds[place - 1]!;
      return lower + ((upper - lower) * (rank - below)) / inside;
    }
    below += inside;
  }
  return bounds.at(-1)!;
}

export function averageOf({ sum, count }: Histogram): number {
  return count === 0 ? 0 : sum / count;
}
