import type { Clock, Timer } from '../call/clock.ts';

/**
 * What need not be written before the call goes on. Whatever an object sends, requests to vendors included, is held until all that it
 * wrote before is safe (https://developers.cloudflare.com/durable-objects/reference/in-memory-state/, "output gates"): written first, a
 * turn would delay the request for its answer. Written right after it, it becomes safe while the vendor works.
 */
export class WriteBehind {
  readonly #clock: Clock;
  readonly #delayMs: number;
  #waiting: (() => void)[] = [];
  #timer: Timer | null = null;

  /** @param delayMs how long a write may wait for others to go with; 0: until what is under way is done. */
  constructor(clock: Clock, delayMs = 0) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  /** Writes it with what waits already, `delayMs` after the first of that. */
  add(write: () => void): void {
    this.#waiting.push(write);
    this.#timer ??= this.#clock.after(this.#delayMs, () => this.flush());
  }

  /** Writes what waits, in order. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const write of this.#waiting.splice(0)) write();
  }
}
