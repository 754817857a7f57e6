import { Resampler } from '../../audio/resample.ts';
import { JitterBuffer } from './jitter-buffer.ts';

/** Length of a frame (RFC 3551 section 4.2's default packet time). */
export const FRAME_MS = 20;
/** A cut in the middle of a sound is heard as a click; faded out this fast it is not. */
const FADE_MS = 3;

/** 20 ms of the line, both directions at the same moment, at the line's rate. */
export interface LineFrame {
  sent: Int16Array<ArrayBuffer>;
  heard: Int16Array<ArrayBuffer>;
}

export interface LineAudioOptions {
  /** Rate of the browser's audio, in Hz: one of `resamplerRates`. */
  contextRate: number;
  lineRate: 8000 | 16000;
  onFrame(frame: LineFrame): void;
  /** Everything before this mark was given to the loudspeaker. */
  onMark(name: string): void;
}

/**
 * What runs in the browser's audio thread: the microphone in 20 ms frames at the line's rate, the agent's audio at the
 * browser's, both on one clock, so that what is said and what is heard can be laid side by side.
 */
export class LineAudio {
  readonly #options: LineAudioOptions;
  readonly #toLine: Resampler;
  readonly #toEar: Resampler;
  readonly #frameSamples: number;
  readonly #buffer: JitterBuffer;
  #captured: Int16Array<ArrayBuffer>;
  #capturedLength = 0;
  /** For the loudspeaker, at its rate, not played yet. */
  #ready: Int16Array = new Int16Array(0);
  /** The same at the line's rate, frame by frame, until the microphone's frame of that time is complete. */
  readonly #heard: Int16Array<ArrayBuffer>[] = [];
  muted = false;

  constructor(options: LineAudioOptions) {
    this.#options = options;
    const { contextRate, lineRate } = options;
    this.#toLine = new Resampler(contextRate, lineRate);
    this.#toEar = new Resampler(lineRate, contextRate);
    this.#frameSamples = (lineRate * FRAME_MS) / 1000;
    this.#captured = new Int16Array(this.#frameSamples);
    this.#buffer = new JitterBuffer(lineRate, options.onMark);
  }

  get underruns(): number {
    return this.#buffer.underruns;
  }

  /** The agent's audio, as it arrives. False: too much is waiting. */
  play(samples: Int16Array): boolean {
    return this.#buffer.push(samples);
  }

  mark(name: string): void {
    this.#buffer.mark(name);
  }

  /** The agent falls silent now. */
  clear(): void {
    this.#buffer.clear();
    // What the converter still holds would follow as a click.
    this.#queue(this.#toEar.flush());
    const { contextRate, lineRate } = this.#options;
    const fade = Math.min(this.#ready.length, Math.round((contextRate * FADE_MS) / 1000));
    this.#ready = this.#ready.map((sample, i) => (i < fade ? Math.round(sample * (1 - i / fade)) : 0));
    // What was taken for the loudspeaker and not played is not heard either.
    let unheard = Math.floor((this.#ready.length * lineRate) / contextRate);
    for (let i = this.#heard.length - 1; i >= 0 && unheard > 0; i--) {
      const frame = this.#heard[i]!;
      frame.fill(0, Math.max(0, frame.length - unheard));
      unheard -= frame.length;
    }
  }

  /**
   * One block of the browser's audio.
   *
   * @param input the microphone, −1 to 1, as long as `output`; null: there is none.
   * @param output filled with what is to be heard.
   */
  process(input: Float32Array | null, output: Float32Array): void {
    while (this.#ready.length < output.length) this.#pullFrame();
    for (let i = 0; i < output.length; i++) output[i] = this.#ready[i]! / 32768;
    this.#ready = this.#ready.subarray(output.length);
    const block = new Int16Array(output.length);
    if (input !== null && !this.muted) {
      for (let i = 0; i < block.length; i++) {
        block[i] = Math.max(-32768, Math.min(32767, Math.round((input[i] ?? 0) * 32767)));
      }
    }
    this.#capture(this.#toLine.push(block));
  }

  #pullFrame(): void {
    const frame = new Int16Array(this.#frameSamples);
    this.#buffer.pull(frame);
    this.#heard.push(frame);
    this.#queue(this.#toEar.push(frame));
  }

  #queue(more: Int16Array): void {
    const ready = new Int16Array(this.#ready.length + more.length);
    ready.set(this.#ready);
    ready.set(more, this.#ready.length);
    this.#ready = ready;
  }

  #capture(samples: Int16Array): void {
    let at = 0;
    while (at < samples.length) {
      const part = samples.subarray(at, at + this.#frameSamples - this.#capturedLength);
      this.#captured.set(part, this.#capturedLength);
      this.#capturedLength += part.length;
      at += part.length;
      if (this.#capturedLength < this.#frameSamples) return;
      const heard = this.#heard.shift() ?? new Int16Array(this.#frameSamples);
      this.#options.onFrame({ sent: this.#captured, heard });
      this.#captured = new Int16Array(this.#frameSamples);
      this.#capturedLength = 0;
    }
  }
}
