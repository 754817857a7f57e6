import { type CallReport, families, latencyParts, observeDuration } from './call-report.ts';
import { add, addOne, growth, type Sums } from './sums.ts';

/** What a report changes. */
export interface Counted {
  /** What is to be added to the shard's sums. */
  sums: Sums;
  /** What of it belongs to which moment, for the counts of the last minutes. */
  recent: { at: number; sums: Sums }[];
  /** What the call has been counted with, to be kept while it lasts. */
  kept: Sums;
}

/** What is counted of the last minutes, beside the ends of calls. */
const RECENT_FAMILIES: readonly string[] = [families.failures, families.latency(latencyParts[0])];

/**
 * The rules of counting. `before`: what the call was counted with by earlier reports, null where there were none. Of a call whose end was
 * counted nothing more is.
 */
export function countReport(report: CallReport, before: Sums | null): Counted {
  const { grown, greatest } = growth(before ?? {}, report.sums);
  const recent: Counted['recent'] = [];
  const now = Object.fromEntries(
    RECENT_FAMILIES.flatMap((name) => (grown[name] ? [[name, grown[name]]] : [])),
  );
  if (Object.keys(now).length > 0) recent.push({ at: report.at, sums: now });
  const sums = structuredClone(grown);
  if (before === null) addOne(sums, families.calls, 'started', 1);
  if (report.end !== null) {
    const ended: Sums = {};
    const { reason, failed } = report.end;
    addOne(ended, families.calls, 'ended', 1);
    if (failed) {
      addOne(ended, families.calls, 'failed', 1);
      addOne(ended, families.failedEnds, reason, 1);
    }
    recent.push({ at: report.end.at, sums: structuredClone(ended) });
    addOne(ended, families.ends, reason, 1);
    const durationMs = Math.max(0, report.end.at - report.startedAt);
    addOne(ended, families.calls, 'durationMs', durationMs);
    observeDuration(ended, durationMs);
    add(sums, ended);
  }
  return { sums, recent, kept: greatest };
}

/** Steps of the counts of the last minutes. */
export const SLOT_MS = 10_000;
/** The longest time that they are kept for. */
export const RECENT_MS = 5 * 60_000;

export function slotOf(at: number): number {
  return Math.floor(at / SLOT_MS);
}

/** Whether something that happened then may still be asked for. What is ahead of this clock happens now. */
export function isRecent(slot: number, now: number, windowMs = RECENT_MS): boolean {
  return slot > slotOf(now - windowMs);
}

/** The counts of the slots within the last `windowMs`. */
export function recentSums(slots: ReadonlyMap<number, Sums>, now: number, windowMs: number): Sums {
  const sums: Sums = {};
  for (const [slot, counted] of slots) if (isRecent(slot, now, windowMs)) add(sums, counted);
  return sums;
}
