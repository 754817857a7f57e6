/** The longest that anything is waited for, on a machine that is busy with other tests. */
const limitMs = 60_000;

/** What happens again and again, and whoever waits until it has brought what they want. */
export class Happenings {
  readonly #waiting = new Set<() => void>();

  /** Something has happened: all who wait look again. */
  wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  /**
   * What `look` finds, as soon as it finds something: now, or after something has happened. @throws {Error} what `look` throws, or naming
   * `what` did not come.
   */
  find<T>(look: () => T | undefined, what: () => string): Promise<T> {
    return new Promise((resolve, reject) => {
      const again = () => {
        try {
          const found = look();
          if (found === undefined) return;
          done();
          resolve(found);
        } catch (error) {
          done();
          reject(error);
        }
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`${what()} did not come in ${limitMs} ms`));
      }, limitMs);
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(again);
      };
      this.#waiting.add(again);
      again();
    });
  }

  /** Waits until `test` holds. */
  async until(test: () => boolean, what: () => string): Promise<void> {
    await this.find(() => test() || undefined, what);
  }
}
