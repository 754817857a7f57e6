import type { Clock, Timer } from '../../src/call/clock.ts';

export interface PlayoutBufferOptions {
  clock: Clock;
  /** In Hz. */
  sampleRate: number;
  /** Time of the clock at which position 0 of the call was on the line. */
  startedAt: number;
  /** A mark was reached by the playout. */
  onMark(name: string): void;
  /** The last sample that was received has been played. */
  onDrained(): void;
  /** Keep what was heard, for `heard()`. */
  keepAudio: boolean;
}

/** Audio waiting longer than this is a service that sends without measure: what comes after it is refused. */
const capacityMs = 120_000;

/**
 * The telephone's earpiece: plays what is received in order and in real time, forgets what was not played at
 * `clear`, and reports marks when they are played. It knows the position of every sample that was heard.
 */
export class PlayoutBuffer {
  readonly #options: PlayoutBufferOptions;
  readonly #samplesPerMs: number;
  /** What was received, by position, each piece after the one before it; the last may still be playing. */
  #pieces: { position: number; samples: Int16Array }[] = [];
  #marks: { position: number; name: string }[] = [];
  #timer: Timer | null = null;
  #endPosition = 0;
  #draining = false;
  #closed = false;
  /** Times that the earpiece ran dry in the middle of a reply, and for how long in all. */
  underruns = 0;
  underrunMs = 0;
  /** Pieces that were refused since too much was waiting. */
  overflows = 0;

  constructor(options: PlayoutBufferOptions) {
    this.#options = options;
    this.#samplesPerMs = options.sampleRate / 1000;
  }

  /** Position of the call, in samples, that is being played now. */
  get position(): number {
    return Math.max(
      0,
      Math.floor((this.#options.clock.now() - this.#options.startedAt) * this.#samplesPerMs),
    );
  }

  /** Milliseconds of audio that have yet to be heard. */
  get queuedMs(): number {
    return Math.max(0, this.#endPosition - this.position) / this.#samplesPerMs;
  }

  /** Position at which the last received sample ends. */
  get endPosition(): number {
    return this.#endPosition;
  }

  /**
   * Takes audio. `continues`: it belongs to the speech before it, so a gap between the two is an underrun.
   * Returns the position at which it will be heard, or null if it was refused.
   */
  receive(samples: Int16Array, continues: boolean): number | null {
    if (this.#closed) return null;
    if (this.queuedMs > capacityMs) {
      this.overflows += 1;
      return null;
    }
    const now = this.position;
    const position = Math.max(now, this.#endPosition);
    if (continues && this.#endPosition > 0 && now > this.#endPosition) {
      this.underruns += 1;
      this.underrunMs += (now - this.#endPosition) / this.#samplesPerMs;
    }
    if (this.#options.keepAudio) this.#pieces.push({ position, samples });
    this.#endPosition = position + samples.length;
    this.#draining = true;
    this.#schedule();
    return position;
  }

  /** Names the end of what was received so far. */
  mark(name: string): void {
    if (this.#closed) return;
    this.#marks.push({ position: this.#endPosition, name });
    this.#schedule();
  }

  /** Forgets what was not played. Marks within it are never reported: they were not played. */
  clear(): void {
    const now = this.position;
    const isHeard = (mark: { position: number }) => mark.position <= now;
    const reached = this.#marks.filter(isHeard);
    this.#marks = [];
    for (const mark of reached) this.#options.onMark(mark.name);
    if (this.#endPosition > now) {
      this.#pieces = this.#pieces
        .filter((piece) => piece.position < now)
        .map((piece) => ({ ...piece, samples: piece.samples.subarray(0, now - piece.position) }));
      this.#endPosition = now;
    }
    this.#schedule();
  }

  /** Ends the playing. What was not played yet is forgotten. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.clear();
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** What was heard up to now, from position 0, silence where nothing was playing. */
  heard(): Int16Array {
    const now = this.#closed ? Number.POSITIVE_INFINITY : this.position;
    const end = Math.min(this.#endPosition, now);
    const all = new Int16Array(end);
    for (const piece of this.#pieces) {
      if (piece.position >= end) break;
      all.set(piece.samples.subarray(0, end - piece.position), piece.position);
    }
    return all;
  }

  #schedule(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#closed) return;
    const next = this.#marks[0]?.position ?? (this.#draining ? this.#endPosition : null);
    if (next === null) return;
    const delay = this.#options.startedAt + next / this.#samplesPerMs - this.#options.clock.now();
    this.#timer = this.#options.clock.after(Math.max(0, Math.ceil(delay)), () => this.#played());
  }

  #played(): void {
    while (this.#marks[0] !== undefined && this.#marks[0].position <= this.position) {
      const mark = this.#marks.shift()!;
      this.#options.onMark(mark.name);
    }
    if (this.#draining && this.position >= this.#endPosition) {
      this.#draining = false;
      this.#options.onDrained();
    }
    this.#schedule();
  }
}
