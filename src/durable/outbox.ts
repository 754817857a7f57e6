import type { Clock, Random } from '../call/clock.ts';
import { describeError, log } from '../log.ts';
import type { Alarms } from './alarms.ts';

/** What a call has to tell the outside world. Each is made anew from the journal when it is delivered. */
export type Delivery =
  | 'metrics started'
  | 'log started'
  | 'log conversation'
  | 'log ended'
  | 'recording'
  | 'metrics ended';

/** Carries out one delivery. Idempotent; throws to be called again later. */
export type Deliver = (delivery: Delivery, signal: AbortSignal) => Promise<void>;

/** First wait after a failure; doubles up to the last one. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 5 * 60_000;
/** No delivery may take longer; a recording of an hour is written in seconds. */
const DELIVERY_TIMEOUT_MS = 60_000;
/** If the object dies during a delivery, the alarm takes it up again. */
const BACKSTOP_MS = 90_000;

/**
 * Deliveries that must happen, kept in the object's SQLite until they have: at least once each, in the order in
 * which they were put, one that fails not stopping the next. Retried with back-off for as long as it takes.
 */
export class Outbox {
  readonly #sql: SqlStorage;
  readonly #alarms: Alarms;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #deliver: Deliver;
  #running: Promise<void> | null = null;
  #again = false;

  constructor(options: {
    sql: SqlStorage;
    alarms: Alarms;
    clock: Clock;
    random: Random;
    deliver: Deliver;
  }) {
    this.#sql = options.sql;
    this.#alarms = options.alarms;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#deliver = options.deliver;
  }

  /** Adds deliveries, due at once. One that is waiting already is due again. */
  put(...deliveries: Delivery[]): void {
    const now = this.#clock.now();
    for (const delivery of deliveries) {
      // A new `seq`: a run of the older one that is under way does not take this one with it.
      this.#sql.exec(
        'INSERT OR REPLACE INTO outbox (delivery, attempts, next_at) VALUES (?, 0, ?)',
        delivery,
        now,
      );
    }
    this.#alarms.set('outbox', now + BACKSTOP_MS);
  }

  get depth(): number {
    return this.#sql.exec<{ depth: number }>('SELECT count(*) AS depth FROM outbox').one().depth;
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
      const due = this.#sql
        .exec<Entry>(
          'SELECT seq, delivery, attempts FROM outbox WHERE next_at <= ? ORDER BY seq',
          this.#clock.now(),
        )
        .toArray();
      for (const entry of due) await this.#try(entry);
    } while (this.#again);
    const next = this.#sql.exec<{ at: number | null }>('SELECT min(next_at) AS at FROM outbox').one().at;
    this.#alarms.set('outbox', next);
  }

  async #try({ seq, delivery, attempts }: Entry): Promise<void> {
    try {
      await this.#deliver(delivery, AbortSignal.timeout(DELIVERY_TIMEOUT_MS));
      this.#sql.exec('DELETE FROM outbox WHERE seq = ?', seq);
    } catch (error) {
      const wait = Math.min(FIRST_RETRY_MS * 2 ** attempts, LAST_RETRY_MS);
      const nextAt = this.#clock.now() + Math.round(wait * (0.5 + this.#random.fraction() / 2));
      this.#sql.exec('UPDATE outbox SET attempts = ?, next_at = ? WHERE seq = ?', attempts + 1, nextAt, seq);
      log('error', 'delivery failed', { delivery, attempts: attempts + 1, error: describeError(error) });
    }
  }
}

type Entry = { seq: number; delivery: Delivery; attempts: number };
