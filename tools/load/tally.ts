import { Histogram, type HistogramParts } from './histogram.ts';

const counters = [
  /** Calls that were begun. */
  'placed',
  /** The service took the call; with carriers, who are told nothing: the socket is open. */
  'accepted',
  /** Calls in which the agent spoke before the caller did. */
  'greeted',
  /** Not taken yet when the test was over. */
  'cancelled',
  /** Ended by the caller, in order. */
  'ended',
  /** Ended by the service in order (close code 1000). */
  'endedByService',
  /** What callers said and waited after, and how much of it was answered before they went on; not what the call's end cut off. */
  'said',
  'answered',
  'framesSent',
  /** Of these, frames of speech. */
  'framesSpoken',
  /** Messages with the agent's audio, and its length. */
  'audioMessages',
  'audioMs',
  'pings',
  /** Pings without an answer in time. */
  'pingsLost',
  /** Time that this process could not catch up with: its frames were never sent. */
  'slippedMs',
] as const;
export type Counter = (typeof counters)[number];

const histograms = ['setUpMs', 'greetingMs', 'roundTripMs', 'answerMs', 'lateMs'] as const;
export type Measure = (typeof histograms)[number];

/** How a call went wrong. */
export const faults = ['refused', 'dropped', 'failed'] as const;
export type Fault = (typeof faults)[number];

/** Different reasons that are kept apart, and what they look like; others count as `OTHER`: a service can make them up. */
const mostReasons = 50;
const reasonForm = /^[A-Za-z0-9_.-]{1,64}$/;

/** A tally as it goes from process to process. */
export interface TallyParts {
  counts: Record<Counter, number>;
  faults: Record<Fault, Record<string, number>>;
  /** `error` messages in calls that went on, by code. */
  errors: Record<string, number>;
  measures: Record<Measure, HistogramParts>;
}

/** What happened, in bounded memory; tallies of processes and of stretches of time add up. */
export class Tally {
  #counts = fromKeys(counters, () => 0);
  #faults = fromKeys(faults, () => new Map<string, number>());
  #errors = new Map<string, number>();
  #measures = fromKeys(histograms, () => new Histogram());

  count(counter: Counter, more = 1): void {
    this.#counts[counter] += more;
  }

  measure(what: Measure, ms: number, times = 1): void {
    this.#measures[what].add(ms, times);
  }

  /** @param reason an error code, or what the caller calls it. */
  fault(fault: Fault, reason: string, more = 1): void {
    countReason(this.#faults[fault], reason, more);
  }

  error(code: string, more = 1): void {
    countReason(this.#errors, code, more);
  }

  of(counter: Counter): number {
    return this.#counts[counter];
  }

  histogram(what: Measure): Histogram {
    return this.#measures[what];
  }

  reasons(fault: Fault): Record<string, number> {
    return Object.fromEntries(this.#faults[fault]);
  }

  get errors(): Record<string, number> {
    return Object.fromEntries(this.#errors);
  }

  /** Calls that went wrong, in one way or in any. */
  faults(fault?: Fault): number {
    const kinds = fault === undefined ? faults : [fault];
    return kinds.flatMap((kind) => [...this.#faults[kind].values()]).reduce((sum, times) => sum + times, 0);
  }

  merge(parts: TallyParts): void {
    for (const counter of counters) this.count(counter, parts.counts[counter]);
    for (const fault of faults) {
      for (const [reason, more] of Object.entries(parts.faults[fault])) this.fault(fault, reason, more);
    }
    for (const [code, more] of Object.entries(parts.errors)) this.error(code, more);
    for (const what of histograms) this.#measures[what].merge(parts.measures[what]);
  }

  /** What has been counted since it was taken last. */
  take(): TallyParts {
    const parts = {
      counts: this.#counts,
      faults: fromKeys(faults, (fault) => this.reasons(fault)),
      errors: this.errors,
      measures: fromKeys(histograms, (what) => this.#measures[what].parts()),
    };
    this.#counts = fromKeys(counters, () => 0);
    this.#faults = fromKeys(faults, () => new Map<string, number>());
    this.#errors = new Map();
    this.#measures = fromKeys(histograms, () => new Histogram());
    return parts;
  }
}

function countReason(reasons: Map<string, number>, reason: string, more: number): void {
  const known = reasons.has(reason) || (reasons.size < mostReasons && reasonForm.test(reason));
  const kept = known ? reason : 'OTHER';
  reasons.set(kept, (reasons.get(kept) ?? 0) + more);
}

function fromKeys<K extends string, V>(keys: readonly K[], make: (key: K) => V): Record<K, V> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<K, V>;
}
