/** What one hour's calls were, as the metrics' shards add it up. */
export interface HourOfCost {
  /** Whole hours since the epoch. */
  hour: number;
  costMicroUsd: number;
  /** Seconds of the calls that ended in it: what the cost was for. */
  callSeconds: number;
}

export interface AnomalyOptions {
  /** Hours before the one that is judged, from which is taken what is usual. Default 7 days. */
  baselineHours: number;
  /** Hours with calls among them below which nothing is said: of a new deployment nobody knows what is usual. Default 24. */
  leastHours: number;
  /** So many times the usual is an anomaly. Default 3. */
  factor: number;
  /** An hour that costs less is none, whatever was usual. Default $5. */
  floorMicroUsd: number;
  /** Call seconds in an hour below which its price a minute says nothing. Default 10 minutes. */
  leastCallSeconds: number;
}

export const defaultAnomaly: AnomalyOptions = {
  baselineHours: 7 * 24,
  leastHours: 24,
  factor: 3,
  floorMicroUsd: 5_000_000,
  leastCallSeconds: 600,
};

/**
 * `hour`: what an hour costs, more calls or dearer ones. `minute`: what a minute of talk costs, where calls have become dearer: a model or a
 * price has changed, or answers are made and thrown away.
 */
export type AnomalyMeasure = 'hour' | 'minute';

export interface CostAnomaly {
  measure: AnomalyMeasure;
  /** Micro-dollars an hour, or a minute of calls. */
  now: number;
  usual: number;
  /** How many times the usual. */
  times: number;
}

/** What can be said of an hour. `baseline`: of each measure what is usual, or null where too little is known. */
export interface CostVerdict {
  anomalies: CostAnomaly[];
  baseline: Record<AnomalyMeasure, number | null>;
}

/**
 * Whether an hour cost more than is usual: the median of the hours before it, since one bad night must not become what is usual. Hours
 * without calls are left out, or a quiet week would make every morning an anomaly.
 *
 * @param hours in any order; of an hour that is named twice (each shard's) the sum counts. The hour that is judged may be among them.
 * @param judged the hour, of which the whole is known: one that still runs is only ever too cheap.
 */
export function judgeHour(
  hours: Iterable<HourOfCost>,
  judged: number,
  options: AnomalyOptions = defaultAnomaly,
): CostVerdict {
  const sums = summed(hours);
  const { costMicroUsd, callSeconds } = sums.get(judged) ?? { costMicroUsd: 0, callSeconds: 0 };
  const before = [...sums.values()].filter(
    ({ hour, callSeconds }) => hour < judged && hour >= judged - options.baselineHours && callSeconds > 0,
  );
  const known = before.length >= options.leastHours;
  const busy = before.filter((past) => past.callSeconds >= options.leastCallSeconds);
  const baseline = {
    hour: known ? median(before.map((past) => past.costMicroUsd)) : null,
    minute: busy.length >= options.leastHours ? median(busy.map(perMinute)) : null,
  };
  const now = {
    hour: costMicroUsd,
    minute: callSeconds >= options.leastCallSeconds ? perMinute({ costMicroUsd, callSeconds }) : null,
  };
  const anomalies: CostAnomaly[] = [];
  for (const measure of ['hour', 'minute'] as const) {
    const [is, usual] = [now[measure], baseline[measure]];
    if (is === null || usual === null || costMicroUsd < options.floorMicroUsd) continue;
    // What was free until now, and is not any more, is infinitely dearer: the floor alone decides.
    const times = usual === 0 ? Number.POSITIVE_INFINITY : is / usual;
    if (is > 0 && times >= options.factor) anomalies.push({ measure, now: is, usual, times });
  }
  return { anomalies, baseline };
}

/** The last hour of which the whole is over. */
export function lastWholeHour(nowMs: number): number {
  return Math.floor(nowMs / 3_600_000) - 1;
}

function summed(hours: Iterable<HourOfCost>): Map<number, HourOfCost> {
  const sums = new Map<number, HourOfCost>();
  for (const { hour, costMicroUsd, callSeconds } of hours) {
    const sum = sums.get(hour) ?? { hour, costMicroUsd: 0, callSeconds: 0 };
    sum.costMicroUsd += costMicroUsd;
    sum.callSeconds += callSeconds;
    sums.set(hour, sum);
  }
  return sums;
}

function perMinute({ costMicroUsd, callSeconds }: Omit<HourOfCost, 'hour'>): number {
  return (costMicroUsd * 60) / callSeconds;
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
