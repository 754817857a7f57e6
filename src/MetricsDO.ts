import { DurableObject } from 'cloudflare:workers';
import type { Env } from './env.ts';
import { NODE_FORGOTTEN_MS, type NodeReport } from './metrics/nodes.ts';
import type { Totals } from './metrics/totals.ts';

const RECENT_MS = 5 * 60_000;
/** A repeat of a report after this long would count anew; the outbox repeats within minutes or hours. */
const REMEMBER_MS = 7 * 24 * 3_600_000;
/** More than one, so that it catches up. */
const MAX_PRUNED = 10;

/** What a finished call reports. */
export interface EndedReport {
  callId: string;
  startedAt: number;
  endedAt: number;
  durationMs: number;
  failed: boolean;
  latencyMsSum: number;
  latencyCount: number;
}

/**
 * One shard of the deployment's counts. Calls report their start and their end through their outbox, at least
 * once each; a repeat changes nothing, and a report that storage takes only half of has not arrived. Survives restarts.
 */
export class MetricsDO extends DurableObject<Env> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    // Counts can be read while storage takes no writes.
    const tables = "SELECT 1 FROM sqlite_master WHERE name IN ('totals', 'nodes')";
    if (this.#sql.exec(tables).toArray().length === 2) return;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS calls (
        call_id TEXT PRIMARY KEY, started_at INTEGER NOT NULL, lease_until INTEGER NOT NULL,
        ended_at INTEGER, failed INTEGER NOT NULL DEFAULT 0);
      CREATE INDEX IF NOT EXISTS calls_by_end ON calls (ended_at);
      CREATE INDEX IF NOT EXISTS calls_by_lease ON calls (lease_until);
      CREATE TABLE IF NOT EXISTS totals (
        id INTEGER PRIMARY KEY CHECK (id = 1), started INTEGER NOT NULL, ended INTEGER NOT NULL,
        failed INTEGER NOT NULL, duration_ms INTEGER NOT NULL, latency_ms INTEGER NOT NULL,
        latency_count INTEGER NOT NULL);
      INSERT OR IGNORE INTO totals VALUES (1, 0, 0, 0, 0, 0, 0);
      CREATE TABLE IF NOT EXISTS nodes (name TEXT PRIMARY KEY, at INTEGER NOT NULL, report TEXT NOT NULL);
    `);
  }

  /** A call has started; it counts as active until it ends, or until `leaseUntil` if it never says so. */
  started(callId: string, startedAt: number, leaseUntil: number): void {
    this.ctx.storage.transactionSync(() => this.#start(callId, startedAt, leaseUntil));
  }

  /** A call has ended. Counts its start too, where that report has not arrived. */
  ended(report: EndedReport): void {
    this.ctx.storage.transactionSync(() => this.#end(report));
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

  nodes(): NodeReport[] {
    const rows = this.#sql.exec<{ report: string }>('SELECT report FROM nodes').toArray();
    return rows.map(({ report }) => JSON.parse(report) as NodeReport);
  }

  #start(callId: string, startedAt: number, leaseUntil: number): void {
    const inserted = this.#sql.exec(
      'INSERT OR IGNORE INTO calls (call_id, started_at, lease_until) VALUES (?, ?, ?)',
      callId,
      startedAt,
      leaseUntil,
    ).rowsWritten;
    if (inserted === 0) return;
    this.#sql.exec('UPDATE totals SET started = started + 1');
    this.#prune(startedAt);
  }

  #end(report: EndedReport): void {
    this.#start(report.callId, report.startedAt, report.endedAt);
    const changed = this.#sql
      .exec(
        'UPDATE calls SET ended_at = ?, failed = ? WHERE call_id = ? AND ended_at IS NULL RETURNING 1',
        report.endedAt,
        report.failed ? 1 : 0,
        report.callId,
      )
      .toArray();
    if (changed.length === 0) return;
    this.#sql.exec(
      `UPDATE totals SET ended = ended + 1, failed = failed + ?, duration_ms = duration_ms + ?,
       latency_ms = latency_ms + ?, latency_count = latency_count + ?`,
      report.failed ? 1 : 0,
      report.durationMs,
      report.latencyMsSum,
      report.latencyCount,
    );
  }

  read(now: number): Totals {
    const sums = this.#sql
      .exec<{
        started: number;
        ended: number;
        failed: number;
        duration_ms: number;
        latency_ms: number;
        latency_count: number;
      }>('SELECT * FROM totals')
      .one();
    const recent = this.#sql
      .exec<{ ended: number; failed: number }>(
        'SELECT count(*) AS ended, coalesce(sum(failed), 0) AS failed FROM calls WHERE ended_at > ?',
        now - RECENT_MS,
      )
      .one();
    const { active } = this.#sql
      .exec<{ active: number }>(
        'SELECT count(*) AS active FROM calls WHERE ended_at IS NULL AND lease_until > ?',
        now,
      )
      .one();
    return {
      started: sums.started,
      active,
      ended: sums.ended,
      failed: sums.failed,
      durationMsSum: sums.duration_ms,
      latencyMsSum: sums.latency_ms,
      latencyCount: sums.latency_count,
      recentEnded: recent.ended,
      recentFailed: recent.failed,
    };
  }

  /** Forgets old calls, a few at a time; the totals keep them. */
  #prune(now: number): void {
    this.#sql.exec(
      `DELETE FROM calls WHERE call_id IN
       (SELECT call_id FROM calls WHERE lease_until < ? ORDER BY lease_until LIMIT ?)`,
      now - REMEMBER_MS,
      MAX_PRUNED,
    );
  }
}
