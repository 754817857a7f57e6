import { frameMs } from '../caller/pacer.ts';
import type { Utterance } from './speech.ts';

export interface SpeakerOptions {
  /** At least one, none of them empty. */
  utterances: readonly Utterance[];
  /** What is sent between them. */
  silence: Int16Array;
  /** Share of the time that is speech, below 1; 0: the caller never speaks. */
  talk: number;
  /** Before the first word, in frames: the caller hears the greeting. */
  firstWordFrame: number;
  /** Which utterance is the first. */
  first: number;
}

/** One frame for the line; `begins` and `ends` mark the first and the last of an utterance. */
export interface LineFrame {
  samples: Int16Array;
  speech: boolean;
  begins: boolean;
  ends: boolean;
}

/** The shortest that a caller listens before he goes on, in frames: a second. */
const shortestPause = 1_000 / frameMs;

/** What one caller says, frame by frame: an utterance, silence for as long as his share of the talk leaves, the next one. */
export class Speaker {
  readonly #options: SpeakerOptions;
  #utterance: number;
  /** Frames before the next word; counts down in silence. */
  #pause: number;
  #spoken = 0;

  constructor(options: SpeakerOptions) {
    this.#options = options;
    this.#utterance = options.first % options.utterances.length;
    this.#pause = options.talk === 0 ? Number.POSITIVE_INFINITY : options.firstWordFrame;
  }

  next(): LineFrame {
    const { utterances, silence } = this.#options;
    if (this.#pause > 0) {
      this.#pause -= 1;
      return { samples: silence, speech: false, begins: false, ends: false };
    }
    const frames = utterances[this.#utterance]!;
    const begins = this.#spoken === 0;
    const samples = frames[this.#spoken]!;
    this.#spoken += 1;
    const ends = this.#spoken === frames.length;
    if (ends) {
      this.#spoken = 0;
      this.#utterance = (this.#utterance + 1) % utterances.length;
      this.#pause = pauseAfter(frames.length, this.#options.talk);
    }
    return { samples, speech: true, begins, ends };
  }
}

/** Silence, in frames, that makes speech of this length the share `talk` of both together. */
export function pauseAfter(frames: number, talk: number): number {
  return Math.max(shortestPause, Math.round((frames * (1 - talk)) / talk));
}
