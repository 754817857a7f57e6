/**
 * The three ports through which a call reaches a vendor. An implementation is one file beside this one (or in
 * a folder of its vendor), one line in `registry.ts` and one test. Every method takes an `AbortSignal`: once it
 * has fired, the implementation releases what it holds and yields nothing more.
 */

/** The provider that was asked first has failed; another one answers in its place. */
export interface Failover {
  type: 'failover';
  error: ProviderError;
}

/** What a vendor charged for, in the vendor's own units. Summed per call into the usage ledger. */
export interface Usage {
  /** Provider and model, e.g. `openai/gpt-6-luna`. */
  provider: string;
  /** Seconds of audio transcribed. */
  audioSeconds?: number;
  inputTokens?: number;
  outputTokens?: number;
  /** Characters spoken. */
  characters?: number;
}

// --- speech to text ---------------------------------------------------------------------------------------

export interface SpeechToText {
  /** Opens one session for one leg of a call. Does not wait: connecting happens behind it. */
  open(options: SpeechToTextOptions): SpeechToTextSession;
}

export interface SpeechToTextOptions {
  /** Rate of the samples that will be pushed, in Hz. */
  sampleRate: 8000 | 16000;
  /** BCP 47 tag, e.g. `en`; absent: the provider detects it. */
  language?: string;
  /** Ends the session; after it nothing is yielded. */
  signal: AbortSignal;
}

/** What a session hears, in the order in which the audio was pushed. */
export type SpeechToTextEvent =
  /** The text so far of the utterance that is being spoken; replaces the previous interim text. */
  | { type: 'interim'; utterance: number; text: string }
  /**
   * The whole text of an utterance; empty if nothing was understood. Exactly one for each `endUtterance`. `lost`: why
   * a part of it could not be transcribed.
   */
  | { type: 'final'; utterance: number; text: string; lost?: ProviderError }
  /** This utterance could not be transcribed, all retries spent. Stands in place of its `final`. */
  | { type: 'failed'; utterance: number; error: ProviderError }
  | { type: 'usage'; usage: Usage }
  | Failover;

export interface SpeechToTextSession {
  /** Audio of the utterance being spoken, 16-bit PCM. Keeps no reference to `samples`. */
  push(samples: Int16Array): void;
  /**
   * The caller has paused: the utterance may be over. What follows is either `endUtterance`, with no audio in between,
   * or more audio. A session may use the time to get its text ready.
   */
  pause(): void;
  /** The utterance is over. Returns its number (from 0); its `final` or `failed` event follows. */
  endUtterance(): number;
  /** Drops what has been pushed since the last `endUtterance`: it was no speech. */
  discardUtterance(): void;
  /** Iterated once, by the call. Ends when the session's signal fires. */
  readonly events: AsyncIterable<SpeechToTextEvent>;
}

// --- language model ---------------------------------------------------------------------------------------

/** One entry of the conversation as the language model sees it. */
export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface LanguageModel {
  /** Streams one reply. Throws `ProviderError`. */
  reply(request: LanguageModelRequest, signal: AbortSignal): AsyncIterable<LanguageModelEvent>;
}

export interface LanguageModelRequest {
  messages: readonly Message[];
  /** Upper bound of the reply's length. */
  maxOutputTokens: number;
  temperature?: number;
}

export type LanguageModelEvent =
  | { type: 'text'; text: string }
  /** No more text follows; usage may. */
  | { type: 'finished' }
  | { type: 'usage'; usage: Usage }
  | Failover;

// --- text to speech ---------------------------------------------------------------------------------------

export interface TextToSpeech {
  /** Speaks one sentence. Yields audio as it arrives. Throws `ProviderError`. */
  speak(request: TextToSpeechRequest, signal: AbortSignal): AsyncIterable<TextToSpeechEvent>;
}

export interface TextToSpeechRequest {
  text: string;
  /** Rate of the samples to yield, in Hz: the leg's own. */
  sampleRate: 8000 | 16000;
  voice: string;
}

export type TextToSpeechEvent =
  | { type: 'audio'; samples: Int16Array }
  | { type: 'usage'; usage: Usage }
  | Failover;

// --- failures ---------------------------------------------------------------------------------------------

/** Why a provider failed, so far as it decides what to do next. */
export type ProviderFailure =
  /** No answer, or no next piece of it, within the time allowed. */
  | 'timeout'
  /** HTTP 429. */
  | 'rate_limited'
  /** HTTP 5xx, or the connection was refused or cut. */
  | 'unavailable'
  /** HTTP 401 or 403: a key is missing, wrong or not entitled. */
  | 'unauthorized'
  /** Any other 4xx: the request itself is wrong, e.g. an unknown model. Never retried. */
  | 'rejected'
  /** The answer could not be understood, or was empty where it must not be. */
  | 'malformed';

/** A vendor did not do what was asked of it. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  /** Provider and model, e.g. `openai/gpt-transcribe`. */
  readonly provider: string;
  readonly failure: ProviderFailure;
  /** HTTP status, where there was one. */
  readonly status?: number;

  constructor(
    provider: string,
    failure: ProviderFailure,
    message: string,
    details?: { status?: number; cause?: unknown },
  ) {
    super(message, details?.cause === undefined ? undefined : { cause: details.cause });
    this.provider = provider;
    this.failure = failure;
    if (details?.status !== undefined) this.status = details.status;
  }
}
