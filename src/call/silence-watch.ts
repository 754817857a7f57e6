import type { SilenceOptions } from './agent-config.ts';
import type { Clock, Timer } from './clock.ts';

/** Sound that came to nothing may use up the silence's time; the agent does not speak at its very end. */
const LEAST_WAIT_MS = 1_000;

/**
 * Ends a call on which nobody speaks: the agent asks once whether the caller is there, and if that brings no word, says
 * goodbye and hangs up. The silence begins when the agent listens, and goes on under noise; words and keys end it.
 */
export class SilenceWatch {
  readonly #clock: Clock;
  readonly #options: SilenceOptions;
  readonly #say: (text: string, then: () => void) => void;
  readonly #hangUp: () => void;
  #timer: Timer | null = null;
  /** When the silence is too long; null before it has begun. */
  #deadline: number | null = null;
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

  /** The agent listens: the silence begins, or goes on after a noise. */
  start(): void {
    this.#timer?.cancel();
    const { promptMs, hangUpMs } = this.#options;
    const now = this.#clock.now();
    this.#deadline ??= now + (this.#prompted ? hangUpMs : promptMs);
    const wait = Math.max(this.#deadline - now, LEAST_WAIT_MS);
    this.#timer = this.#clock.after(wait, () => this.#over());
  }

  /** There is a sound; it is not known yet whether it is a word. */
  suspend(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** The agent speaks: the next silence begins after it. */
  agentSpeaks(): void {
    this.suspend();
    this.#deadline = null;
  }

  /** The caller has said something: he is there. */
  reset(): void {
    this.agentSpeaks();
    this.#prompted = false;
  }

  /** The call is over. */
  stop(): void {
    this.suspend();
  }

  #over(): void {
    this.agentSpeaks();
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
