import type { Clock, Timer } from '../call/clock.ts';

/**
 * What need not be written before the call goes on. Whatever an object sends, requests to vendors included, is held until all that it
 * wrote before is safe (https://developers.cloudflare.com/durable-objects/reference/in-memory-state/, "output gates"): written first, a
 * turn would delay the request for its answer. Written right after it, it becomes safe while the vendor works.
 */
export class WriteBehind {
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Writes once what is under way at this moment is done. */
  add(write: () => void): void {
    this.#waiting.push(write);
    this.#timer ??= this.#clock.after(0, () => this.flush());
  }

  /** Writes what waits, in order. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const write of this.#waiting.splice(0)) write();
  }
}
