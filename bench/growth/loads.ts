/** What one object is asked in a second: of all objects of a kind, and all seconds of a phase. */
export interface Load {
  objects: number;
  mean: number;
  p99: number;
  max: number;
}

/** Counts the requests of each object of a kind, second by second. */
export class ObjectLoads {
  readonly #names: readonly string[];
  #now: Uint32Array;
  /** By phase: how many seconds of an object had so many requests. */
  readonly #seconds = new Map<string, number[]>();
  #total = 0;

  /** @param names the objects; an object is its place among them. */
  constructor(names: readonly string[]) {
    this.#names = names;
    this.#now = new Uint32Array(names.length);
  }

  get total(): number {
    return this.#total;
  }

  request(object: number): void {
    this.#now[object]!++;
    this.#total++;
  }

  /** The second is over. */
  endSecond(phase: string): void {
    const counts = this.#seconds.get(phase) ?? [];
    this.#seconds.set(phase, counts);
    for (const requests of this.#now) counts[requests] = (counts[requests] ?? 0) + 1;
    this.#now.fill(0);
  }

  /** Of the seconds of a phase; of all phases where none is named. */
  of(phase?: string): Load {
    const seconds: number[] = [];
    for (const [name, counts] of this.#seconds) {
      if (phase !== undefined && name !== phase) continue;
      // An array with holes: `forEach` passes them over.
      counts.forEach((count, requests) => {
        seconds[requests] = (seconds[requests] ?? 0) + count;
      });
    }
    let observed = 0;
    let sum = 0;
    seconds.forEach((count, requests) => {
      observed += count;
      sum += count * requests;
    });
    let below = 0;
    let p99 = 0;
    for (const [requests, count = 0] of seconds.entries()) {
      p99 = requests;
      below += count;
      if (below >= 0.99 * observed) break;
    }
    const mean = observed === 0 ? 0 : sum / observed;
    return { objects: this.#names.length, mean, p99, max: Math.max(0, seconds.length - 1) };
  }

  /** The phase that has the most in one second. */
  get busiest(): string {
    let [most, busiest] = [-1, ''];
    for (const [phase, { length }] of this.#seconds) if (length > most) [most, busiest] = [length, phase];
    return busiest;
  }
}
