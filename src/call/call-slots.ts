import type { Clock } from './clock.ts';
import type { Refusal } from './returning-leg.ts';
import { within } from './within.ts';

/** Names a call among its user's: an id may be used again later. */
export interface CountedCall {
  callId: string;
  userId: string;
  /** Milliseconds since the epoch. */
  startTime: number;
}

/** In place of a start: a call that is being dialled, which has its place from then on. */
export const DIALLED = 0;

/** Who counts the calls of a user. Every method is idempotent, and rejects where nobody answers. */
export interface UserCalls {
  /** Counts the call, unless its user has as many as allowed. A call that is counted already is counted once. */
  take(call: CountedCall): Promise<'taken' | 'full'>;
  /** The call lives: it is counted for another lease, whether it was or not. Returns how long that is, in milliseconds; an object of an older version nothing. */
  renew(call: CountedCall): Promise<number | undefined>;
  release(call: CountedCall): Promise<void>;
}

/** Whether a call may begin. `failure`: why its user's calls could not be counted; null where they were. */
export type Slot =
  | { granted: true; failure: string | null }
  | { granted: false; refusal: Refusal; failure: null };

/** Bounds how many calls a user has at once. */
export interface CallSlots {
  /** How often a call that lives has to call `renew`. */
  readonly renewMs: number;
  /** Never rejects. A user whose calls cannot be counted may call: the first renewal counts the call. */
  take(call: CountedCall): Promise<Slot>;
  /** Not waited for; one that gets lost is made up for by the next. Asks nobody while the lease is long enough without. */
  renew(call: CountedCall): void;
  /** Not waited for; one that gets lost is made up for by the end of the lease. */
  release(call: CountedCall): void;
}

/** How long a call is counted of which nothing is heard: two renewals may get lost between two that arrive. */
export const LEASE_MS = 150_000;
/** A request and a row written, every time: all of them cost less than a fiftieth of the call's own object (ARCHITECTURE.md, "Limits"). */
export const RENEW_MS = 45_000;
/** The longest wait: a caller hears nothing meanwhile. */
const TIMEOUT_MS = 2_000;

/** How long after a renewal none is needed: as many go to a lease as usually; half an interval is for timers that are early. */
export function quietMs(leaseMs: number): number {
  return (leaseMs * RENEW_MS) / LEASE_MS - RENEW_MS / 2;
}

export interface CallSlotsOptions {
  calls: UserCalls;
  clock: Clock;
  /** Keeps the object alive until it is done; what it rejects with is for the log. */
  background(work: Promise<void>): void;
}

export function callSlots({ calls, clock, background }: CallSlotsOptions): CallSlots {
  const release = (call: CountedCall) => background(within(clock, TIMEOUT_MS, () => calls.release(call)));
  /** Until then the lease of an object's call needs no renewal: leases of users with very many calls are longer. */
  let quietUntil = Number.NEGATIVE_INFINITY;
  const renew = async (call: CountedCall) => {
    const now = clock.now();
    const leaseMs = await within(clock, TIMEOUT_MS, () => calls.renew(call));
    if (leaseMs !== undefined) quietUntil = now + quietMs(leaseMs);
  };
  return {
    renewMs: RENEW_MS,
    release,
    renew(call) {
      if (clock.now() >= quietUntil) background(renew(call));
    },
    async take(call) {
      quietUntil = Number.NEGATIVE_INFINITY;
      try {
        const answer = await within(clock, TIMEOUT_MS, () => calls.take(call));
        return answer === 'taken'
          ? { granted: true, failure: null }
          : { granted: false, refusal, failure: null };
      } catch (error) {
        const failure = `not counted: ${error instanceof Error ? error.message : String(error)}`;
        return { granted: true, failure };
      }
    },
  };
}

const refusal: Refusal = {
  code: 'TOO_MANY_CALLS',
  message: 'This user has as many calls at once as are allowed',
  closing: 'refused',
};
