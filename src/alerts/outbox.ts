import type { Clock, Random } from '../call/clock.ts';
import { log } from '../log.ts';
import type { Notice } from './evaluate.ts';
import type { Sent } from './send.ts';

/** First wait after a failure; doubles up to the last one. */
const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 5 * 60_000;
/** What the receiver refuses is tried again in case somebody mends it there, or in the settings. */
const REFUSED_RETRY_MS = 60 * 60_000;
/** No receiver is left alone for longer, whatever it asks for. */
const LONGEST_WAIT_MS = 60 * 60_000;
/** For one webhook; a receiver that is gone for good does not fill the storage. The oldest goes first. */
const MOST_WAITING = 200;

/** What there is to send to one webhook. */
interface Row extends Record<string, SqlStorageValue> {
  seq: number;
  rule: string;
  notice: string;
  attempts: number;
  next_at: number;
}

/**
 * Notices that must arrive, kept in the object's SQLite until they have: at least once each, under one id. Those of one rule arrive in their
 * order, since an end that came before its beginning would leave an alert open for ever; rules do not wait for each other.
 */
export class NoticeOutbox {
  readonly #sql: SqlStorage;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: { sql: SqlStorage; clock: Clock; random: Random }) {
    this.#sql = options.sql;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS notices (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, webhook TEXT NOT NULL, rule TEXT NOT NULL, id TEXT NOT NULL,
        notice TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL, UNIQUE (webhook, id));
    `);
  }

  /** Adds a notice, due at once. Not a reminder of what the webhook has not even heard yet. */
  put(webhook: string, notice: Notice): void {
    const { id, rule, kind } = notice;
    const waiting = 'SELECT 1 FROM notices WHERE webhook = ? AND rule = ?';
    if (kind === 'repeated' && this.#sql.exec(waiting, webhook, rule).toArray().length > 0) return;
    this.#sql.exec(
      'INSERT OR IGNORE INTO notices (webhook, rule, id, notice, next_at) VALUES (?, ?, ?, ?, ?)',
      webhook,
      rule,
      id,
      JSON.stringify(notice),
      this.#clock.now(),
    );
    const dropped = this.#sql
      .exec(
        `DELETE FROM notices WHERE webhook = ? AND seq NOT IN
         (SELECT seq FROM notices WHERE webhook = ? ORDER BY seq DESC LIMIT ?) RETURNING 1`,
        webhook,
        webhook,
        MOST_WAITING,
      )
      .toArray().length;
    if (dropped > 0) log('error', 'alerts that could not be sent were dropped', { webhook, dropped });
  }

  /** How many wait, by webhook. */
  waiting(): Record<string, number> {
    const rows = this.#sql
      .exec<{ webhook: string; count: number }>(
        'SELECT webhook, count(*) AS count FROM notices GROUP BY webhook',
      )
      .toArray();
    return Object.fromEntries(rows.map(({ webhook, count }) => [webhook, count]));
  }

  /** When the next one is due; null: none waits. */
  nextAt(): number | null {
    const heads = this.#sql
      .exec<{ at: number | null }>(
        `SELECT min(next_at) AS at FROM notices
         WHERE seq IN (SELECT min(seq) FROM notices GROUP BY webhook, rule)`,
      )
      .one();
    return heads.at;
  }

  /** Forgets what waits for webhooks that are not there any more. */
  keepOnly(webhooks: readonly string[]): void {
    for (const webhook of Object.keys(this.waiting())) {
      if (webhooks.includes(webhook)) continue;
      log('warn', 'alerts for a webhook that is not set any more were dropped', { webhook });
      this.#sql.exec('DELETE FROM notices WHERE webhook = ?', webhook);
    }
  }

  /** Sends a webhook what is due, one after the other. One run at a time for each webhook. */
  async run(webhook: string, send: (notice: Notice) => Promise<Sent>): Promise<void> {
    for (let row = this.#due(webhook); row !== null; row = this.#due(webhook)) {
      const sent = await send(JSON.parse(row.notice) as Notice);
      if (sent.outcome === 'delivered') this.#sql.exec('DELETE FROM notices WHERE seq = ?', row.seq);
      else this.#postpone(row, sent);
    }
  }

  #due(webhook: string): Row | null {
    const [row] = this.#sql
      .exec<Row>(
        `SELECT seq, rule, notice, attempts, next_at FROM notices
         WHERE seq IN (SELECT min(seq) FROM notices WHERE webhook = ? GROUP BY rule) AND next_at <= ?
         ORDER BY seq LIMIT 1`,
        webhook,
        this.#clock.now(),
      )
      .toArray();
    return row ?? null;
  }

  #postpone({ seq, attempts }: Row, sent: Exclude<Sent, { outcome: 'delivered' }>): void {
    const backOff = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts, 20), LAST_RETRY_MS);
    const jittered = Math.round(backOff * (0.5 + this.#random.fraction() / 2));
    const wait =
      sent.outcome === 'refused'
        ? REFUSED_RETRY_MS
        : Math.min(Math.max(jittered, sent.afterMs), LONGEST_WAIT_MS);
    this.#sql.exec(
      'UPDATE notices SET attempts = attempts + 1, next_at = ? WHERE seq = ?',
      this.#clock.now() + wait,
      seq,
    );
  }
}
