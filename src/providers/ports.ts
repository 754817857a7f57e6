/**
 * The three ports through which a call reaches a vendor. An implementation is one file beside this one (or in
 * a folder of its vendor), one line in `registry.ts` and one test. Every method takes an `AbortSignal`: once it
 * has fired, the implementation releases what it holds and yields nothing more.
 */

/**
 * Every provider is made for one call. One that speaks over a socket connects when it is told to warm up, or at the first use.
 */
export interface Connectable {
  /** Gets ready for the first request while the call is being set up. Does not wait, and does not fail. */
  warm?(): void;
  /** The call is over: lets go of every connection. Idempotent. */
  close?(): void;
}

/** The provider that was asked first has failed; another one answers in its place. */
export interface Failover {
  type: 'failover';
  error: ProviderError;
}

/** What a vendor charged for, in the vendor's own units. Summed per turn and call into the usage ledger; priced by `src/cost`. */
export interface Usage {
  /** Provider and model, e.g. `openai/gpt-6-luna`. */
  provider: string;
  /** Seconds of audio transcribed, or of a session that is billed by its length. */
  audioSeconds?: number;
  /** All of them, with those that the next four count. */
  inputTokens?: number;
  /** Of `inputTokens`: read from the vendor's cache, and written to it, where that has a price of its own. */
  cachedInputTokens?: number;
  cacheWriteTokens?: number;
  /** Of `inputTokens`: audio; and of these, read from the cache (counted among `cachedInputTokens` too). */
  audioInputTokens?: number;
  cachedAudioInputTokens?: number;
  /** All of them; and of these, audio. */
  outputTokens?: number;
  audioOutputTokens?: number;
  /** Characters spoken. */
  characters?: number;
  /** The vendor told nothing, since nobody waited for it: a guess by what was asked for and what had come. See `unread-bills.ts`. */
  estimated?: true;
}

/** Of {@link Usage}, what can be added up. */
export const usageUnits = [
  'audioSeconds',
  'inputTokens',
  'cachedInputTokens',
  'cacheWriteTokens',
  'audioInputTokens',
  'cachedAudioInputTokens',
  'outputTokens',
  'audioOutputTokens',
  'characters',
] as const;
export type UsageUnit = (typeof usageUnits)[number];

// --- speech to text ---------------------------------------------------------------------------------------

export interface SpeechToText extends Connectable {
  /** Opens one session for one leg of a call. Does not wait: connecting happens behind it. */
  open(options: SpeechToTextOptions): SpeechToTextSession;
}

export interface SpeechToTextOptions {
  /** Rate of the samples that will be pushed, in Hz. */
  sampleRate: 8000 | 16000;
  /** BCP 47 tag, e.g. `en`; absent: the provider detects it. */
  language?: string;
  /** Words to expect: names, products, places. At most 100 of at most 50 characters. */
  keywords?: readonly string[];
  /** Ends the session; after it nothing is yielded. */
  signal: AbortSignal;
}

/** What a session hears, in the order in which the audio was pushed. */
export type SpeechToTextEvent =
  /**
   * The text so far of the utterance that is being spoken; replaces the previous interim text. `stable`: the caller has
   * paused, and everything up to the pause is in it; sent again for the pause where the text is the same.
   */
  | { type: 'interim'; utterance: number; text: string; stable?: boolean }
  /**
   * The provider's own judgement that the caller has finished the turn. `endUtterance` follows where the call agrees; without
   * it, the call decides by itself.
   */
  | { type: 'endOfTurn'; utterance: number }
  /** The language that was heard, as BCP 47 tag, where none was given. */
  | { type: 'language'; language: string }
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
export type Message =
  | { role: 'system' | 'user'; content: string }
  /** With `toolCalls`, one `tool` message for each of them follows; `content` is then what was said before, or empty. */
  | { role: 'assistant'; content: string; toolCalls?: readonly ToolCall[] }
  /** What a tool answered. */
  | { role: 'tool'; toolCallId: string; content: string };

/** The model asks for a tool. */
export interface ToolCall {
  /** The provider's id of it, unique in a conversation. */
  id: string;
  name: string;
  /** JSON of the arguments, as the model wrote it: it need be neither valid nor what the tool takes. */
  arguments: string;
}

/** A tool that the model may ask for. */
export interface ToolDefinition {
  /** 1 to 64 of `A-Z a-z 0-9 _ -`. */
  name: string;
  description: string;
  /** JSON Schema of the arguments, an object's. */
  parameters: Record<string, unknown>;
}

export interface LanguageModel extends Connectable {
  /** Streams one reply. Throws `ProviderError`. */
  reply(request: LanguageModelRequest, signal: AbortSignal): AsyncIterable<LanguageModelEvent>;
}

/** `quick` for small talk, `strong` for what needs thought. */
export type ModelTier = 'quick' | 'strong';

export interface LanguageModelRequest {
  messages: readonly Message[];
  /** Upper bound of the reply's length. */
  maxOutputTokens: number;
  temperature?: number;
  /** Which of the agent's models is to answer; where it has but one, that one does. Default `quick`. */
  tier?: ModelTier;
  /** Absent or empty: none. */
  tools?: readonly ToolDefinition[];
  /** As {@link TextToSpeechRequest.onLateBill}. */
  onLateBill?(usage: Usage): void;
}

export type LanguageModelEvent =
  | { type: 'text'; text: string }
  /** Whole, with all its arguments. A reply may hold several, and text before them. */
  | { type: 'toolCall'; call: ToolCall }
  /** No more text and no more tool calls follow; usage may. */
  | { type: 'finished' }
  | { type: 'usage'; usage: Usage }
  | Failover;

// --- text to speech ---------------------------------------------------------------------------------------

export interface TextToSpeech extends Pick<Connectable, 'close'> {
  /** As {@link Connectable.warm}. @param as how the first sentence will be spoken. */
  warm?(as: Omit<TextToSpeechRequest, 'text'>): void;
  /** Speaks one sentence. Yields audio as it arrives. Throws `ProviderError`. */
  speak(request: TextToSpeechRequest, signal: AbortSignal): AsyncIterable<TextToSpeechEvent>;
}

export interface TextToSpeechRequest {
  text: string;
  /** Rate of the samples to yield, in Hz: the leg's own. */
  sampleRate: 8000 | 16000;
  voice: string;
  /** BCP 47 tag of the text's language; absent: the provider tells by the text or the voice. */
  language?: string;
  /**
   * Told what is charged for this request and can be no `usage` event, since nobody reads the events any more: of what was interrupted or
   * given up. Never of what was told by an event.
   */
  onLateBill?(usage: Usage): void;
}

export type TextToSpeechEvent =
  | { type: 'audio'; samples: Int16Array }
  /** What was said in place of `text`, where a provider (a speech model) did not say it word for word. */
  | { type: 'wording'; text: string }
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

/** What a vendor's answer says of a failure beside its message; see {@link ProviderError}. */
export interface AnswerDetails {
  status?: number;
  retryAfterMs?: number;
  requestId?: string;
}

/** A vendor did not do what was asked of it. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  /** Provider and model, e.g. `openai/gpt-transcribe`. */
  readonly provider: string;
  readonly failure: ProviderFailure;
  /** HTTP status, where there was one. */
  readonly status?: number;
  /** How long the vendor asks to be left alone, in milliseconds (`Retry-After`), where it has told. */
  readonly retryAfterMs?: number;
  /** The vendor's own id of the request, by which its support finds it. */
  readonly requestId?: string;

  constructor(
    provider: string,
    failure: ProviderFailure,
    message: string,
    details?: AnswerDetails & { cause?: unknown },
  ) {
    super(message, details?.cause === undefined ? undefined : { cause: details.cause });
    this.provider = provider;
    this.failure = failure;
    if (details?.status !== undefined) this.status = details.status;
    if (details?.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    if (details?.requestId !== undefined) this.requestId = details.requestId;
  }
}
