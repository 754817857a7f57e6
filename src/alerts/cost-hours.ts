import { defaultAnomaly, type HourOfCost } from '../cost/anomaly.ts';

/** What calls have cost since the counts began, as far as prices are known, and how long they lasted. */
export interface CostSoFar {
  microUsd: number;
  callSeconds: number;
}

/** What calls cost in each hour, worked out of what they have cost in all at each look. */
export interface CostHours {
  /** Of the last look; null: there was none. */
  sofar: CostSoFar | null;
  /** The oldest first. */
  hours: readonly HourOfCost[];
}

export const noCostHours: CostHours = { sofar: null, hours: [] };

const HOUR_MS = 3_600_000;

/** Adds what came since the last look to the hour of this one. Counts that are smaller than they were have begun anew. */
export function addCost(before: CostHours, sofar: CostSoFar, at: number): CostHours {
  const hour = Math.floor(at / HOUR_MS);
  const last = before.sofar;
  const began = last === null || sofar.microUsd < last.microUsd || sofar.callSeconds < last.callSeconds;
  const costMicroUsd = began ? 0 : sofar.microUsd - last.microUsd;
  const callSeconds = began ? 0 : sofar.callSeconds - last.callSeconds;
  const kept = before.hours.filter((each) => each.hour >= hour - defaultAnomaly.baselineHours - 1);
  const now = kept.find((each) => each.hour === hour);
  const others = kept.filter((each) => each !== now);
  if (costMicroUsd === 0 && callSeconds === 0) return { sofar, hours: kept };
  const sum = {
    hour,
    costMicroUsd: (now?.costMicroUsd ?? 0) + costMicroUsd,
    callSeconds: (now?.callSeconds ?? 0) + callSeconds,
  };
  return { sofar, hours: [...others, sum] };
}
