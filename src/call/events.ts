import type { ErrorCode, TurnLatency } from '../dialects/native-messages.ts';
import type { RedactionKind } from '../privacy/kinds.ts';
import type { ProviderFailure, Usage } from '../providers/ports.ts';
import type { RecordedTransfer, RecordedTurn, StartedCall } from '../records/call-records.ts';
import type { Afterwards } from '../tools/afterwards.ts';
import type { ToolRun } from '../tools/tool.ts';
import type { CallTraceFacts } from '../tracing/trace-context.ts';
import type { AnswerVerdict } from './answer-detection.ts';
import type { CallCounts } from './call-counts.ts';
import type { OverlapKind } from './overlap.ts';
import type { HeardSentence, OwedAnswer } from './past-call.ts';
import type { PendingTransfer } from './transfer.ts';

/**
 * Everything that happens in a call, as one stream. The socket, the journal, the log and the metrics listen to
 * it; call logic writes to nothing else (audio apart, which goes through `Playout`).
 */
export type CallEvent =
  /** The socket stands and `start_call` may come. `callId` is the one in the URL, or a minted one. */
  | { type: 'leg.accepted'; callId: string; resumeToken: string | null }
  /** The socket is gone without a hang-up. The call waits for its client to come back. */
  | { type: 'leg.lost' }
  /** The client came back, on another socket; the conversation goes on. */
  | { type: 'leg.resumed'; callId: string; afterMs: number }
  /** `start_call` was accepted. */
  | { type: 'call.started'; call: StartedCallFacts }
  /** The agent listens: after the start, and after each turn. */
  | { type: 'listening' }
  /**
   * The caller spoke over the agent. `interrupted`: the agent stopped for good; `resumed`: it fell silent and went on, since
   * it was a backchannel, an echo or nothing.
   */
  | { type: 'overlap'; outcome: 'interrupted' | 'resumed'; because: OverlapKind | 'nothing'; text: string }
  /** The caller goes on before he has heard anything of the answer: it is taken back, and the turn goes on. */
  | { type: 'turn.reopened' }
  /** A caller's turn is over and its answer is being made. */
  | { type: 'thinking'; turn: number }
  /**
   * A sentence of the agent's: `planned`, it is to be said; `heard`, the caller has heard it to its end; `written`, no
   * more of the turn is to come; `over`, the turn is, and in the record. What is planned and not heard when the object dies is said again.
   * `partly`, from time to time: all that was heard so far of a turn that a model speaks by itself.
   */
  | { type: 'agent.sentence'; state: 'planned'; text: string }
  | { type: 'agent.sentence'; state: 'written' }
  | { type: 'agent.sentence'; state: 'over' }
  | ({ type: 'agent.sentence'; state: 'heard' | 'partly' } & HeardSentence)
  /** What tools want done once the agent's words were heard: all of it, in place of what was told before. */
  | { type: 'agent.acts'; acts: readonly Afterwards[] }
  /** The caller is being connected to somebody else: `asked` for, `ringing` there, `over`. While it is tried nobody hears or says anything. */
  | { type: 'transfer'; state: 'asked' | 'ringing'; transfer: PendingTransfer }
  | { type: 'transfer'; state: 'over'; transfer: RecordedTransfer }
  /** What the agent owes since the call was taken up again. From the first sentence of it on that is the turn's own affair. */
  | { type: 'agent.owes'; owed: OwedAnswer | null }
  /** The caller's voice begins, or an utterance of his is over. */
  | { type: 'caller.voice'; speaking: boolean }
  /** Who has answered a call that we placed: as we judge, or as the node does, which counts before. */
  | ({ type: 'answer.judged'; by: 'service' | 'node'; afterMs: number } & AnswerVerdict)
  /** What the caller says. Interim text replaces the interim text before it. */
  | { type: 'transcript'; role: 'caller' | 'agent'; turn: number; text: string; final: boolean }
  /** A turn is over and belongs to the record: the caller's words, or what was heard of the agent's. One of a position that was told before replaces it. */
  | { type: 'turn.recorded'; turn: RecordedTurn }
  | ({ type: 'latency'; turn: number } & TurnLatency)
  | { type: 'dtmf'; digit: string; durationMs: number }
  /** The leg has played everything up to this mark. */
  | { type: 'mark.played'; name: string }
  /** The language that the caller speaks, as a BCP 47 tag: it is another one than was known. */
  | { type: 'language.heard'; language: string }
  /** A bill. `turn`: the number of the turn that caused it, be it the caller's words or their answer; null: the call as a whole. */
  | { type: 'usage'; usage: Usage; turn: number | null }
  /** A sentence that could have been ready audio was looked up. */
  | { type: 'cache'; hit: boolean }
  /** A speech model said other words than it was given. */
  | { type: 'wording'; asked: string; said: string }
  /** A tool was run at the model's wish: what it did is a fact from now on. */
  | { type: 'tool.ran'; run: ToolRun }
  /** An answer that was begun before the turn was over: used, or thrown away since the caller went on. */
  | { type: 'speculation'; used: boolean; characters: number }
  /** How the conversation went; once, before `call.closed`. */
  | { type: 'call.counted'; counts: CallCounts }
  /** The leg did something that the protocol forbids. The call goes on. */
  | { type: 'leg.error'; code: ErrorCode; message: string }
  /**
   * Something failed on our side; belongs to the record. The call goes on unless `call.ended` follows. `requestId`: the vendor's own id of the
   * request that failed, where it has told.
   */
  | { type: 'failure'; code: FailureCode; provider: string | null; message: string; requestId?: string }
  /** The leg was turned away, or went, before its call began; nothing is kept of it. */
  | { type: 'leg.closed'; closing: string; refusal?: { code: ErrorCode; message: string } }
  /** Nobody will hear or say anything more. Late transcripts may still follow, until `call.closed`. */
  | { type: 'call.ended'; reason: EndReason; status: 'ended' | 'failed' }
  /** The last event of a call: everything that can be known of it has been said. */
  | { type: 'call.closed'; reason: EndReason; status: 'ended' | 'failed'; endTime: number };

/** What is fixed when a call starts. `startTime` is sample 0 of the recording. */
export interface StartedCallFacts extends StartedCall {
  /** Rate of the leg's audio and of the spooled recording, in Hz. */
  sampleRate: 8000 | 16000;
  /** Whether the call is recorded. */
  recording: boolean;
  /** What is taken out of the stored transcript; missing where the call began under an older version. */
  redaction?: readonly RedactionKind[];
  /** Samples of each chunk of the recording but the last. */
  chunkSamples: number;
  /** Who started it: kind and id of the principal. Missing in calls from before there were any. */
  startedBy?: string;
  /** Where its trace is. Missing in calls from before there were any. */
  trace?: CallTraceFacts;
  /** Of a call that is paid for: how long it is. Missing where calls cost nothing. */
  funds?: { limitMs: number };
}

/** Why a call ended. `call_logs.end_reason` holds it. */
export type EndReason =
  /** The client sent `end_call`, or the dialect's own hang-up. */
  | 'hangup'
  /** The socket closed or broke without it, or the object was restarted under the call. */
  | 'disconnected'
  /** The longest call's time (`WEBSOCKET_TIMEOUT`) was over. */
  | 'time limit'
  /** What the account could pay for is used up. */
  | 'funds used up'
  /** No frame within `IDLE_TIMEOUT`. */
  | 'idle'
  /** The agent hung up: a tool of its own. */
  | 'agent hangup'
  /** Somebody else has the caller now. */
  | 'transferred'
  /** A machine has answered a call that we placed. */
  | 'answering machine'
  /** The caller said nothing for too long; the agent said goodbye. */
  | 'caller silent'
  /** The leg broke the protocol too often, or sent too fast. */
  | 'protocol'
  /** The service failed. */
  | 'error';

/** `UNRESERVED`: the books did not answer; the call was taken without a reservation, or refused. */
export type FailureCode =
  | `PROVIDER_${Uppercase<ProviderFailure>}`
  | 'INTERNAL_ERROR'
  | 'UNRESERVED'
  /** Nobody counted the call among its user's before it began. */
  | 'UNCOUNTED';

/** Listens to one call. Must not throw; if it does, the others still hear the event. */
export type CallListener = (event: CallEvent, at: number) => void;

/** Distributes a call's events, synchronously and in order, to every listener. */
export class CallEvents {
  readonly #listeners: CallListener[] = [];
  readonly #now: () => number;
  readonly #onListenerError: (error: unknown) => void;

  constructor(now: () => number, onListenerError: (error: unknown) => void) {
    this.#now = now;
    this.#onListenerError = onListenerError;
  }

  listen(listener: CallListener): void {
    this.#listeners.push(listener);
  }

  emit(event: CallEvent): void {
    const at = this.#now();
    for (const listener of this.#listeners) {
      try {
        listener(event, at);
      } catch (error) {
        this.#onListenerError(error);
      }
    }
  }
}
