import type { seeded } from '../../test/support/random.ts';

/** Whose a call is, where the `k`-th largest of `users` has a `k`-th of the calls of the largest (Zipf's law). */
export class Users {
  /** Up to which part of all calls are those of the first users. */
  readonly #upTo: Float64Array;

  constructor(users: number) {
    this.#upTo = new Float64Array(users);
    let sum = 0;
    for (let k = 0; k < users; k++) {
      sum += 1 / (k + 1);
      this.#upTo[k] = sum;
    }
    for (let k = 0; k < users; k++) this.#upTo[k]! /= sum;
  }

  /** The part of all calls that the largest has. */
  get largest(): number {
    return this.#upTo[0]!;
  }

  /** 0: the largest. */
  of(random: Pick<ReturnType<typeof seeded>, 'fraction'>): number {
    const at = random.fraction();
    let [low, high] = [0, this.#upTo.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#upTo[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
