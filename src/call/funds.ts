import type { Clock } from './clock.ts';
import type { Refusal } from './returning-leg.ts';
import { within } from './within.ts';

/** Names a call in the books: an id may be used again later. */
export interface PaidCall {
  callId: string;
  userId: string;
  /** Milliseconds since the epoch. */
  startTime: number;
}

/** What the books say to a call that is about to begin. */
export type Reservation =
  /** Paid for so long at most. */
  | { outcome: 'reserved'; seconds: number }
  /** `over`: the call was settled or released already. */
  | { outcome: 'insufficient funds' | 'blocked' | 'no account' | 'over' };

/** What became of a call's charge. Amounts are in the operator's currency. */
export type Settlement =
  /** `uncollected`: what the call cost beyond what the account had. */
  | { outcome: 'charged'; charged: number; uncollected: number }
  | { outcome: 'repeated' }
  | { outcome: 'no account' };

/** The accounts' books, outside the object that owns the call. Every method is idempotent; each rejects where nobody answers. */
export interface Books {
  /** Sets aside the price of `mostSeconds`, or of what the account can pay for, but not of less than `leastSeconds`. */
  reserve(
    call: PaidCall,
    seconds: { leastSeconds: number; mostSeconds: number },
    signal: AbortSignal,
  ): Promise<Reservation>;
  /** Charges a call that has ended, reserved or not, and gives back the rest of what was set aside. */
  settle(call: PaidCall, seconds: number, signal: AbortSignal): Promise<Settlement>;
  /** Gives back what was set aside for a call that did not begin. */
  release(call: PaidCall, signal: AbortSignal): Promise<void>;
}

/** Whether a call may begin. `failure`: why the books could not be asked; null where they answered. */
export type Funds =
  | { granted: true; limitMs: number; failure: string | null }
  | { granted: false; refusal: Refusal; failure: string | null };

/** Pays for calls. */
export interface CallFunds {
  /** Sets aside what the call may cost. Never rejects. */
  reserve(call: PaidCall): Promise<Funds>;
  /** No call came of it: what was set aside goes back. Not waited for; what gets lost expires in the books. */
  release(call: PaidCall): void;
}

export interface CallFundsOptions {
  /** Connected when a call needs it. */
  books: () => Pick<Books, 'reserve' | 'release'>;
  clock: Clock;
  /** The longest call. */
  callMs: number;
  /** A call that cannot be paid for so long does not begin. */
  leastSeconds: number;
  /** The longest wait for the books. */
  timeoutMs: number;
  /** Whether a call begins where the books do not answer. It is settled from what there is when it has ended. */
  withoutAnswer: 'allow' | 'refuse';
  /** Keeps the object alive until it is done; what it rejects with is for the log. */
  background(work: Promise<void>): void;
}

export function callFunds(options: CallFundsOptions): CallFunds {
  const { books, clock, timeoutMs, callMs, withoutAnswer } = options;
  const mostSeconds = Math.ceil(callMs / 1000);
  const leastSeconds = Math.min(options.leastSeconds, mostSeconds);

  const release = (call: PaidCall) =>
    options.background(within(clock, timeoutMs, (signal) => books().release(call, signal)));

  return {
    release,
    async reserve(call) {
      let reservation: Reservation;
      try {
        reservation = await within(clock, timeoutMs, (signal) =>
          books().reserve(call, { leastSeconds, mostSeconds }, signal),
        );
      } catch (error) {
        const failure = `nothing was reserved: ${error instanceof Error ? error.message : String(error)}`;
        if (withoutAnswer === 'allow') return { granted: true, limitMs: callMs, failure };
        // It may have been reserved all the same: only the answer got lost.
        release(call);
        return { granted: false, failure, refusal: noAnswer };
      }
      if (reservation.outcome === 'reserved') {
        return { granted: true, limitMs: Math.min(callMs, reservation.seconds * 1000), failure: null };
      }
      return { granted: false, refusal: refusals[reservation.outcome], failure: null };
    },
  };
}

const noAnswer: Refusal = {
  code: 'INTERNAL_ERROR',
  message: 'The account could not be asked: try again later',
  closing: 'error',
};

/** Of the books' answers. Whether there is an account is nobody's business who has to guess its name. */
const notYours: Refusal = {
  code: 'UNAUTHORIZED',
  message: 'This user may not call',
  closing: 'refused',
};
const refusals: Record<Exclude<Reservation['outcome'], 'reserved'>, Refusal> = {
  'insufficient funds': {
    code: 'INSUFFICIENT_FUNDS',
    message: 'The account cannot pay for this call',
    closing: 'refused',
  },
  blocked: notYours,
  'no account': notYours,
  over: { code: 'CALL_ID_IN_USE', message: 'This call is over', closing: 'id in use' },
};

/** The seconds that a call is charged for, each one begun: no more than were paid for, however late its end was noticed. */
export function billedSeconds(startTime: number, endTime: number, limitMs: number): number {
  return Math.ceil(Math.min(limitMs, Math.max(0, endTime - startTime)) / 1000);
}
