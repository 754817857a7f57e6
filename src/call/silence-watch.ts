import type { SilenceOptions } from './agent-config.ts';
import type { Clock, Timer } from './clock.ts';

/**
 * Ends a call on which nobody speaks: the agent asks once whether the caller is there, and if that brings no word, says
 * goodbye and hangs up. Started when the agent listens, stopped by anything the caller does.
 */
export class SilenceWatch {
  readonly #clock: Clock;
  readonly #options: SilenceOptions;
  readonly #say: (text: string, then: () => void) => void;
  readonly #hangUp: () => void;
  #timer: Timer | null = null;
  #prompted = false;

  constructor(options: {
    clock: Clock;
    options: SilenceOptions;
    /** Says a text; `then` follows once it was heard, unless the caller interrupted it. */
    say(text: string, then: () => void): void;
    hangUp(): void;
  }) {
    this.#clock = options.clock;
    this.#options = options.options;
    this.#say = options.say;
    this.#hangUp = options.hangUp;
  }

  /** The agent listens: the silence begins now. */
  start(): void {
    this.#timer?.cancel();
    const { promptMs, hangUpMs } = this.#options;
    this.#timer = this.#clock.after(this.#prompted ? hangUpMs : promptMs, () => this.#over());
  }

  /** The caller is there, or somebody speaks. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** The caller has said something: the next silence is a new one. */
  reset(): void {
    this.#prompted = false;
  }

  #over(): void {
    this.#timer = null;
    const { prompt, goodbye } = this.#options;
    if (!this.#prompted) {
      this.#prompted = true;
      // What follows it is silence again, and the watch is started anew.
      if (prompt === '') this.start();
      else this.#say(prompt, () => {});
    } else if (goodbye === '') {
      this.#hangUp();
    } else {
      this.#say(goodbye, () => this.#hangUp());
    }
  }
}
