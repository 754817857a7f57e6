import type { Clock, Timer } from '../call/clock.ts';

/**
 * One request's abort signal: it fires with the caller's, or when a wait that was begun is not over in time. Waits
 * for the consumer must not count, so a wait runs only from `expect` to `relax`.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #caller: AbortSignal;
  readonly #controller = new AbortController();
  #timer: Timer | null = null;
  #expired: string | null = null;

  constructor(clock: Clock, caller: AbortSignal) {
    this.#clock = clock;
    this.#caller = caller;
    if (caller.aborted) this.#controller.abort(caller.reason);
    else caller.addEventListener('abort', this.#onCallerAbort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What was waited for in vain, or null. */
  get expired(): string | null {
    return this.#expired;
  }

  /** Begins a wait, in place of one that runs. `Infinity` waits for ever. */
  expect(what: string, withinMs: number): void {
    this.relax();
    if (!Number.isFinite(withinMs)) return;
    this.#timer = this.#clock.after(withinMs, () => {
      this.#expired = `no ${what} within ${withinMs} ms`;
      this.#controller.abort(new DOMException(this.#expired, 'TimeoutError'));
    });
  }

  /** Ends the wait. */
  relax(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Ends the wait and lets go of the caller's signal; the request goes on. */
  release(): void {
    this.relax();
    this.#caller.removeEventListener('abort', this.#onCallerAbort);
  }

  /** Ends the request, if it still runs, and lets go of the caller's signal. Idempotent. */
  close(): void {
    this.release();
    this.#controller.abort();
  }

  readonly #onCallerAbort = (): void => {
    this.#controller.abort(this.#caller.reason);
  };
}
