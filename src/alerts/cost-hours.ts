import { defaultAnomaly, type HourOfCost } from '../cost/anomaly.ts';
import { GAP_MS } from './evaluate.ts';

/** What calls have cost since the counts began, as far as prices are known, and how long they lasted. */
export interface CostSoFar {
  microUsd: number;
  callSeconds: number;
}

/** What calls cost in each hour, worked out of what they have cost in all at each look. */
export interface CostHours {
  /** Of the last look, and when it was; null: there was none. */
  sofar: (CostSoFar & { at: number }) | null;
  /** The oldest first. */
  hours: readonly HourOfCost[];
}

export const noCostHours: CostHours = { sofar: null, hours: [] };

const HOUR_MS = 3_600_000;

/** Adds what came since the last look to the hour of this one; after a gap, to the hours of the gap. Counts that are smaller than they were have begun anew. */
export function addCost(before: CostHours, now: CostSoFar, at: number): CostHours {
  const last = before.sofar;
  const sofar = { ...now, at };
  const oldest = hourOf(at) - defaultAnomaly.baselineHours - 1;
  const kept = before.hours.filter(({ hour }) => hour >= oldest);
  const began = last === null || now.microUsd < last.microUsd || now.callSeconds < last.callSeconds;
  const [microUsd, callSeconds] = began
    ? [0, 0]
    : [now.microUsd - last.microUsd, now.callSeconds - last.callSeconds];
  if (last === null || (microUsd === 0 && callSeconds === 0)) return { sofar, hours: kept };
  const hours = new Map(kept.map((each) => [each.hour, each]));
  for (const { hour, share } of sharesOf(last.at, at)) {
    if (hour < oldest) continue;
    const known = hours.get(hour);
    hours.set(hour, {
      hour,
      costMicroUsd: (known?.costMicroUsd ?? 0) + share * microUsd,
      callSeconds: (known?.callSeconds ?? 0) + share * callSeconds,
    });
  }
  return { sofar, hours: [...hours.values()] };
}

/** To which hours belongs what came in between. Where nobody has looked for long, all of it in the last hour would be an anomaly that never was. */
function sharesOf(from: number, to: number): { hour: number; share: number }[] {
  if (to - from <= GAP_MS) return [{ hour: hourOf(to), share: 1 }];
  const first = hourOf(from);
  return Array.from({ length: hourOf(to) - first + 1 }, (_, i) => {
    const hour = first + i;
    const ms = Math.min(to, (hour + 1) * HOUR_MS) - Math.max(from, hour * HOUR_MS);
    return { hour, share: ms / (to - from) };
  }).filter(({ share }) => share > 0);
}

function hourOf(at: number): number {
  return Math.floor(at / HOUR_MS);
}
