import type { SilenceOptions } from './agent-config.ts';
import type { Clock, Timer } from './clock.ts';
import type { Reply } from './reply.ts';

export interface MissingLineOptions {
  clock: Clock;
  options: SilenceOptions;
  /** Whether something is missing without which there is no answer, and nobody speaks. */
  isMissing(): boolean;
  /** Says the line; `then` follows if it was heard to its end. */
  say(text: string, then: () => void): Reply;
}

/**
 * The hold line beside a model that decides by itself when to speak: said only where it is known that something is missing, a session or
 * the result of a delegation. A model that is silent may have reason to be. Each further line comes after twice the silence.
 */
export class MissingLine {
  readonly #options: MissingLineOptions;
  #timer: Timer | null = null;
  #patienceMs: number;
  #line: Reply | null = null;

  constructor(options: MissingLineOptions) {
    this.#options = options;
    this.#patienceMs = options.options.holdLineMs;
  }

  /** Another turn of the caller's: patience begins anew. */
  reset(): void {
    this.#patienceMs = this.#options.options.holdLineMs;
  }

  /** Whether this is the hold line, and nothing of it was heard yet. */
  isSilent(line: Reply): boolean {
    return line === this.#line && line.spoken.latest === '';
  }

  /** @param since when the wait has begun, in milliseconds since the epoch. */
  await(since: number): void {
    const { clock, options, isMissing, say } = this.#options;
    this.cancel();
    if (options.holdLine === '') return;
    this.#timer = clock.after(Math.max(0, since + this.#patienceMs - clock.now()), () => {
      if (!isMissing()) return;
      this.#patienceMs *= 2;
      this.#line = say(options.holdLine, () => this.await(clock.now()));
    });
  }

  cancel(): void {
    this.#timer?.cancel();
  }
}
