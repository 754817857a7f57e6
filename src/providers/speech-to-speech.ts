import type {
  Connectable,
  Message,
  ProviderError,
  SpeechToTextEvent,
  SpeechToTextSession,
  ToolCall,
  ToolDefinition,
  Usage,
} from './ports.ts';

/**
 * The port of one model that hears, thinks and speaks. The call decides who speaks when: it ends the caller's utterances, asks for
 * each response and cuts it off; a session never answers by itself.
 */
export interface SpeechToSpeech extends Connectable {
  /** Provider and model, e.g. `openai/gpt-realtime-2.1`: who has served a turn. */
  readonly provider: string;
  /** Opens the session of one leg. Does not wait: connecting happens behind it. */
  open(options: SpeechToSpeechOptions): SpeechToSpeechSession;
}

export interface SpeechToSpeechOptions {
  /** Rate of the samples in both directions, in Hz. */
  sampleRate: 8000 | 16000;
  /** The system prompt. */
  instructions: string;
  voice: string;
  /** BCP 47 tag, e.g. `en`; absent: the model detects it. */
  language?: string;
  /** Words to expect, see `SpeechToTextOptions`. */
  keywords?: readonly string[];
  tools?: readonly ToolDefinition[];
  /** Upper bound of one response. */
  maxOutputTokens: number;
  /** What was said before this session: a call that was resumed. */
  history?: readonly Message[];
  /** Ends the session; after it nothing is yielded. */
  signal: AbortSignal;
}

/**
 * What the caller said comes as from speech-to-text; what the model says, by the number that `respond` returned. For each
 * of these numbers exactly one `responded` or `responseFailed` comes, unless it was cancelled.
 */
export type SpeechToSpeechEvent =
  | SpeechToTextEvent
  | { type: 'audio'; response: number; samples: Int16Array }
  /** More of the words of the response; before, with or after their audio. */
  | { type: 'text'; response: number; text: string }
  | { type: 'toolCall'; response: number; call: ToolCall }
  /** What a response is charged for, also after it was cancelled. Without a number: what the caller said. */
  | { type: 'usage'; usage: Usage; response?: number }
  /** Nothing more comes of it. */
  | { type: 'responded'; response: number }
  | { type: 'responseFailed'; response: number; error: ProviderError };

export interface SpeechToSpeechSession extends Omit<SpeechToTextSession, 'events'> {
  /** Answers the conversation as it stands: the utterances that were ended, messages and tool results. */
  respond(): number;
  /** Nothing more of it comes. Without effect on one that is over. */
  cancel(response: number): void;
  /**
   * The caller heard only so much of it: the model's memory holds no more. Follows `cancel`, or a response whose audio was
   * cut while it was played.
   *
   * @param heardMs of its audio. @param heardText the words of it.
   */
  truncate(response: number, heardMs: number, heardText: string): void;
  /** Something that belongs to the conversation and was not spoken in it: keys that were pressed, a fixed line of the agent's. */
  add(message: Message): void;
  /** What a tool answered. Does not make the model respond. */
  toolResult(toolCallId: string, output: string): void;
  /** Iterated once. Ends when the signal fires; throws `ProviderError` where the session is lost for good. */
  readonly events: AsyncIterable<SpeechToSpeechEvent>;
}
