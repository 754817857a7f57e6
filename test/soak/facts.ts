import type { CallPlan } from './plan.ts';

/** What is known of a call when it is over: from its caller, from the service's records. Times are milliseconds from the first frame. */

export interface Said {
  text: string;
  startMs: number;
  endMs: number;
  /** Of its own sound. */
  loudMs: number;
  /** Words of the right answer. */
  answer: RegExp;
  /** Null: none was waited for, or none came. */
  reply: Heard | null;
  /** Whether the caller waited for an answer. */
  waited: boolean;
}

/** Something that the agent said. */
export interface Heard {
  startMs: number;
  endMs: number;
  /** Its sentences; empty where the dialect tells no text. */
  sentences: string[];
  /** From the caller's last voiced sample to its first audio; null for what answers nothing. */
  latencyMs: number | null;
}

/** The caller's own account of a call. */
export interface Told {
  callId: string;
  /** The service has accepted `start_call`. */
  begun: boolean;
  /** Why the script did not come to its end. */
  failure: string | null;
  errors: string[];
  /** Close code; null: the socket did not close in time. */
  close: number | null;
  /** From the first frame to the last. */
  durationMs: number;
  /** Length of what was sent. */
  sentMs: number;
  said: Said[];
  greeting: Heard | null;
  /** How often the caller came back to the call. */
  resumes: number;
  /** The longest that a frame was late, and what was skipped: the caller's own fault. */
  lateMs: number;
  skippedMs: number;
  /** Milliseconds of this process's clock. */
  beganAt: number;
  endedAt: number;
  /** Where another than the call's own socket was opened: what came of it. */
  knocks: Knock[];
}

/** A socket that brought no call of its own: which errors it was told, and how it was closed. */
export interface Knock {
  expected: { error: string | null; close: number };
  errors: string[];
  close: number | null;
}

export interface Turn {
  position: number;
  role: 'caller' | 'agent';
  text: string;
  startMs: number;
  endMs: number;
  interrupted: boolean;
}

/** The call's row in `call_logs`. */
export interface Row {
  callId: string;
  status: string;
  reason: string | null;
  durationMs: number | null;
  recording: string | null;
  transcript: Turn[];
}

/** Both sides of a call, sample 0 at its beginning. */
export interface Recording {
  sampleRate: number;
  caller: Int16Array;
  agent: Int16Array;
}

/** What the service has kept. */
export interface Records {
  rows: Row[];
  /** Rows of `call_turns`. */
  turns: number;
  /** Null: there is none; a text: what is wrong with the file. */
  recording: Recording | string | null;
}

export interface EndedCall {
  plan: CallPlan;
  told: Told;
  records: Records;
}

/** Something that must not be. Without a call: of the run. */
export interface Violation {
  callId: string | null;
  kind: string;
  what: string;
}

/** How a call has to end. */
export interface Expected {
  /** It has a row. */
  logged: boolean;
  reason: string;
  /** Error codes that must have come, and that may. */
  errors: { must: readonly string[]; may: readonly string[] };
  close: number;
}
