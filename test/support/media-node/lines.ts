/** The longest that a line is waited for. */
const limitMs = 30_000;

/** What somebody writes line by line, and whoever waits for a line of it. */
export class Lines {
  readonly #lines: string[] = [];
  readonly #waiting = new Set<() => void>();

  get all(): readonly string[] {
    return this.#lines;
  }

  push(...lines: readonly string[]): void {
    this.#lines.push(...lines);
    for (const wake of this.#waiting) wake();
  }

  /** The first line that matches, of all that were ever written, as soon as it is there. */
  async find(pattern: RegExp): Promise<string> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const found = this.#lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no line ${pattern} in:\n${this.#lines.slice(-50).join('\n')}`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, left);
        this.#waiting.add(wake);
      });
    }
  }
}
