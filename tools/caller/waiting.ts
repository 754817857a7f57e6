import type { Clock, Timer } from '../../src/call/clock.ts';

/** Waits for conditions that are tried whenever something has happened, each for a bounded time. */
export class Waiting {
  readonly #clock: Clock;
  readonly #waiters = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something has happened: every condition is tried. */
  changed(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  /** True as soon as `test` holds; false if it does not within `ms`. */
  until(test: () => boolean, ms: number): Promise<boolean> {
    if (test()) return Promise.resolve(true);
    return new Promise((resolve) => {
      let timer: Timer | null = null;
      const finish = (held: boolean) => {
        timer?.cancel();
        this.#waiters.delete(waiter);
        resolve(held);
      };
      const waiter = () => {
        if (test()) finish(true);
      };
      this.#waiters.add(waiter);
      timer = this.#clock.after(Math.max(0, ms), () => finish(test()));
    });
  }
}
