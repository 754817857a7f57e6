import type { SpeechToTextOptions } from '../ports.ts';
import type { ListenEvents } from './listen-events.ts';
import type { DeepgramSpeechToTextSettings } from './speech-to-text.ts';
import type { Utterance } from './utterance.ts';

/** What is said with the vendor over one connection. Positions are samples of the audio sent on it. */
export interface ListenDialogue {
  /** Whether an utterance's audio may be sent only when the one before is complete. */
  readonly oneByOne: boolean;
  /** The caller has paused; all of the audio is sent. */
  paused(utterance: Utterance): void;
  /** Likewise, and the utterance is over. */
  ended(utterance: Utterance): void;
  /** @throws {ProviderError} if it means nothing. */
  take(message: string): void;
  keepAlive(): void;
  /** Whether an utterance that is over has been understood to its end. */
  isComplete(utterance: Utterance): boolean;
  /** The connection is gone. */
  close(): void;
}

/** What a dialogue may do to its session. */
export interface DialogueHost {
  readonly provider: string;
  readonly sampleRate: number;
  readonly heard: ListenEvents;
  /** Samples that were sent on this connection. */
  readonly position: number;
  /** The utterance whose audio lies there; null if it is over and done with, or was no speech. */
  at(position: number): Utterance | null;
  send(message: string): void;
  /** Sends silence that belongs to no utterance. */
  sendSilence(ms: number): void;
  /** Sends silence as a part of an utterance. */
  pad(utterance: Utterance, ms: number): void;
  /** The text of what lies before `position`, which will not change any more. */
  settle(utterance: Utterance, text: string, position: number): void;
  /** The text of what lies behind what is settled. */
  interim(utterance: Utterance, text: string): void;
  /** An utterance may be complete. */
  check(): void;
}

/** One of Deepgram's two protocols of transcription. */
export interface ListenProtocol {
  readonly path: string;
  query(
    settings: DeepgramSpeechToTextSettings,
    options: SpeechToTextOptions,
  ): Record<string, string | number | boolean | readonly string[] | undefined>;
  start(host: DialogueHost): ListenDialogue;
}

/** Ends a connection of both protocols: https://developers.deepgram.com/docs/close-stream, …/docs/flux/close-stream. */
export const closeStream = '{"type":"CloseStream"}';
