import type { Clock, Random } from '../call/clock.ts';
import { describeError, log } from '../log.ts';
import { RecordsError } from '../records/call-records.ts';
import type { Alarms } from './alarms.ts';
import { type Writes, writeThrough } from './kept-writes.ts';
import { hasTables } from './storage.ts';

/** What a call has to tell the outside world. Each is made anew from the journal when it is delivered. */
export type Delivery =
  | 'metrics started'
  | 'log started'
  | 'log conversation'
  | 'log ended'
  /** The charge of a call that is paid for. */
  | 'payment'
  | 'recording'
  | 'metrics ended';

/** Carries out one delivery. Idempotent; throws to be called again later. */
export type Deliver = (delivery: Delivery, signal: AbortSignal) => Promise<void>;

/** First wait after a failure; doubles up to the last one. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 5 * 60_000;
/** What the far end refuses for good is tried again in case somebody mends it there: a key, a missing table. */
const REFUSED_RETRY_MS = 60 * 60_000;
/** No delivery may take longer; a recording of an hour is written in seconds. */
const DELIVERY_TIMEOUT_MS = 60_000;
/** Longer than a delivery may take. */
const BACKSTOP_MS = 90_000;

/**
 * Deliveries that must happen, kept in the object's SQLite until they have: at least once each, in the order in
 * which they were put, one that fails not stopping the next. Retried with back-off for as long as it takes. While the storage
 * takes no writes they are made from memory.
 */
export class Outbox {
  readonly #sql: SqlStorage;
  readonly #writes: Writes;
  readonly #alarms: Alarms;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #deliver: Deliver;
  readonly #trace: () => string | undefined;
  /** In order. What is stored of them may lag behind. */
  #entries: Entry[];
  #running: Promise<void> | null = null;
  #again = false;

  constructor(options: {
    sql: SqlStorage;
    writes?: Writes;
    alarms: Alarms;
    clock: Clock;
    random: Random;
    deliver: Deliver;
    /** The trace of the call, for the log. */
    trace?: () => string | undefined;
  }) {
    this.#sql = options.sql;
    this.#writes = options.writes ?? writeThrough;
    this.#alarms = options.alarms;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#deliver = options.deliver;
    this.#trace = options.trace ?? (() => undefined);
    this.#entries = hasTables(options.sql)
      ? options.sql
          .exec<Entry>('SELECT delivery, attempts, next_at AS nextAt FROM outbox ORDER BY seq')
          .toArray()
      : [];
  }

  /** Adds deliveries, due at once. One that is waiting already is due again. */
  put(...deliveries: Delivery[]): void {
    const now = this.#clock.now();
    for (const delivery of deliveries) {
      // A new entry: a run of the older one that is under way does not take this one with it.
      this.#entries = this.#entries.filter((entry) => entry.delivery !== delivery);
      this.#entries.push({ delivery, attempts: 0, nextAt: now });
      this.#store(delivery);
    }
    this.#alarms.set('outbox', now + BACKSTOP_MS);
  }

  get depth(): number {
    return this.#entries.length;
  }

  /** Delivers what is due, and sets the alarm for the rest. One run at a time; never rejects. */
  run(): Promise<void> {
    if (this.#running !== null) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#runDue().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #runDue(): Promise<void> {
    do {
      this.#again = false;
      const now = this.#clock.now();
      const due = this.#entries.filter((entry) => entry.nextAt <= now);
      for (const entry of due) await this.#try(entry);
    } while (this.#again);
    const times = this.#entries.map((entry) => entry.nextAt);
    this.#alarms.set('outbox', times.length === 0 ? null : Math.min(...times));
  }

  async #try(entry: Entry): Promise<void> {
    const { delivery } = entry;
    // If the object dies in the middle, the alarm takes it up again.
    this.#alarms.set('outbox', this.#clock.now() + BACKSTOP_MS);
    try {
      await this.#within(DELIVERY_TIMEOUT_MS, (signal) => this.#deliver(delivery, signal));
      this.#entries = this.#entries.filter((other) => other !== entry);
    } catch (error) {
      const refused = error instanceof RecordsError && !error.retryable;
      const wait = refused ? REFUSED_RETRY_MS : Math.min(FIRST_RETRY_MS * 2 ** entry.attempts, LAST_RETRY_MS);
      entry.attempts++;
      entry.nextAt = this.#clock.now() + Math.round(wait * (0.5 + this.#random.fraction() / 2));
      log('error', 'delivery failed', {
        trace: this.#trace(),
        delivery,
        attempts: entry.attempts,
        refused,
        error: describeError(error),
      });
    }
    this.#store(delivery);
  }

  /** Writes down how it stands with a delivery. */
  #store(delivery: Delivery): void {
    this.#writes.write(`call/outbox/${delivery}`, () => {
      const entry = this.#entries.find((other) => other.delivery === delivery);
      if (entry === undefined) this.#sql.exec('DELETE FROM outbox WHERE delivery = ?', delivery);
      else {
        this.#sql.exec(
          `INSERT INTO outbox (delivery, attempts, next_at) VALUES (?, ?, ?)
           ON CONFLICT (delivery) DO UPDATE SET attempts = excluded.attempts, next_at = excluded.next_at`,
          delivery,
          entry.attempts,
          entry.nextAt,
        );
      }
    });
  }

  /** Also a delivery that does not heed its signal may not hold up the others. */
  #within(timeoutMs: number, deliver: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const controller = new AbortController();
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        const error = new Error(`the delivery took longer than ${timeoutMs} ms`);
        controller.abort(error);
        reject(error);
      });
      deliver(controller.signal)
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
  }
}

type Entry = { delivery: Delivery; attempts: number; nextAt: number };
