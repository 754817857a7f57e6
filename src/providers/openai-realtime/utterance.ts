import type { Timer } from '../../call/clock.ts';
import type { ProviderError } from '../ports.ts';

/** One utterance, until its text is told. */
export class Utterance {
  readonly number: number;
  /** What the server calls it on the connection of the moment. */
  item: string | null = null;
  /** Null while it is being transcribed. */
  result: { text: string } | { error: ProviderError } | null = null;
  /** As it was sent, so far as it is kept. */
  audio: Uint8Array[] = [];
  /** Of `audio`. */
  bytes = 0;
  /** More than can be kept has been spoken, so that its beginning is not there to be sent again. */
  cut = false;
  /** Why a part of it never reached the server. */
  lost: ProviderError | null = null;
  /** What the deltas say so far. */
  text = '';
  /** The interim text that was told last. */
  shown = '';
  /** The text has settled after a pause. */
  stable = false;
  shownStable = false;
  /** The wait for its text. */
  timer: Timer | null = null;
  waits = 0;

  constructor(number: number) {
    this.number = number;
  }
}
