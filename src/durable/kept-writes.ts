import type { Clock } from '../call/clock.ts';
import { describeError, log } from '../log.ts';

/** Takes writes to the object's storage. */
export interface Writes {
  /** `write` may be repeated until it does not throw: it is one statement, or undoes half of itself. Of those that wait under a key the last one counts. */
  write(key: string, write: () => void): void;
  /** What waits under keys that begin with this is not needed any more. */
  forget(prefix: string): void;
}

/** Keeps nothing: whoever writes hears what storage throws. */
export const writeThrough: Writes = { write: (_, write) => write(), forget: () => {} };

/** How often storage that takes no writes is tried again where nothing else is written meanwhile. */
const RETRY_MS = 5_000;

/**
 * An error that is the write's own: it would stand in the way of all others for ever. Rows and blobs have 2 MB at most
 * (https://developers.cloudflare.com/durable-objects/platform/limits/).
 */
const OWN_FAULT = /SQLITE_TOOBIG|SQLITE_CONSTRAINT|DataCloneError/;

export interface KeptWritesOptions {
  clock: Clock;
  /** The object's id, for the log. */
  object: string;
  /** Called by the timer, after it has tried: what needs an alarm may have none. */
  onRetry(): void;
}

/**
 * Writes to the object's storage, in order. What the storage does not take is kept in memory and tried again, with the next write and
 * by a timer, so that a call goes on, and its record is complete, when storage is used up: an account whose allowance is spent
 * has each write refused with an error like any other ("Exceeded allowed rows written in Durable Objects free tier."), while what is
 * there can be read.
 *
 * A database of 10 GB is another matter: there the runtime answers "database or disk is full: SQLITE_FULL", rolls the open transaction
 * back and resets the object (`ActorSqlite::onCriticalError` in workerd's `src/workerd/io/actor-sqlite.c++`). One call cannot fill
 * it: a day at 16 kHz, the longest that `WEBSOCKET_TIMEOUT` allows, has 5.5 GB.
 */
export class KeptWrites implements Writes {
  readonly #options: KeptWritesOptions;
  readonly #waiting = new Map<string, () => void>();
  #refused = false;
  #timed = false;

  constructor(options: KeptWritesOptions) {
    this.#options = options;
  }

  write(key: string, write: () => void): void {
    this.#waiting.delete(key);
    this.#waiting.set(key, write);
    this.#flush();
  }

  forget(prefix: string): void {
    for (const key of this.#waiting.keys()) if (key.startsWith(prefix)) this.#waiting.delete(key);
  }

  #flush(): void {
    for (const [key, write] of this.#waiting) {
      try {
        write();
      } catch (error) {
        if (!OWN_FAULT.test(String(error))) {
          this.#refuse(error);
          return;
        }
        log('error', 'the storage can never take this', { key, error: describeError(error) });
      }
      this.#waiting.delete(key);
    }
    if (this.#refused) log('info', 'the storage takes writes again', { object: this.#options.object });
    this.#refused = false;
  }

  #refuse(error: unknown): void {
    if (!this.#refused) {
      const { object } = this.#options;
      const fields = { object, error: describeError(error) };
      log('error', 'the storage takes no writes: they are kept in memory', fields);
    }
    this.#refused = true;
    if (this.#timed) return;
    this.#timed = true;
    this.#options.clock.after(RETRY_MS, () => {
      this.#timed = false;
      this.#flush();
      this.#options.onRetry();
    });
  }
}
