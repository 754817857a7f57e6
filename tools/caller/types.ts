import type { Clock } from '../../src/call/clock.ts';
import type {
  AudioEncoding,
  NativeFeature,
  SampleRate,
  TurnLatency,
} from '../../src/dialects/native-messages.ts';
import type { Call } from './call.ts';
import type { CalleeName } from './callee.ts';
import type { FarEndName } from './ends/registry.ts';
import type { ReceivedMessage } from './server-messages.ts';

/** How to place a call. All times are milliseconds. */
export interface CallOptions {
  /** The service's `/ws/call-session`, `ws:` or `wss:`. */
  url: string;
  /** Goes into the URL and into `start_call`. Absent: one is made; with `resumeMs` 0, the one that the service announces. */
  callId?: string;
  /** Goes into `start_call` only, in place of `callId`. */
  startCallId?: string;
  /** Default `caller`. */
  userId?: string;
  metadata?: Record<string, string | number | boolean | null>;
  /** Whose end of the wire the caller is; absent: a client of the native dialect. Others neither come back nor choose their transport. */
  as?: FarEndName;
  /** Default `json`. */
  transport?: 'json' | 'binary';
  /** Default `mulaw`. */
  encoding?: AudioEncoding;
  /** Default 8000 Hz. */
  sampleRate?: SampleRate;
  /** Additive server messages to ask for. Default: all, `transfer` where there is a `callee`. */
  features?: readonly NativeFeature[];
  /** What becomes of a transfer that the service asks for. Absent: it is not offered to it. */
  callee?: CalleeName;
  /** Of the upgrade request, e.g. `Authorization`. */
  headers?: Record<string, string>;
  /** Longest wait for any one thing: the connection, a greeting, a reply, the close. Default 30,000. */
  timeoutMs?: number;
  /** Longest call; the script is cut off there. Default 300,000. */
  maxCallMs?: number;
  /** Quiet after a reply, with the service ready, that makes it over. Default 500; where no dialect tells that it is ready, 1,500. */
  settleMs?: number;
  /** How long a line that is lost is opened again, before the call counts as closed; 0: not at all. Default 30,000. */
  resumeMs?: number;
  /** Keep what was sent and heard for the report (16 or 32 kB a second each). Default true. */
  keepAudio?: boolean;
  clock?: Clock;
  /** Ends the call. */
  signal?: AbortSignal;
  onEvent?: (event: CallerEvent) => void;
  /** What the caller does. When it returns, the call is ended in order. */
  script: (call: Call) => Promise<void>;
}

/** What happens in the call, as it happens. `atMs` counts from the call's first frame. */
export type CallerEvent = { atMs: number } & (
  | { type: 'ready'; callId: string; resumeToken: string | null }
  /** Every text message of the service, audio apart, as it came. */
  | { type: 'message'; message: ReceivedMessage }
  /** The first audio of a sentence of the agent's has arrived; `text` is empty where the service names none. */
  | { type: 'sentence'; text: string }
  | { type: 'said'; utterance: Utterance }
  | { type: 'reply'; reply: Reply; utterance: Utterance | null }
  /** The line is lost. The call goes on without it: what is said meanwhile is lost. */
  | { type: 'dropped'; code: number; reason: string }
  /** The service has taken the call up again on another connection. */
  | { type: 'resumed'; afterMs: number; attempts: number }
  /** Whom the service connects the caller to. */
  | { type: 'callee'; state: 'ringing' | 'answered' | 'failed'; cause: string | null }
  | { type: 'closed'; code: number; reason: string }
);

/** One utterance of the caller. Times are milliseconds from the call's first frame. */
export interface Utterance {
  index: number;
  /** What the script calls it, e.g. the text that was synthesised. */
  label: string;
  startMs: number;
  endMs: number;
  /** Its voiced part, by level. */
  voicedStartMs: number;
  voicedEndMs: number;
  /** What the service understood: its final transcripts, joined; null if it sent none. */
  heardAs: string | null;
  reply: Reply | null;
}

/** What the agent said without the caller speaking between. Times are milliseconds from the call's first frame. */
export interface Reply {
  /** The sentences, joined by spaces. */
  text: string;
  sentences: readonly { text: string; startMs: number }[];
  /** From the caller's last voiced sample sent to the first audio of the reply received; null for the greeting. */
  latencyMs: number | null;
  /** The service's own account of the same turn, if it sent one. */
  service: TurnLatency | null;
  /** Where it was heard, first to last sample. */
  startMs: number;
  endMs: number;
  /** The call ended before it was over. */
  cutShort: boolean;
}

/** A time without a line. Milliseconds; `atMs` from the call's first frame. */
export interface Drop {
  atMs: number;
  /** How long it lasted; null: to the end of the call. */
  lastedMs: number | null;
  /** How the connection ended. */
  code: number;
  reason: string;
}

/** A call that was placed, to its end. */
export interface CallReport {
  callId: string;
  resumeToken: string | null;
  sampleRate: SampleRate;
  /** Milliseconds since the epoch: the call's first frame. */
  startedAt: number;
  /** From the first frame to the last. */
  durationMs: number;
  greeting: Reply | null;
  utterances: readonly Utterance[];
  /** Final and interim, in order of arrival. */
  transcript: readonly { role: 'caller' | 'agent'; text: string; final: boolean; atMs: number }[];
  /** The service's `error` messages. */
  errors: readonly { code: string; message: string; atMs: number }[];
  drops: readonly Drop[];
  /** Close code and reason; null if the socket did not close in time. */
  close: { code: number; reason: string } | null;
  frames: { sent: number; received: number; latestMs: number; slippedMs: number };
  playout: { underruns: number; underrunMs: number; overflows: number; clears: number };
  /** What the caller heard and said, sample 0 at `startedAt`; empty without `keepAudio`. */
  heard: Int16Array;
  sent: Int16Array;
}
