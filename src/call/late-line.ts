import type { SilenceOptions } from './agent-config.ts';
import type { Clock, Timer } from './clock.ts';

export interface LateLineOptions {
  clock: Clock;
  options: SilenceOptions;
  /** The line is down: nobody waits. */
  isSuspended(): boolean;
  /** What the caller said is still being transcribed. */
  isAwaited(): boolean;
  /** Neither side speaks. */
  isQuiet(): boolean;
  /** Says the line; `then` follows if it was heard to its end. */
  say(text: string, then: () => void): void;
}

/** The hold line where nothing is known of what the caller said, for too long: the line is not left dead. */
export class LateLine {
  readonly #options: LateLineOptions;
  #timer: Timer | null = null;

  constructor(options: LateLineOptions) {
    this.#options = options;
  }

  /** @param since when the wait has begun, in milliseconds since the epoch. */
  await(since: number, waitMs = this.#options.options.holdLineMs): void {
    const { clock, options, isSuspended, isAwaited, isQuiet, say } = this.#options;
    this.cancel();
    if (options.holdLine === '' || isSuspended()) return;
    this.#timer = clock.after(since + waitMs - clock.now(), () => {
      if (!isAwaited() || !isQuiet()) return;
      // Each further line comes after twice the silence.
      say(options.holdLine, () => {
        if (isAwaited()) this.await(clock.now(), waitMs * 2);
      });
    });
  }

  cancel(): void {
    this.#timer?.cancel();
  }
}
