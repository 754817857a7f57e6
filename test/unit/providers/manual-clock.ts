import type { Clock, Timer } from '../../../src/call/clock.ts';

/** Stands still until it is told to go on. */
export class ManualClock implements Clock {
  #now = 0;
  #tasks: { at: number; task: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(delayMs: number, task: () => void): Timer {
    const entry = { at: this.#now + delayMs, task };
    this.#tasks.push(entry);
    return {
      cancel: () => {
        this.#tasks = this.#tasks.filter((other) => other !== entry);
      },
    };
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#tasks.length;
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    const due = this.#tasks.filter((entry) => entry.at <= this.#now);
    this.#tasks = this.#tasks.filter((entry) => entry.at > this.#now);
    for (const { task } of due) task();
  }
}
