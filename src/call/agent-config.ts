/** The configured persona that answers a call. Resolved once a call, from its campaign. */
export interface AgentConfig {
  /** The language model's system prompt. */
  prompt: string;
  /** Spoken first; empty: the agent waits for the caller. */
  greeting: string;
  /** Spoken when an answer could not be made; empty: nothing is said. */
  apology: string;
  /** The text-to-speech provider's name of a voice. */
  voice: string;
  /** BCP 47 tag, or null to let the provider detect it. */
  language: string | null;
  /** Upper bound of one reply. */
  maxOutputTokens: number;
  /** Entries of the conversation sent with each turn; older ones stay in the record only. */
  historyMessages: number;
  endpointing: EndpointingOptions;
  recording: boolean;
}

/** When the caller's speech begins and ends a turn. All times are milliseconds of audio. */
export interface EndpointingOptions {
  /** Voiced audio within `startWindowMs` that counts as speech and not as a click. Default 120. */
  startMs: number;
  /** Default 240. */
  startWindowMs: number;
  /** Silence after speech that ends the turn. Default 500 (LiveKit's minimum, `guide/peers`). */
  endMs: number;
  /** Audio before the detected start that belongs to the utterance: soft onsets. Default 300. */
  preRollMs: number;
}

export const defaultEndpointing: EndpointingOptions = {
  startMs: 120,
  startWindowMs: 240,
  endMs: 500,
  preRollMs: 300,
};
