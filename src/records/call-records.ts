import type { CallCounts } from '../call/call-counts.ts';
import type { CallCost } from '../cost/call-cost.ts';
import type { TurnLatency } from '../dialects/native-messages.ts';
import type { Usage } from '../providers/ports.ts';

/**
 * The call's log outside the object that owns it (Supabase in this product). Every method is idempotent: the
 * outbox repeats a delivery until it succeeds, and a repeat changes nothing. Throws `RecordsError`.
 */
export interface CallRecords {
  /** Writes the row of a call that has begun. A repeat that arrives after `ended` must not re-open the row. */
  started(call: StartedCall, signal: AbortSignal): Promise<void>;
  /**
   * Adds turns to a call in progress, or repeats them; at most every 30 s. Of a call whose `started` has not
   * arrived yet it fails, retryable; of a call that has ended it changes nothing.
   */
  conversation(callId: string, turns: readonly RecordedTurn[], signal: AbortSignal): Promise<void>;
  /**
   * Completes the row, with every turn and every failure. Writes the row also where `started` never arrived.
   * The first end stands.
   */
  ended(call: EndedCall, signal: AbortSignal): Promise<void>;
  /** Adds what the call cost to its row; the first stands. Of a call whose `ended` has not arrived yet it fails, retryable. */
  costed(callId: string, cost: CallCost, signal: AbortSignal): Promise<void>;
}

export interface StartedCall {
  callId: string;
  userId: string;
  campaignId: string | null;
  phoneNumber: string | null;
  /** Milliseconds since the epoch. */
  startTime: number;
  /** `start_call.metadata` as the client sent it. */
  metadata: Record<string, unknown>;
}

export interface EndedCall extends StartedCall {
  status: 'ended' | 'failed';
  endReason: string;
  endTime: number;
  /** Object key in the recordings bucket, or null where the call was not recorded. */
  recording: string | null;
  turns: readonly RecordedTurn[];
  failures: readonly RecordedFailure[];
  /** Summed per provider and model. */
  usage: readonly Usage[];
  /** Attempts to connect the caller to somebody else, in order. */
  transfers: readonly RecordedTransfer[];
  /** How the conversation went; null where the call was lost before it could be told. */
  counts: CallCounts | null;
}

/** One turn of the transcript. */
export interface RecordedTurn {
  /** Place in the conversation, from 0, no gaps. With the call id it is the row's key. */
  position: number;
  role: 'caller' | 'agent';
  /** What was said; of the agent, what the caller heard of it. */
  text: string;
  /** Milliseconds from the start of the call (and so of the recording). */
  startMs: number;
  endMs: number;
  /** The agent was interrupted in it. */
  interrupted: boolean;
  /** Of an agent's turn that answers the caller. */
  latency: TurnLatency | null;
}

/**
 * How an attempt to connect the caller to somebody else came out. `no answer` includes a leg that told nothing in time; `abandoned`: the call
 * ended while it was tried (`endReason` says how); `unknown`: the line was lost meanwhile.
 */
export type TransferOutcome =
  | 'answered'
  | 'busy'
  | 'no answer'
  | 'declined'
  | 'unreachable'
  | 'failed'
  | 'abandoned'
  | 'unknown';

/** One attempt. Times are milliseconds since the epoch. */
export interface RecordedTransfer {
  /** A number in E.164, or a SIP address. */
  to: string;
  at: number;
  /** Null: nobody told of a telephone that rang. */
  ringingAt: number | null;
  endedAt: number;
  outcome: TransferOutcome;
  /** In the leg's own words, and its SIP status, where it told them. */
  cause: string | null;
  sipStatus: number | null;
}

/** A failure during the call, e.g. of a provider. */
export interface RecordedFailure {
  /** From 0, no gaps. */
  position: number;
  /** Milliseconds since the epoch. */
  at: number;
  code: string;
  /** Provider and model, where one was at fault. */
  provider: string | null;
  message: string;
}

/** The database did not take the record. */
export class RecordsError extends Error {
  override readonly name = 'RecordsError';
  /** False: repeating the same request cannot succeed (a constraint, a missing table, a wrong key). */
  readonly retryable: boolean;
  /** PostgREST's or Postgres' code, e.g. `23514`, `PGRST205`; null where the request never arrived. */
  readonly code: string | null;

  constructor(message: string, details: { retryable: boolean; code: string | null; cause?: unknown }) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.retryable = details.retryable;
    this.code = details.code;
  }
}
