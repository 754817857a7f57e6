import type { Afterwards } from './answer-writer.ts';
import type { Clock, Timer } from './clock.ts';

/** What is to follow a speech is done without it, if none is heard in this time. */
const WITHOUT_MS = 15_000;

/** What tools want done once the caller has heard of it: a goodbye comes before the hang-up. */
export class AfterSpeech {
  readonly #clock: Clock;
  readonly #onProblem: (problem: string) => void;
  #acts: readonly Afterwards[] = [];
  #from = 0;
  #timer: Timer | null = null;

  /** @param onProblem told what could not be done. */
  constructor(clock: Clock, onProblem: (problem: string) => void) {
    this.#clock = clock;
    this.#onProblem = onProblem;
  }

  /** @param from number of the first speech that can tell of it. */
  add(acts: readonly Afterwards[], from: number): void {
    this.#acts = [...this.#acts, ...acts];
    this.#from = from;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(WITHOUT_MS, () => this.#act());
  }

  /** A speech is over. One that was interrupted leaves nothing to be done: the caller wants something else. */
  heard(speech: number, whole: boolean): void {
    if (speech < this.#from || this.#acts.length === 0) return;
    if (whole) this.#act();
    else this.stop();
  }

  /** Nothing is done any more. */
  stop(): void {
    this.#acts = [];
    this.#timer?.cancel();
  }

  #act(): void {
    const acts = this.#acts;
    this.stop();
    const problem = acts.map((act) => act()).find((told) => told !== null);
    if (problem !== undefined && problem !== null) this.#onProblem(problem);
  }
}
