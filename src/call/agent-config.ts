import type { RedactionKind } from '../privacy/kinds.ts';
import type { AgentTools } from '../tools/call-tools.ts';
import type { MachineDetectionOptions } from './answer-detection.ts';
import type { DtmfOptions } from './dtmf.ts';
import type { FaqEntry } from './faq.ts';
import type { ModelRule } from './model-rule.ts';
import type { SpeculationOptions } from './speculation.ts';

/** The configured persona that answers a call. Resolved once a call, from its campaign. */
export interface AgentConfig {
  /** Which agent this is, in which state: ready audio of another version is not used. */
  version: string;
  /** The user whose campaign it is: nobody else's calls are its. Null: anybody's. */
  owner: string | null;
  /** The language model's system prompt. */
  prompt: string;
  /** Spoken first; empty: the agent waits for the caller. */
  greeting: string;
  /** Spoken when an answer could not be made; empty: nothing is said. */
  apology: string;
  /** The text-to-speech provider's name of a voice. */
  voice: string;
  /** Questions that are answered without a model. */
  faq: readonly FaqEntry[];
  /** Words that callers are likely to use: names, products, places. */
  keywords: readonly string[];
  /** BCP 47 tag, or null to let the provider detect it. */
  language: string | null;
  /** Voices for languages, by lower-case BCP 47 tag or its first part; `voice` speaks the others. */
  voices: Readonly<Record<string, string>>;
  /** When the stronger model answers. */
  model: ModelRule;
  /** What the model may ask for. */
  tools: AgentTools;
  /** Upper bound of one reply. */
  maxOutputTokens: number;
  /** Entries of the conversation sent with each turn; older ones stay in the record only. */
  historyMessages: number;
  endpointing: EndpointingOptions;
  interruption: InterruptionOptions;
  silence: SilenceOptions;
  dtmf: DtmfOptions;
  speculation: SpeculationOptions;
  /** Whether it is judged who answers a call that we place, and what follows from it; null: it is not. */
  machineDetection: MachineDetectionOptions | null;
  /** Whether the call is recorded. */
  recording: boolean;
  /** Said first where it is, and not to be interrupted: that the call is recorded. Empty: nothing is said. */
  recordingNotice: string;
  /** Personal data that is taken out of the transcript before it is stored. What the model hears and says has it. */
  redaction: readonly RedactionKind[];
}

/** Said word for word to a caller whose transfer came to nothing; empty: the model says it. */
export function failedLineOf({ tools }: AgentConfig): string {
  return tools.builtIn.transfer?.failedLine ?? '';
}

/** What happens when the caller speaks while the agent does. All times are milliseconds. */
export interface InterruptionOptions {
  /** Whether the greeting may be interrupted. Default true. */
  greeting: boolean;
  /**
   * From the first audio of the call on, for so long the caller's speech does not silence the agent: an echo canceller on the
   * way needs a moment to learn the line. What the caller says then is still understood. Default 300.
   */
  warmUpMs: number;
  /** Sound that goes on for so long without a word is not the caller's: it silences nobody. Default 4,000. */
  soundMs: number;
  /** An agent that fell silent for a noise that came to nothing goes on at the latest after this. Default 2,000. */
  resumeMs: number;
}

export const defaultInterruption: InterruptionOptions = {
  greeting: true,
  warmUpMs: 300,
  soundMs: 4_000,
  resumeMs: 2_000,
};

/** What the caller hears when nothing happens. All times are milliseconds; an empty text says nothing. */
export interface SilenceOptions {
  /** Said when an answer is late: no audio so long after the turn was over. Default 2,500. */
  holdLineMs: number;
  holdLine: string;
  /** Said when the caller has been silent for so long. Default 10,000 (Bolna). */
  promptMs: number;
  prompt: string;
  /** After the prompt, if the caller stays silent, the agent says goodbye and hangs up. Default 20,000 (Bolna). */
  hangUpMs: number;
  goodbye: string;
}

export const defaultSilence: SilenceOptions = {
  holdLineMs: 2_500,
  holdLine: 'One moment, please.',
  promptMs: 10_000,
  prompt: 'Are you still there?',
  hangUpMs: 20_000,
  goodbye: 'I cannot hear anybody, so I will hang up now. Goodbye.',
};

/** When the caller's speech begins and ends a turn. All times are milliseconds of audio. */
export interface EndpointingOptions {
  /** Voiced audio within `startWindowMs` that counts as speech and not as a click. Default 120. */
  startMs: number;
  /** Default 240. */
  startWindowMs: number;
  /** The shortest silence that ends a turn: after a finished sentence. Default 700: see ARCHITECTURE.md, "Whose turn it is". */
  endMs: number;
  /** The longest, whatever was said and however long the caller's pauses are. Default 3,000 (LiveKit's maximum). */
  maxEndMs: number;
  /** After words that break off: a conjunction, a filler, a comma. Default 1,500 (Vapi's wait without punctuation). */
  unfinishedMs: number;
  /** After a number or a spelling: its groups are dictated with pauses. Default 2,000. */
  dictationMs: number;
  /**
   * Nothing of an answer is heard before so much silence, unless a question was asked: the answer is being made meanwhile, and a caller
   * who goes on has not been cut off. Default 1,200: see ARCHITECTURE.md, "Whose turn it is".
   */
  speakMs: number;
  /** Audio before the detected start that belongs to the utterance: soft onsets. Default 300. */
  preRollMs: number;
}

export const defaultEndpointing: EndpointingOptions = {
  startMs: 120,
  startWindowMs: 240,
  endMs: 700,
  maxEndMs: 3_000,
  unfinishedMs: 1_500,
  dictationMs: 2_000,
  speakMs: 1_200,
  preRollMs: 300,
};
