import { describeError, log } from '../log.ts';
import { type Writes, writeThrough } from './kept-writes.ts';

/** Why a call's object may want to be woken. */
export type AlarmName =
  /** Deliveries of the outbox are due. */
  | 'outbox'
  /** The call should be over; if its object lost it, it is closed then. */
  | 'recover'
  /** The call id may be used again, and the object forgotten. */
  | 'forget'
  /** The call's token starts nothing any more, and need not be remembered as used. */
  | 'token';

const KEY = 'alarms';

/** What the alarms need of an object's storage. */
type AlarmStorage = Pick<DurableObjectStorage, 'kv' | 'setAlarm' | 'deleteAlarm'>;

/**
 * Named alarms over the one alarm that an object has: the earliest is set. Kept in the object's storage, so they
 * survive it.
 */
export class Alarms {
  readonly #storage: AlarmStorage;
  readonly #writes: Writes;
  #times: Partial<Record<AlarmName, number>>;

  constructor(storage: AlarmStorage, writes: Writes = writeThrough) {
    this.#storage = storage;
    this.#writes = writes;
    this.#times = storage.kv.get<Partial<Record<AlarmName, number>>>(KEY) ?? {};
  }

  at(name: AlarmName): number | null {
    return this.#times[name] ?? null;
  }

  /** Sets one alarm, in milliseconds since the epoch; null cancels it. */
  set(name: AlarmName, at: number | null): void {
    if (this.at(name) === at) return;
    if (at === null) delete this.#times[name];
    else this.#times[name] = at;
    this.#store();
  }

  /** Sets one alarm, unless it is set to an earlier time already. */
  setNoLater(name: AlarmName, at: number): void {
    const set = this.at(name);
    if (set === null || set > at) this.set(name, at);
  }

  /** Takes the alarms that are due. The caller carries them out; one that fails sets itself again. */
  takeDue(now: number): AlarmName[] {
    const due = (Object.keys(this.#times) as AlarmName[]).filter((name) => this.#times[name]! <= now);
    for (const name of due) delete this.#times[name];
    this.#store();
    return due;
  }

  #store(): void {
    this.#writes.write(KEY, () => {
      const times = Object.values(this.#times);
      if (times.length === 0) {
        this.#storage.kv.delete(KEY);
        this.#storage.deleteAlarm().catch(notSet);
      } else {
        this.#storage.kv.put(KEY, this.#times);
        this.#storage.setAlarm(Math.min(...times)).catch(notSet);
      }
    });
  }
}

/** The entry beside it was written: the next change of the times sets it again. */
function notSet(error: unknown): void {
  log('error', 'the alarm could not be set', { error: describeError(error) });
}
