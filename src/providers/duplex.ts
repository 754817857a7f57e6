import type { Connectable, Message, ProviderError, Usage } from './ports.ts';

/**
 * The port of one model that listens and speaks at the same time. It decides by itself when to speak and when to stop: nobody ends
 * an utterance, asks for a response, cancels or truncates one. What the caller is given to hear of it is the call's affair.
 */
export interface Duplex extends Connectable {
  /** Provider and model, e.g. `openai/gpt-live-1`: who has served a turn. */
  readonly provider: string;
  /** Opens the conversation of one leg. Does not wait: connecting happens behind it. */
  open(options: DuplexOptions): DuplexSession;
}

export interface DuplexOptions {
  /** Rate of the samples in both directions, in Hz. */
  sampleRate: 8000 | 16000;
  /** The system prompt. It stands for the whole conversation. */
  instructions: string;
  voice: string;
  /** What was said so far, as it was heard. Asked whenever a session of the vendor's begins: the first, and each that takes its place. */
  history(): readonly Message[];
  /** Ends the conversation at once; after it nothing is yielded. */
  signal: AbortSignal;
}

/**
 * What comes of the model. Positions are milliseconds on the model's line, which begins with its first audio and goes on over
 * lost sessions; texts lie on the same line, as exactly as the vendor tells.
 */
export type DuplexEvent =
  /** A session of the vendor's begins: the model listens. Whatever the session before it was saying is over. */
  | { type: 'begun' }
  /** The session is lost, and another one is being made. What the caller says meanwhile is kept for it. */
  | { type: 'lost'; error: ProviderError }
  /** The model's line, in real time, the silence between its speeches included. */
  | { type: 'audio'; samples: Int16Array; atMs: number }
  /** More of what the caller says: a piece of text with its own spaces, at most some words. No turn ends and no text is final. */
  | { type: 'callerText'; text: string; fromMs: number; untilMs: number }
  /** More of what the model says. */
  | { type: 'agentText'; text: string; fromMs: number; untilMs: number }
  /**
   * The model wants something found out or done and goes on talking meanwhile. What it is stands in the conversation only. `answer`
   * follows, once or more.
   */
  | { type: 'delegated'; delegation: string }
  /** The vendor refused something; the conversation goes on. */
  | { type: 'refused'; error: ProviderError }
  /** Since the last one. */
  | { type: 'usage'; usage: Usage };

/** What is told the model while it has no session is dropped: the next one begins with the whole history. */
export interface DuplexSession {
  /** The caller's audio, silence included: the model's time stands still without. Keeps no reference to `samples`. */
  push(samples: Int16Array): void;
  /** Something to know and not to say. */
  note(text: string): void;
  /** Something to act upon now, even in the middle of a speech. From the call itself, never from the caller. */
  instruct(text: string): void;
  /** A result of what was delegated, to be told the caller in the model's own words. */
  answer(delegation: string, text: string): void;
  /** The conversation is over. Words and usage that are still to come are told, then `events` ends. */
  end(): void;
  /** Iterated once. Ends after `end`, or when the signal fires; throws `ProviderError` where the conversation is lost for good. */
  readonly events: AsyncIterable<DuplexEvent>;
}
