import type { Clock, Random } from '../call/clock.ts';
import { describeError, log } from '../log.ts';
import { RecordsError } from '../records/call-records.ts';
import type { Alarms } from './alarms.ts';
import { type Writes, writeThrough } from './kept-writes.ts';
import { hasTables } from './storage.ts';

/** What a call has to tell the outside world. Each is made anew from the journal when it is delivered. */
export type Delivery =
  /** How the call stands, to the objects that count. */
  | 'metrics'
  /** Which of the others have failed, to the same. */
  | 'metrics waiting'
  /** Its data points. */
  | 'analytics'
  | 'log started'
  | 'log conversation'
  | 'log ended'
  /** What the call cost; after its end. */
  | 'log cost'
  /** The charge of a call that is paid for. */
  | 'payment'
  | 'recording';

/** Carries out one delivery. Idempotent; throws to be called again later. `'more'`: there is another part of it, for which it is called again. */
// biome-ignore lint/suspicious/noConfusingVoidType: most deliveries are functions that return nothing.
export type Deliver = (delivery: Delivery, signal: AbortSignal) => Promise<void | 'more'>;

/** Deliveries of one lane are made one after the other; one that hangs delays none of another lane. */
type Lane = 'counts' | 'records';
const lanes: readonly Lane[] = ['counts', 'records'];

/** No delivery may take longer. A recording of an hour is written in seconds; counting is one small request. */
const DELIVERY_TIMEOUT_MS: Record<Lane, number> = { counts: 10_000, records: 60_000 };

function laneOf(delivery: Delivery): Lane {
  return delivery.startsWith('metrics') || delivery === 'analytics' ? 'counts' : 'records';
}

/** First wait after a failure; doubles up to the last one. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 5 * 60_000;
/** What the far end refuses for good is tried again in case somebody mends it there: a key, a missing table. */
const REFUSED_RETRY_MS = 60 * 60_000;
/** It is told once more what waits at each attempt of this number: attempts are an hour apart at most. */
const TELLING_ATTEMPTS = 12;
/** How long deliveries count as waiting of which nothing more is heard; longer than it takes until they are told again. */
export const WAITING_MS = 24 * 60 * 60_000;
/** Longer than a delivery may take. */
const BACKSTOP_MS = 90_000;
/** Backstops are rounded up to it: those of deliveries that follow each other are one, and setting an alarm once more is two rows written. */
const BACKSTOP_STEP_MS = 10_000;
/** Between the parts of a delivery: the object is woken by its alarm for each. */
const NEXT_PART_MS = 1_000;

/**
 * Deliveries that must happen, kept in the object's SQLite until they have: at least once each, of each lane in the order in
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
  readonly #running = new Map<Lane, Promise<void>>();
  readonly #again = new Set<Lane>();
  /** When a lane that is running is taken up again if the object dies in the middle. */
  readonly #backstops = new Map<Lane, number>();
  /** Of {@link waiting}: what was put to be told of it; null: it is to be told again. */
  #told: string | null;

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
          .exec<Omit<Entry, 'failing'>>(
            'SELECT delivery, attempts, next_at AS nextAt FROM outbox ORDER BY seq',
          )
          .toArray()
          .map((entry) => ({ ...entry, failing: entry.attempts > 0 }))
      : [];
    this.#told = this.waiting.join();
  }

  /** Adds deliveries, due at once. One that is waiting already is due again. */
  put(...deliveries: Delivery[]): void {
    const now = this.#clock.now();
    for (const delivery of deliveries) {
      // A new entry: a run of the older one that is under way does not take this one with it.
      const older = this.#entries.find((entry) => entry.delivery === delivery);
      this.#entries = this.#entries.filter((entry) => entry !== older);
      this.#entries.push({ delivery, attempts: 0, nextAt: now, failing: older?.failing ?? false });
      this.#store(delivery);
    }
    this.#alarms.set('outbox', backstopOf(now));
  }

  get depth(): number {
    return this.#entries.length;
  }

  /** Deliveries of records that have failed and are to be repeated. */
  get waiting(): Delivery[] {
    const failing = this.#entries.filter((entry) => entry.failing && laneOf(entry.delivery) === 'records');
    return failing.map(({ delivery }) => delivery).sort();
  }

  /** Delivers what is due, and sets the alarm for the rest. One run of a lane at a time; never rejects. */
  async run(): Promise<void> {
    // One lane may have put something into the other.
    do await Promise.all(lanes.map((lane) => this.#run(lane)));
    while (this.#running.size > 0);
  }

  #run(lane: Lane): Promise<void> {
    const running = this.#running.get(lane);
    if (running !== undefined) {
      this.#again.add(lane);
      return running;
    }
    const run = this.#runDue(lane).finally(() => this.#running.delete(lane));
    this.#running.set(lane, run);
    return run;
  }

  async #runDue(lane: Lane): Promise<void> {
    do {
      this.#again.delete(lane);
      const now = this.#clock.now();
      const due = this.#entries.filter((entry) => entry.nextAt <= now && laneOf(entry.delivery) === lane);
      for (const entry of due) await this.#try(entry);
    } while (this.#again.has(lane));
    this.#tellWaiting();
    this.#backstops.delete(lane);
    this.#setAlarm();
  }

  #setAlarm(): void {
    const times = this.#entries.map(({ delivery, nextAt }) =>
      Math.max(nextAt, this.#backstops.get(laneOf(delivery)) ?? 0),
    );
    this.#alarms.set('outbox', times.length === 0 ? null : Math.min(...times));
  }

  async #try(entry: Entry): Promise<void> {
    const { delivery } = entry;
    const lane = laneOf(delivery);
    // If the object dies in the middle, the alarm takes it up again.
    this.#backstops.set(lane, backstopOf(this.#clock.now()));
    this.#setAlarm();
    try {
      const parts = await this.#within(DELIVERY_TIMEOUT_MS[lane], (signal) =>
        this.#deliver(delivery, signal),
      );
      if (parts === 'more') entry.nextAt = this.#clock.now() + NEXT_PART_MS;
      else this.#entries = this.#entries.filter((other) => other !== entry);
    } catch (error) {
      const refused = error instanceof RecordsError && !error.retryable;
      const wait = refused ? REFUSED_RETRY_MS : Math.min(FIRST_RETRY_MS * 2 ** entry.attempts, LAST_RETRY_MS);
      entry.attempts++;
      entry.failing = true;
      if (entry.attempts % TELLING_ATTEMPTS === 0) this.#told = null;
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

  #tellWaiting(): void {
    const waiting = this.waiting.join();
    if (waiting === this.#told) return;
    this.#told = waiting;
    this.put('metrics waiting');
    void this.#run('counts');
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
  #within<T>(timeoutMs: number, deliver: (signal: AbortSignal) => Promise<T>): Promise<T> {
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

function backstopOf(now: number): number {
  return Math.ceil((now + BACKSTOP_MS) / BACKSTOP_STEP_MS) * BACKSTOP_STEP_MS;
}

interface Entry {
  delivery: Delivery;
  attempts: number;
  nextAt: number;
  /** It has failed, also where another one of its name was put since. */
  failing: boolean;
}
