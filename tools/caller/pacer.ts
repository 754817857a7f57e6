import type { Clock, Timer } from '../../src/call/clock.ts';

/** Length of a telephone's frame (RFC 3551 section 4.2's default packet time). */
export const frameMs = 20;

/** What a late pacer sends at once to catch up, in milliseconds; what is later than that is skipped, as on a real line. */
const catchUpMs = 500;

export interface PacerOptions {
  clock: Clock;
  /** From one frame to the next, in milliseconds. Default: a frame's length. */
  everyMs?: number;
  /**
   * Sends frame `index`, from 0, no gaps. Frame n is due (n + 1) × 20 ms after the start: when it is complete.
   *
   * @param lateMs how long after that it is.
   */
  onFrame(index: number, lateMs: number): void;
}

/**
 * Calls `onFrame` every 20 ms on absolute deadlines, so that a late timer delays its own frame and none after it.
 */
export class Pacer {
  readonly #options: PacerOptions;
  readonly #everyMs: number;
  #timer: Timer | null = null;
  #startedAt = 0;
  #next = 0;
  #running = false;
  /** Milliseconds that were skipped because the process stood still for longer than can be caught up. */
  slippedMs = 0;
  /** The longest that any frame was sent after its time, in milliseconds. */
  latestMs = 0;

  constructor(options: PacerOptions) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? frameMs;
  }

  /** Time of the clock at which position 0 was on the line; moves when time is skipped. */
  get startedAt(): number {
    return this.#startedAt;
  }

  /** Frames sent so far. */
  get frames(): number {
    return this.#next;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#startedAt = this.#options.clock.now();
    this.#schedule();
  }

  /** No frame is sent after this. Idempotent. */
  stop(): void {
    this.#running = false;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #dueAt(index: number): number {
    return this.#startedAt + (index + 1) * this.#everyMs;
  }

  #schedule(): void {
    const delay = this.#dueAt(this.#next) - this.#options.clock.now();
    this.#timer = this.#options.clock.after(Math.max(0, Math.ceil(delay)), () => this.#tick());
  }

  #tick(): void {
    if (!this.#running) return;
    const behindMs = this.#options.clock.now() - this.#dueAt(this.#next);
    this.latestMs = Math.max(this.latestMs, behindMs);
    if (behindMs > catchUpMs) {
      const skipped = behindMs - catchUpMs;
      this.#startedAt += skipped;
      this.slippedMs += skipped;
    }
    while (this.#running && this.#options.clock.now() >= this.#dueAt(this.#next)) {
      const index = this.#next;
      this.#next += 1;
      this.#options.onFrame(index, this.#options.clock.now() - this.#dueAt(index));
    }
    if (this.#running) this.#schedule();
  }
}
