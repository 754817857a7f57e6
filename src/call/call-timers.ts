import type { Clock, Timer } from './clock.ts';

/** What waits in a call, so that all of it ends with the call. */
export class CallTimers {
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  #over = false;
  /** Ends what is waited for in a call that is over. */
  readonly #giveUp = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  after(delayMs: number, task: () => void): void {
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer);
      task();
    });
    this.#timers.add(timer);
  }

  /** @param interval in milliseconds; a function is asked before each time. */
  every(interval: number | (() => number), task: () => void): void {
    this.after(typeof interval === 'number' ? interval : interval(), () => {
      try {
        task();
      } finally {
        if (!this.#over) this.every(interval, task);
      }
    });
  }

  /** Rejects where `work` takes longer, and where the call ends meanwhile. */
  within<T>(timeoutMs: number, what: string, work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () =>
        reject(new Error(`${what} took longer than ${timeoutMs} ms`)),
      );
      const giveUp = () => {
        done();
        reject(new Error('The call is over'));
      };
      const done = () => {
        timer.cancel();
        this.#giveUp.delete(giveUp);
      };
      this.#giveUp.add(giveUp);
      work.then(resolve, reject).finally(done);
    });
  }

  /** The call is over: nothing is waited for any more. */
  end(): void {
    this.#over = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const giveUp of [...this.#giveUp]) giveUp();
  }
}
