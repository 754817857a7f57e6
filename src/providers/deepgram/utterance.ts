import type { Timer } from '../../call/clock.ts';
import { joinTranscripts } from '../../text/join.ts';
import type { ProviderError } from '../ports.ts';
import { KeptAudio } from './kept-audio.ts';

/** One utterance of a session: its audio, what has been understood of it, and where it lies on the connection. */
export class Utterance {
  readonly number: number;
  readonly kept: KeptAudio;
  /** Position on the connection of its first sample; Infinity while none of it was sent there. */
  base = Number.POSITIVE_INFINITY;
  /** Position on the connection from which on the audio is another utterance's. */
  until = Number.POSITIVE_INFINITY;
  /** Samples of it, from its start, that are on the connection. */
  sent = 0;
  /** Samples of it up to the last one that the caller pushed. */
  spoken = 0;
  /** The caller has paused, and has not gone on. */
  paused = false;
  ended = false;
  /** It was no speech: nothing of it is told. */
  discarded = false;
  /** The vendor knows that it is over, and how much audio there was at the last pause that it knows of. */
  endTold = false;
  pauseTold = 0;
  /** A part of its audio is lost. */
  incomplete = false;
  deadline: Timer | null = null;
  /** No more is to be waited for. */
  failure: ProviderError | null = null;
  /** Texts that the vendor will not change any more. */
  readonly settled: string[] = [];
  /** The text of what lies behind them. */
  interim = '';
  /** The interim text that was emitted last. */
  shown = '';

  constructor(number: number, bytesPerSample: 1 | 2, mostSamples: number) {
    this.number = number;
    this.kept = new KeptAudio(bytesPerSample, mostSamples);
  }

  get empty(): boolean {
    return this.kept.end === 0;
  }

  /** Position on the connection after the last sample that the caller pushed. */
  get spokenUntil(): number {
    return this.base + this.spoken;
  }

  text(language: string | undefined): string {
    return joinTranscripts([...this.settled, this.interim], language);
  }

  /** It is not on the connection any more: what is not settled has to be sent again. */
  unsend(): void {
    if (this.kept.dropped) this.incomplete = true;
    this.base = Number.POSITIVE_INFINITY;
    this.until = Number.POSITIVE_INFINITY;
    this.sent = this.kept.start;
    this.endTold = false;
    this.pauseTold = 0;
  }
}
