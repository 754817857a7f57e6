import type { EndpointingOptions } from './agent-config.ts';

/** Length of the frames that voice activity is decided on, in milliseconds. The WebRTC VAD takes 10, 20 or 30. */
export const FRAME_MS = 20;

/**
 * Decides from frame-wise voice activity where speech begins and where a turn ends. Pure: it counts frames and
 * knows no clock, so the same audio always gives the same turns.
 */
export class Endpointer {
  readonly #startFrames: number;
  readonly #windowFrames: number;
  readonly #endFrames: number;
  /** Voice activity of the last `windowFrames` frames, as a ring. */
  readonly #window: Uint8Array;
  #windowAt = 0;
  #voicedInWindow = 0;
  #silentFrames = 0;
  #speaking = false;

  constructor(options: EndpointingOptions) {
    this.#startFrames = Math.max(1, Math.round(options.startMs / FRAME_MS));
    this.#windowFrames = Math.max(this.#startFrames, Math.round(options.startWindowMs / FRAME_MS));
    this.#endFrames = Math.max(1, Math.round(options.endMs / FRAME_MS));
    this.#window = new Uint8Array(this.#windowFrames);
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  /** Takes one frame's decision; says whether speech began, or a turn ended, with it. */
  push(voiced: boolean): 'start' | 'end' | null {
    if (this.#speaking) {
      this.#silentFrames = voiced ? 0 : this.#silentFrames + 1;
      if (this.#silentFrames < this.#endFrames) return null;
      this.reset();
      return 'end';
    }
    this.#voicedInWindow += (voiced ? 1 : 0) - this.#window[this.#windowAt]!;
    this.#window[this.#windowAt] = voiced ? 1 : 0;
    this.#windowAt = (this.#windowAt + 1) % this.#windowFrames;
    if (this.#voicedInWindow < this.#startFrames) return null;
    this.#speaking = true;
    this.#silentFrames = 0;
    return 'start';
  }

  /** Back to waiting for speech, with nothing remembered. */
  reset(): void {
    this.#speaking = false;
    this.#silentFrames = 0;
    this.#window.fill(0);
    this.#windowAt = 0;
    this.#voicedInWindow = 0;
  }
}
