import type { Writes } from './kept-writes.ts';

/** What is used of an object's `storage.kv`. */
export type Entries = Pick<SyncKvStorage, 'get' | 'put' | 'delete'>;

/** The object's small entries, of which one that waits to be written is read as if it were. */
export class KeptEntries implements Entries {
  readonly #kv: Entries;
  readonly #writes: Writes;
  readonly #prefix: string;
  /** `undefined`: deleted. */
  readonly #waiting = new Map<string, unknown>();

  /** @param prefix of the keys under which its writes wait. */
  constructor(kv: Entries, writes: Writes, prefix: string) {
    this.#kv = kv;
    this.#writes = writes;
    this.#prefix = prefix;
  }

  get<T = unknown>(key: string): T | undefined {
    return this.#waiting.has(key) ? (this.#waiting.get(key) as T | undefined) : this.#kv.get<T>(key);
  }

  put<T>(key: string, value: T): void {
    this.#waiting.set(key, value);
    this.#write(key, () => this.#kv.put(key, value));
  }

  delete(key: string): boolean {
    const existed = this.get(key) !== undefined;
    this.#waiting.set(key, undefined);
    this.#write(key, () => this.#kv.delete(key));
    return existed;
  }

  #write(key: string, write: () => void): void {
    this.#writes.write(`${this.#prefix}${key}`, () => {
      write();
      this.#waiting.delete(key);
    });
  }
}
