import { apiErrors } from './api-error.ts';

interface Waiting {
  start: () => void;
}

/**
 * Lets a bounded number of tasks run at once and a bounded number wait, in order. One stands before each engine, so
 * that a flood of requests is refused early instead of slowing down the calls that are on.
 */
export class Gate {
  readonly #concurrency: number;
  readonly #mostWaiting: number;
  #running = 0;
  readonly #waiting: Waiting[] = [];

  /** @param mostWaiting tasks that may wait beyond the `concurrency` that run. */
  constructor(concurrency: number, mostWaiting: number) {
    this.#concurrency = concurrency;
    this.#mostWaiting = mostWaiting;
  }

  /**
   * Runs `task` when its turn has come.
   *
   * @throws {ApiError} 429 at once if too many wait; the signal's reason if it fires before the task has started.
   *   Once started, cancelling is the task's own affair.
   */
  async run<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#running >= this.#concurrency) await this.#turn(signal);
    else this.#running++;
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      this.#release();
    }
  }

  /** Resolves with one of the running places already taken. */
  #turn(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#mostWaiting) throw apiErrors.busy();
    return new Promise((resolve, reject) => {
      const leave = () => {
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
        reject(signal.reason);
      };
      const waiting: Waiting = {
        start: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Hands the place to whoever waits longest; `#running` then stays as it is. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next.start();
  }
}
