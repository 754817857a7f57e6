/** Buckets grow by so much, so what is read from one is right to half a percent. */
const growth = 1.01;
/** What is below goes into the first bucket. */
const least = 0.01;
/** What is above, an hour, counts as that in percentiles: the number of buckets is bounded. */
const most = 3_600_000;

/** A histogram as it goes from process to process: of the buckets those that are not empty. */
export interface HistogramParts {
  count: number;
  sum: number;
  min: number;
  max: number;
  buckets: [bucket: number, count: number][];
}

export interface Distribution {
  count: number;
  average: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

/**
 * Milliseconds, counted in buckets: any number of values in bounded memory, and percentiles of several processes together, which cannot be
 * had from percentiles of each. Percentiles are right to half a percent, average and extremes exact.
 */
export class Histogram {
  readonly #buckets = new Map<number, number>();
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** Counts `ms` so many times. What is below 0 counts as 0. */
  add(ms: number, times = 1): void {
    if (times === 0) return;
    const value = Math.max(0, ms);
    const bucket = bucketOf(value);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + times);
    this.#count += times;
    this.#sum += value * times;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
  }

  merge({ count, sum, min, max, buckets }: HistogramParts): void {
    if (count === 0) return;
    for (const [bucket, more] of buckets) this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + more);
    this.#count += count;
    this.#sum += sum;
    this.#min = Math.min(this.#min, min);
    this.#max = Math.max(this.#max, max);
  }

  parts(): HistogramParts {
    return {
      count: this.#count,
      sum: this.#sum,
      min: this.#min,
      max: this.#max,
      buckets: [...this.#buckets],
    };
  }

  /** The least value that a share `q` (0 to 1) of all are not above; null of none. */
  percentile(q: number): number | null {
    if (this.#count === 0) return null;
    const rank = Math.max(1, Math.ceil(q * this.#count));
    let below = 0;
    for (const [bucket, count] of [...this.#buckets].sort(([a], [b]) => a - b)) {
      below += count;
      if (below >= rank) return Math.min(this.#max, Math.max(this.#min, middleOf(bucket)));
    }
    return this.#max;
  }

  /** Null of none. */
  distribution(): Distribution | null {
    if (this.#count === 0) return null;
    return {
      count: this.#count,
      average: this.#sum / this.#count,
      p50: this.percentile(0.5)!,
      p95: this.percentile(0.95)!,
      p99: this.percentile(0.99)!,
      max: this.#max,
    };
  }
}

function bucketOf(ms: number): number {
  if (ms < least) return 0;
  return 1 + Math.floor(Math.log(Math.min(ms, most) / least) / Math.log(growth));
}

/** The geometric middle, which is at most half a growth away from every value of the bucket. */
function middleOf(bucket: number): number {
  return bucket === 0 ? 0 : least * growth ** (bucket - 0.5);
}
