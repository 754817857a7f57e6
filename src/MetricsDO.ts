import { DurableObject } from 'cloudflare:workers';
import { systemClock } from './call/clock.ts';
import type { Env } from './env.ts';
import type { CallReport } from './metrics/call-report.ts';
import { countReport, isRecent, RECENT_MS, recentSums, slotOf } from './metrics/counting.ts';
import { NODE_FORGOTTEN_MS, type NodeReport } from './metrics/nodes.ts';
import { add, type Sums } from './metrics/sums.ts';
import type { Totals } from './metrics/totals.ts';

const DAY_MS = 24 * 3_600_000;
/** From a call's start: a repeat of its end after this would count anew. The outbox repeats within minutes or hours, and no call is longer than a day. */
const REMEMBERED_MS = 7 * DAY_MS;
/** Reports that come within this time of each other are stored at once: a row a report, and one for all that they add up to. */
const BATCH_MS = 100;
/** Of a report, in characters of its JSON: some ten times what a call of an hour has. One that could not be stored would be repeated for ever. */
const MOST_CHARACTERS = 64 * 1024;
/** Rows that are forgotten at once, beside as many as are added. */
const MOST_FORGOTTEN = 50;
/** How long it is known up to which of its batches an isolate has reported. */
const ISOLATE_REMEMBERED_MS = DAY_MS;

const tables = `
  CREATE TABLE IF NOT EXISTS sums (id INTEGER PRIMARY KEY CHECK (id = 1), data TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS recent (slot INTEGER PRIMARY KEY, data TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS active (call TEXT PRIMARY KEY, started_at INTEGER NOT NULL, lease_until INTEGER NOT NULL, data TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS ended (started_at INTEGER NOT NULL, call TEXT NOT NULL, PRIMARY KEY (started_at, call)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS waiting (call TEXT PRIMARY KEY, until INTEGER NOT NULL, deliveries TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS isolates (isolate TEXT PRIMARY KEY, batch INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS nodes (name TEXT PRIMARY KEY, at INTEGER NOT NULL, report TEXT NOT NULL);`;

/** What one batch changes: in memory only once it is stored. */
interface Draft {
  sums: Sums;
  slots: Map<number, Sums>;
  /** Null: the call is over. */
  leases: Map<string, number | null>;
}

interface Queued {
  apply(draft: Draft): void;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * One shard of the deployment's counts. Calls report how they stand through their outbox, at least once each; a repeat changes nothing, and
 * a report that storage takes only half of has not arrived. Survives restarts: what was answered is stored.
 */
export class MetricsDO extends DurableObject<Env> {
  readonly #sql: SqlStorage;
  #sums: Sums = {};
  readonly #slots = new Map<number, Sums>();
  /** Of calls that have not ended: until when they are active. */
  readonly #leases = new Map<string, number>();
  #queue: Queued[] = [];
  #flushedAt = 0;
  #forgotAt = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    // Counts can be read while storage takes no writes.
    if (!this.#hasTables()) this.#sql.exec(tables);
    const [sums] = this.#sql.exec<{ data: string }>('SELECT data FROM sums').toArray();
    if (sums !== undefined) this.#sums = JSON.parse(sums.data) as Sums;
    for (const { slot, data } of this.#sql.exec<{ slot: number; data: string }>(
      'SELECT slot, data FROM recent',
    )) {
      this.#slots.set(slot, JSON.parse(data) as Sums);
    }
    const leases = this.#sql.exec<{ call: string; until: number }>(
      'SELECT call, lease_until AS until FROM active',
    );
    for (const { call, until } of leases) this.#leases.set(call, until);
  }

  #hasTables(): boolean {
    const made = this.#sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'nodes'");
    return made.toArray().length > 0;
  }

  /** How a call stands. Resolves once it is stored. */
  report(report: CallReport): Promise<void> {
    const size = JSON.stringify(report).length;
    if (size > MOST_CHARACTERS) throw new RangeError(`a report of ${size} characters is too long`);
    return this.#store((draft) => this.#count(report, draft));
  }

  /** What an isolate has refused since its last batch; batches of one isolate are numbered from 1 and come in order. */
  refused(isolate: string, batch: number, refusals: Sums): Promise<void> {
    return this.#store((draft) => {
      const now = systemClock.now();
      const [known] = this.#sql
        .exec<{ batch: number }>('SELECT batch FROM isolates WHERE isolate = ?', isolate)
        .toArray();
      if (known !== undefined && known.batch >= batch) return;
      this.#sql.exec(
        'INSERT OR REPLACE INTO isolates (isolate, batch, at) VALUES (?, ?, ?)',
        isolate,
        batch,
        now,
      );
      if (known === undefined) {
        this.#sql.exec('DELETE FROM isolates WHERE at < ?', now - ISOLATE_REMEMBERED_MS);
      }
      add(draft.sums, refusals);
    });
  }

  /** Deliveries of a call that have failed and are being repeated, in place of what was told before; none: all have arrived. */
  waiting(call: string, deliveries: readonly string[], until: number): void {
    if (deliveries.length === 0) this.#sql.exec('DELETE FROM waiting WHERE call = ?', call);
    else {
      this.#sql.exec(
        'INSERT OR REPLACE INTO waiting (call, until, deliveries) VALUES (?, ?, ?)',
        call,
        until,
        JSON.stringify(deliveries),
      );
    }
  }

  /** A node's last report takes the place of the one before; there are no more nodes than the setting `NODES` has had of late. */
  heartbeat(report: NodeReport): void {
    this.#sql.exec('DELETE FROM nodes WHERE at < ?', report.at - NODE_FORGOTTEN_MS);
    this.#sql.exec(
      'INSERT OR REPLACE INTO nodes (name, at, report) VALUES (?, ?, ?)',
      report.name,
      report.at,
      JSON.stringify(report),
    );
  }

  /** A node's last report. */
  node(name: string): NodeReport | null {
    const [row] = this.#sql
      .exec<{ report: string }>('SELECT report FROM nodes WHERE name = ?', name)
      .toArray();
    return row === undefined ? null : (JSON.parse(row.report) as NodeReport);
  }

  /** Writes nothing. */
  read(now: number): { totals: Totals; nodes: NodeReport[] } {
    let active = 0;
    for (const until of this.#leases.values()) if (until > now) active++;
    const waiting: Record<string, number> = {};
    const rows = this.#sql.exec<{ deliveries: string }>(
      'SELECT deliveries FROM waiting WHERE until > ?',
      now,
    );
    for (const { deliveries } of rows) {
      for (const delivery of JSON.parse(deliveries) as string[])
        waiting[delivery] = (waiting[delivery] ?? 0) + 1;
    }
    const nodes = this.#sql.exec<{ report: string }>('SELECT report FROM nodes').toArray();
    return {
      totals: {
        sums: this.#sums,
        recent: {
          minute: recentSums(this.#slots, now, 60_000),
          fiveMinutes: recentSums(this.#slots, now, RECENT_MS),
        },
        active,
        waiting,
      },
      nodes: nodes.map(({ report }) => JSON.parse(report) as NodeReport),
    };
  }

  #store(apply: Queued['apply']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ apply, resolve, reject });
      if (this.#queue.length > 1) return;
      const since = systemClock.now() - this.#flushedAt;
      // A clock may also go backwards.
      const wait = since >= 0 && since < BATCH_MS ? BATCH_MS - since : 0;
      systemClock.after(wait, () => this.#flush());
    });
  }

  /** Stores what waits, all of it or nothing. */
  #flush(): void {
    const now = systemClock.now();
    const batch = this.#queue.splice(0);
    this.#flushedAt = now;
    const draft: Draft = { sums: structuredClone(this.#sums), slots: new Map(), leases: new Map() };
    try {
      this.ctx.storage.transactionSync(() => {
        for (const { apply } of batch) apply(draft);
        this.#sql.exec('INSERT OR REPLACE INTO sums (id, data) VALUES (1, ?)', JSON.stringify(draft.sums));
        for (const [slot, sums] of draft.slots) {
          this.#sql.exec(
            'INSERT OR REPLACE INTO recent (slot, data) VALUES (?, ?)',
            slot,
            JSON.stringify(sums),
          );
        }
        this.#forget(now, batch.length, draft);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
      return;
    }
    this.#sums = draft.sums;
    for (const [slot, sums] of draft.slots) this.#slots.set(slot, sums);
    for (const slot of this.#slots.keys()) if (!isRecent(slot, now)) this.#slots.delete(slot);
    for (const [call, until] of draft.leases) {
      if (until === null) this.#leases.delete(call);
      else this.#leases.set(call, until);
    }
    for (const { resolve } of batch) resolve();
  }

  #count(report: CallReport, draft: Draft): void {
    const { call, startedAt } = report;
    const over = this.#sql.exec('SELECT 1 FROM ended WHERE started_at = ? AND call = ?', startedAt, call);
    if (over.toArray().length > 0) return;
    const [row] = this.#sql
      .exec<{ data: string; until: number }>(
        'SELECT data, lease_until AS until FROM active WHERE call = ?',
        call,
      )
      .toArray();
    const counted = countReport(report, row === undefined ? null : (JSON.parse(row.data) as Sums));
    add(draft.sums, counted.sums);
    const now = systemClock.now();
    for (const { at, sums } of counted.recent) {
      const slot = slotOf(Math.min(at, now));
      if (!isRecent(slot, now)) continue;
      const known = draft.slots.get(slot) ?? structuredClone(this.#slots.get(slot) ?? {});
      add(known, sums);
      draft.slots.set(slot, known);
    }
    if (report.end === null) {
      const until = Math.max(report.aliveUntil, row?.until ?? 0);
      this.#sql.exec(
        'INSERT OR REPLACE INTO active (call, started_at, lease_until, data) VALUES (?, ?, ?, ?)',
        call,
        startedAt,
        until,
        JSON.stringify(counted.kept),
      );
      draft.leases.set(call, until);
      return;
    }
    if (row !== undefined) this.#sql.exec('DELETE FROM active WHERE call = ?', call);
    this.#sql.exec('INSERT INTO ended (started_at, call) VALUES (?, ?)', startedAt, call);
    draft.leases.set(call, null);
  }

  /** Forgets what is old, a few rows at a time; the sums keep it. */
  #forget(now: number, added: number, draft: Draft): void {
    const oldest = now - REMEMBERED_MS;
    this.#sql.exec(
      `DELETE FROM ended WHERE (started_at, call) IN
       (SELECT started_at, call FROM ended WHERE started_at < ? LIMIT ?)`,
      oldest,
      2 * added + MOST_FORGOTTEN,
    );
    const gone = [...this.#slots.keys()].filter((slot) => !isRecent(slot, now));
    for (const slot of gone) this.#sql.exec('DELETE FROM recent WHERE slot = ?', slot);
    if (now - this.#forgotAt < 3_600_000) return;
    this.#forgotAt = now;
    const lost = [...this.#leases].filter(([, until]) => until < oldest);
    for (const [call] of lost.slice(0, MOST_FORGOTTEN)) {
      // It has come back in this very batch.
      if (draft.leases.has(call)) continue;
      this.#sql.exec('DELETE FROM active WHERE call = ?', call);
      draft.leases.set(call, null);
    }
    this.#sql.exec('DELETE FROM waiting WHERE until < ?', now);
  }
}
