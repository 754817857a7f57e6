import type { Clock } from '../../call/clock.ts';

/** Waits; rejects with the signal's reason where it fires first. */
export function waited(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = () => {
      timer.cancel();
      reject(signal.reason);
    };
    const timer = clock.after(ms, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}

export interface GateOptions {
  /** Tasks at a time. */
  places: number;
  /** After this a place is free again: an object that is destroyed in its task leaves without a word. */
  holdMs: number;
  /** How often one that waits looks. */
  lookMs: number;
}

/**
 * Lets a number of tasks at a time through, of all the objects in an isolate. The others look again and again, each by a timer
 * of its own: an object may not settle a promise that another one waits for.
 */
export class Gate {
  readonly #options: GateOptions;
  /** When each place that is taken is free again at the latest. */
  readonly #taken = new Map<symbol, number>();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Runs `task` when a place is free. Rejects with the signal's reason where that comes first. */
  async run<T>(clock: Clock, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    const { places, holdMs, lookMs } = this.#options;
    signal.throwIfAborted();
    while (this.#count(clock.now()) >= places) await waited(clock, lookMs, signal);
    const place = Symbol('place');
    this.#taken.set(place, clock.now() + holdMs);
    try {
      return await task();
    } finally {
      this.#taken.delete(place);
    }
  }

  #count(now: number): number {
    for (const [place, until] of this.#taken) if (until <= now) this.#taken.delete(place);
    return this.#taken.size;
  }
}
