import type { SilenceOptions } from './agent-config.ts';
import type { Clock, Timer } from './clock.ts';
import type { Playout } from './playout.ts';

/** Each further line comes after a silence so many times as long. */
const PATIENCE = 2;

/** Fills the silence in which a caller waits for an answer, or for the rest of one: the agent says that it takes a moment. */
export class HoldLine {
  readonly #clock: Clock;
  readonly #options: SilenceOptions;
  readonly #playout: Playout;
  readonly #say: (line: string) => void;
  #timer: Timer | null = null;
  #stopped = false;
  #wait: number;
  #since = 0;

  constructor(options: {
    clock: Clock;
    options: SilenceOptions;
    playout: Playout;
    say: (line: string) => void;
  }) {
    this.#clock = options.clock;
    this.#options = options.options;
    this.#playout = options.playout;
    this.#say = options.say;
    this.#wait = options.options.holdLineMs;
  }

  /** @param decidedAt when the turn was over, in milliseconds of the clock. */
  start(decidedAt: number): void {
    if (this.#options.holdLine === '') return;
    // A transcript that was late has had its own hold line.
    this.#since = Math.max(decidedAt, this.#clock.now() - this.#wait / 2);
    this.#look();
  }

  /** Nothing more is waited for. Idempotent. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #look(): void {
    if (this.#stopped) return;
    const now = this.#clock.now();
    // Who speaks himself does not wait.
    if (this.#playout.held) this.#since = now;
    const silentSince = Math.max(this.#since, this.#playout.silentFrom);
    if (now - silentSince >= this.#wait) {
      this.#wait *= PATIENCE;
      this.#since = now;
      this.#say(this.#options.holdLine);
    }
    const next = Math.max(this.#since, this.#playout.silentFrom) + this.#wait - now;
    this.#timer = this.#clock.after(next, () => this.#look());
  }
}
