import type { Clock, Timer } from '../call/clock.ts';
import { GivenUp } from './given-up.ts';
import { ProviderError } from './ports.ts';

/**
 * One request's abort signal: it fires with the caller's, or when a wait that was begun is not over in time. Waits
 * for the consumer must not count, so a wait runs only from `expect` to `relax`.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #caller: AbortSignal;
  readonly #controller = new AbortController();
  #timer: Timer | null = null;
  #givenUp: GivenUp | null = null;

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
    return this.#givenUp?.message ?? null;
  }

  /** The failure of a request that was waited for in vain, or null: with how long the vendor wants to be left alone, where it told. */
  failure(provider: string): ProviderError | null {
    return this.#givenUp === null ? null : failureOf(provider, this.#givenUp);
  }

  /** Begins a wait, in place of one that runs. `Infinity` waits for ever. */
  expect(what: string, withinMs: number): void {
    this.relax();
    if (!Number.isFinite(withinMs)) return;
    this.#timer = this.#clock.after(withinMs, () => {
      this.#givenUp = new GivenUp(`no ${what} within ${withinMs} ms`);
      this.#controller.abort(this.#givenUp);
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

/** What a provider has failed with whose request was given up: that it took too long, or what it was left alone for meanwhile. */
export function failureOf(provider: string, { message, asked }: GivenUp): ProviderError {
  const late = `${provider}: ${message}`;
  if (asked === null) return new ProviderError(provider, 'timeout', late);
  const { error, forMs } = asked;
  return new ProviderError(provider, error.failure, `${late}: ${error.message}`, {
    ...(error.status === undefined ? {} : { status: error.status }),
    ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
    retryAfterMs: forMs,
    cause: error,
  });
}
