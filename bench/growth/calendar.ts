/** Length of a step of the simulated time, in milliseconds. */
export const TICK_MS = 100;

/** What is due when, to a tick. Within a tick in the order in which it was put there. */
export class Calendar {
  readonly #ticks: (number[] | undefined)[];

  /** What is put after `ms` is never due. */
  constructor(ms: number) {
    this.#ticks = new Array<number[] | undefined>(Math.ceil(ms / TICK_MS));
  }

  /** @param atMs milliseconds since the beginning. */
  put(atMs: number, event: number): void {
    const tick = Math.floor(atMs / TICK_MS);
    if (tick >= this.#ticks.length) return;
    const due = this.#ticks[tick];
    if (due === undefined) this.#ticks[tick] = [event];
    else due.push(event);
  }

  /** Takes what is due in a tick. */
  take(tick: number): readonly number[] {
    const due = this.#ticks[tick] ?? [];
    this.#ticks[tick] = undefined;
    return due;
  }
}
