import { FRAME_MS } from './endpointing.ts';

/** A stretch of the model's line that belongs to a speech. */
export interface SpokenAudio {
  samples: Int16Array;
  /** Position of the first sample on the line. */
  atMs: number;
  /** There is voice in it. */
  voiced: boolean;
  /** How long it is quiet at its end. */
  quietMs: number;
}

export interface SpeechGateOptions {
  sampleRate: 8000 | 16000;
  /**
   * Root mean square of a frame from which on it is voice. Default 131, some −48 dB of full scale: integrators of `gpt-live-1`
   * measured 99 % of the line's quiet frames below −50 dB and 95 % of the spoken ones above −44 dB.
   */
  threshold?: number;
  /** Quiet that ends a speech. Default 800: what Pipecat and LiveKit take for the same model, which sends no end of its own. */
  quietMs?: number;
}

/** Audio before the first loud frame that belongs to the speech: soft onsets. */
const LEAD_IN_MS = 100;
/** Quiet that ends a speech which nobody is to hear the rest of: the model has stopped, or what follows is another thing. */
const YIELDED_MS = 300;
/** A model that has not stopped by then does not mean to. */
const MOST_SKIPPED_MS = 5_000;

/**
 * Finds the speeches on the line of a model that sends audio all the time, silence included, and tells neither where one begins nor
 * where it ends. Pure: its time is the line's own, so a line that stalls ends nothing.
 */
export class SpeechGate {
  readonly #frameSamples: number;
  readonly #samplesPerMs: number;
  readonly #threshold: number;
  readonly #quietLimitMs: number;
  #open = false;
  #quietMs = 0;
  /** Quiet frames before a speech that may be its onset. */
  #leadIn: Int16Array[] = [];
  #rest: Int16Array = new Int16Array(0);
  /** Audio skipped so far; null: nothing is. */
  #skippedMs: number | null = null;

  constructor({ sampleRate, threshold = 131, quietMs = 800 }: SpeechGateOptions) {
    this.#samplesPerMs = sampleRate / 1000;
    this.#frameSamples = FRAME_MS * this.#samplesPerMs;
    this.#threshold = threshold;
    this.#quietLimitMs = quietMs;
  }

  /** A speech is under way. */
  get open(): boolean {
    return this.#open;
  }

  /** The rest of a speech that nobody is to hear goes by. */
  get skipping(): boolean {
    return this.#skippedMs !== null;
  }

  /** The next audio of the line, the first sample at `atMs`. */
  push(samples: Int16Array, atMs: number): (SpokenAudio | 'end')[] {
    const line = new Int16Array(this.#rest.length + samples.length);
    line.set(this.#rest);
    line.set(samples, this.#rest.length);
    let at = atMs - this.#rest.length / this.#samplesPerMs;
    const found: (SpokenAudio | 'end')[] = [];
    let frames: Int16Array[] = [];
    let fromMs = 0;
    let voicedFrames = 0;
    const finish = () => {
      if (frames.length === 0) return;
      const voiced = voicedFrames > 0;
      found.push({ samples: joined(frames), atMs: fromMs, voiced, quietMs: this.#quietMs });
      frames = [];
      voicedFrames = 0;
    };
    let taken = 0;
    for (; taken + this.#frameSamples <= line.length; taken += this.#frameSamples) {
      const frame = line.subarray(taken, taken + this.#frameSamples);
      const voiced = this.#isVoiced(frame);
      this.#quietMs = voiced ? 0 : this.#quietMs + FRAME_MS;
      if (this.#skips() || (!this.#open && !voiced)) {
        this.#leadIn = [...this.#leadIn, frame].slice(-LEAD_IN_MS / FRAME_MS);
      } else {
        if (frames.length === 0) {
          frames = this.#leadIn;
          fromMs = at - frames.length * FRAME_MS;
          this.#leadIn = [];
        }
        this.#open = true;
        frames.push(frame);
        voicedFrames += Number(voiced);
        if (this.#quietMs >= this.#quietLimitMs) {
          finish();
          found.push('end');
          this.#open = false;
        }
      }
      at += FRAME_MS;
    }
    finish();
    this.#rest = line.slice(taken);
    return found;
  }

  /** Nobody is to hear the rest of this speech. The next one begins after a short quiet. */
  skip(): void {
    if (this.#open && this.#quietMs < YIELDED_MS) this.#skippedMs = 0;
    this.#open = false;
    this.#leadIn = [];
  }

  /** The line is another one from now on. */
  reset(): void {
    this.#open = false;
    this.#skippedMs = null;
    this.#leadIn = [];
    this.#quietMs = 0;
    this.#rest = new Int16Array(0);
  }

  #skips(): boolean {
    if (this.#skippedMs === null) return false;
    this.#skippedMs += FRAME_MS;
    if (this.#quietMs < YIELDED_MS && this.#skippedMs < MOST_SKIPPED_MS) return true;
    this.#skippedMs = null;
    this.#leadIn = [];
    return false;
  }

  #isVoiced(frame: Int16Array): boolean {
    let power = 0;
    for (const sample of frame) power += sample * sample;
    return Math.sqrt(power / frame.length) >= this.#threshold;
  }
}

function joined(frames: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(frames.reduce((sum, frame) => sum + frame.length, 0));
  let filled = 0;
  for (const frame of frames) {
    all.set(frame, filled);
    filled += frame.length;
  }
  return all;
}
