import type { Clock, Timer } from './clock.ts';

/** How keys become an entry. Times are milliseconds. */
export interface DtmfOptions {
  /** Ends an entry; itself no part of it. Default `#`. */
  terminator: string;
  /** An entry is over so long after its last key. Default 2,000. */
  timeoutMs: number;
  /** Keys of the longest entry; the one that fills it ends it. Default 32. */
  mostKeys: number;
}

export const defaultDtmf: DtmfOptions = { terminator: '#', timeoutMs: 2_000, mostKeys: 32 };

/** Gathers the keys that a caller presses into entries: "4711#", or "1" and a pause. */
export class DtmfCollector {
  readonly #clock: Clock;
  readonly #options: DtmfOptions;
  readonly #onEntry: (keys: string) => void;
  #keys = '';
  #timer: Timer | null = null;

  constructor(clock: Clock, options: DtmfOptions, onEntry: (keys: string) => void) {
    this.#clock = clock;
    this.#options = options;
    this.#onEntry = onEntry;
  }

  /** Keys pressed so far that are no entry yet. */
  get pending(): string {
    return this.#keys;
  }

  /** Keys pressed before the call lost its memory: no time of theirs runs out before `resume`. */
  recall(keys: string): void {
    for (const key of keys) this.press(key);
    this.suspend();
  }

  press(key: string): void {
    this.#timer?.cancel();
    // A terminator by itself is the entry: "press # to go on".
    const ends = key === this.#options.terminator;
    if (!ends || this.#keys === '') this.#keys += key;
    if (ends || this.#keys.length >= this.#options.mostKeys) this.#finish();
    else this.#timer = this.#clock.after(this.#options.timeoutMs, () => this.#finish());
  }

  /** The line is down: nobody can press a key, so no time runs out. */
  suspend(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  resume(): void {
    if (this.#keys !== '') this.#timer ??= this.#clock.after(this.#options.timeoutMs, () => this.#finish());
  }

  /** Takes what was pressed without waiting for more; empty if nothing was. */
  take(): string {
    this.#timer?.cancel();
    this.#timer = null;
    const keys = this.#keys;
    this.#keys = '';
    return keys;
  }

  #finish(): void {
    const keys = this.take();
    if (keys !== '') this.#onEntry(keys);
  }
}

const KEYS_PRESSED = 'Keys pressed: ';

/** An entry as the caller's words, for the language model and the transcript. */
export function spokenKeys(keys: string): string {
  return `${KEYS_PRESSED}${[...keys].join(' ')}`;
}

/** Whether a turn of the caller's has keys in it (`spokenKeys`). */
export function hasKeys(text: string): boolean {
  return text.includes(KEYS_PRESSED);
}
