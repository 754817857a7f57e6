import type { Clock } from '../call/clock.ts';
import type { CallGrant } from '../call/principal.ts';
import type { Alarms } from './alarms.ts';
import type { Entries } from './kept-entries.ts';

const KEY = 'spent token';

/** Remembers, in the object of its one call, that a single-call token was used. */
export class SpentToken {
  readonly #entries: Entries;
  readonly #alarms: Alarms;
  readonly #clock: Clock;

  constructor({ entries, alarms, clock }: { entries: Entries; alarms: Alarms; clock: Clock }) {
    this.#entries = entries;
    this.#alarms = alarms;
    this.#clock = clock;
  }

  /** Forgotten, it could be used again. */
  get remembered(): boolean {
    return this.#entries.get(KEY) !== undefined;
  }

  /** Uses a single-call token up. False: it was used before, or has expired; whatever became of it. */
  spend({ tokenId, expiresAt }: CallGrant): boolean {
    if (expiresAt <= this.#clock.now() || this.remembered) return false;
    this.#entries.put(KEY, tokenId);
    this.#alarms.set('token', expiresAt);
    return true;
  }

  /** Its time is over: it starts nothing any more. */
  forget(): void {
    this.#entries.delete(KEY);
  }
}
