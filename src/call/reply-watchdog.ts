import type { Clock, Timer } from './clock.ts';
import type { Playout } from './playout.ts';

/** Above every provider's own bound. */
export const STUCK_MS = 45_000;

/** Notices a reply that neither ends nor goes on, whatever it waits for. */
export class ReplyWatchdog {
  readonly #clock: Clock;
  readonly #playout: Playout;
  #timer: Timer | null = null;

  constructor(clock: Clock, playout: Playout) {
    this.#clock = clock;
    this.#playout = playout;
  }

  /**
   * Watches from now on, until `stop`.
   *
   * @param waitsForCaller whether held audio waits for the caller, and so with reason.
   * @param onStuck called once.
   */
  start(waitsForCaller: () => boolean, onStuck: () => void): void {
    const playout = this.#playout;
    let queued = playout.queuedMs;
    let since = this.#clock.now();
    const look = () => {
      // Audio that is being heard goes on by itself.
      const moved = playout.queuedMs !== queued;
      if (moved || (playout.held && waitsForCaller())) since = this.#clock.now();
      queued = playout.queuedMs;
      if (this.#clock.now() - since >= STUCK_MS) onStuck();
      else this.#timer = this.#clock.after(STUCK_MS / 3, look);
    };
    this.stop();
    this.#timer = this.#clock.after(STUCK_MS / 3, look);
  }

  /** Idempotent. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
