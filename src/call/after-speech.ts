import type { Afterwards } from '../tools/afterwards.ts';
import type { Clock, Timer } from './clock.ts';
import type { LaterActs } from './later-acts.ts';

/** What is to follow a speech is done without it, if none is heard in this time. */
const WITHOUT_MS = 15_000;

/** What tools want done once the caller has heard of it, where a model decides by itself when it speaks of it. */
export class AfterSpeech {
  readonly #clock: Clock;
  readonly #acts: LaterActs;
  readonly #onProblem: (problem: string) => void;
  /** Number of the first speech that can tell of it; null: the model does not know of it yet. */
  #from: number | null = null;
  #timer: Timer | null = null;
  /** The line is down. */
  #suspended = false;

  /** @param onProblem told what could not be done. */
  constructor(clock: Clock, acts: LaterActs, onProblem: (problem: string) => void) {
    this.#clock = clock;
    this.#acts = acts;
    this.#onProblem = onProblem;
  }

  /** A tool wants it done. The model has still to be told of it: `tell` follows. */
  plan(act: Afterwards): void {
    this.#acts.add(act);
    this.#from = null;
    this.#timer?.cancel();
  }

  /** The model knows what is to be done, and speaks of it. @param from number of the first speech that can. */
  tell(from: number): void {
    if (!this.#acts.waiting) return;
    this.#from = from;
    this.#wait();
  }

  /** A speech is over. One that was interrupted leaves nothing to be done: the caller wants something else. */
  heard(speech: number, whole: boolean): void {
    if (this.#from === null || speech < this.#from || !this.#acts.waiting) return;
    if (whole) this.#act();
    else this.stop();
  }

  /** The line is down: nothing is done on it. */
  suspend(): void {
    this.#suspended = true;
    this.#timer?.cancel();
  }

  resume(): void {
    this.#suspended = false;
    if (this.#acts.waiting && this.#from !== null) this.#wait();
  }

  /** Nothing is done any more. */
  stop(): void {
    this.#acts.forget();
    this.#from = null;
    this.#timer?.cancel();
  }

  #wait(): void {
    this.#timer?.cancel();
    if (!this.#suspended) this.#timer = this.#clock.after(WITHOUT_MS, () => this.#act());
  }

  #act(): void {
    this.#from = null;
    this.#timer?.cancel();
    const [problem] = this.#acts.do();
    if (problem !== undefined) this.#onProblem(problem);
  }
}
