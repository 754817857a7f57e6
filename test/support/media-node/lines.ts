import { Happenings } from '../happenings.ts';

/** What somebody writes line by line, and whoever waits for a line of it. */
export class Lines {
  readonly #lines: string[] = [];
  readonly #happenings = new Happenings();

  get all(): readonly string[] {
    return this.#lines;
  }

  push(...lines: readonly string[]): void {
    this.#lines.push(...lines);
    this.#happenings.wake();
  }

  /** The first line that matches, of all that were ever written, as soon as it is there. */
  find(pattern: RegExp): Promise<string> {
    return this.#happenings.find(
      () => this.#lines.find((line) => pattern.test(line)),
      () => `a line ${pattern}, of:\n${this.#lines.slice(-50).join('\n')}\n`,
    );
  }
}
