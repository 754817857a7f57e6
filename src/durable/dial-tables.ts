import type { DialReason, DialState } from '../dialling/dial.ts';

/** What the queue needs of an object's `storage.sql`. What one of its methods writes, it writes without waiting in between: all of it or nothing. */
export interface DialSql {
  exec<Row extends Record<string, string | number | null>>(
    query: string,
    ...bindings: (string | number | null)[]
  ): { toArray(): Row[] };
}

/** A call that is to be placed. Times are milliseconds since the epoch. */
export interface NewDial {
  callId: string;
  /** Of all that was asked for: a repeat asks for the same. */
  digest: string;
  userId: string;
  campaignId: string | null;
  /** E.164, or a SIP address. */
  to: string;
  /** The number that is shown. */
  callerId: string;
  trunk: string | null;
  ringMs: number;
  expiresAt: number;
  /** What the client gave along, as JSON. */
  metadata: string | null;
}

/** A dial as it stands. */
export interface Dial extends Omit<NewDial, 'digest'> {
  state: DialState;
  queuedAt: number;
  node: string | null;
  begunAt: number | null;
  ringingAt: number | null;
  /** When it was answered, or failed. */
  overAt: number | null;
  /** It is to be given up. */
  cancelled: boolean;
  reason: DialReason | null;
  cause: string | null;
  sipStatus: number | null;
  q850: number | null;
}

const migrations: readonly string[] = [
  `CREATE TABLE dials (
     call_id TEXT PRIMARY KEY, digest TEXT NOT NULL, user_id TEXT NOT NULL, campaign_id TEXT, destination TEXT NOT NULL,
     caller_id TEXT NOT NULL, trunk TEXT, metadata TEXT, ring_ms INTEGER NOT NULL, expires_at INTEGER NOT NULL, state TEXT NOT NULL,
     queued_at INTEGER NOT NULL, seq INTEGER NOT NULL, due INTEGER NOT NULL, node TEXT, claim TEXT, begun_at INTEGER,
     ringing_at INTEGER, over_at INTEGER, cancelled INTEGER NOT NULL DEFAULT 0, reason TEXT, cause TEXT, sip_status INTEGER,
     q850 INTEGER, told INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0);
   CREATE INDEX dials_due ON dials (due);
   CREATE INDEX dials_waiting ON dials (user_id, seq) WHERE state = 'queued';
   CREATE INDEX dials_open ON dials (node) WHERE state IN ('claimed', 'begun', 'ringing');
   CREATE INDEX dials_untold ON dials (due) WHERE over_at IS NOT NULL AND told = 0;
   CREATE TABLE users (user_id TEXT PRIMARY KEY, waiting INTEGER NOT NULL, served INTEGER NOT NULL);
   CREATE INDEX users_waiting ON users (served) WHERE waiting > 0;
   CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
   INSERT INTO counter VALUES (1, 0);`,
  // Who has been served and has nothing waiting: there may be many, and each question of a node's looks for those to be forgotten.
  'CREATE INDEX users_idle ON users (served) WHERE waiting = 0;',
];

/** Creates or updates the tables. Append-only: never change an entry of `migrations`; add one. */
export function migrateDials(sql: DialSql): void {
  sql.exec('CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY)');
  const [row] = sql
    .exec<{ version: number }>('SELECT coalesce(max(version), 0) AS version FROM migrations')
    .toArray();
  for (let next = row?.version ?? 0; next < migrations.length; next++) {
    sql.exec(migrations[next]!);
    sql.exec('INSERT INTO migrations VALUES (?)', next + 1);
  }
}

/** A row of `dials`. */
export type DialRow = {
  call_id: string;
  user_id: string;
  campaign_id: string | null;
  destination: string;
  caller_id: string;
  trunk: string | null;
  metadata: string | null;
  ring_ms: number;
  expires_at: number;
  state: DialState;
  queued_at: number;
  due: number;
  node: string | null;
  claim: string | null;
  begun_at: number | null;
  ringing_at: number | null;
  over_at: number | null;
  cancelled: number;
  reason: DialReason | null;
  cause: string | null;
  sip_status: number | null;
  q850: number | null;
  told: number;
  attempts: number;
};

export function dialOf(row: DialRow): Dial {
  return {
    callId: row.call_id,
    userId: row.user_id,
    campaignId: row.campaign_id,
    to: row.destination,
    callerId: row.caller_id,
    trunk: row.trunk,
    metadata: row.metadata,
    ringMs: row.ring_ms,
    expiresAt: row.expires_at,
    state: row.state,
    queuedAt: row.queued_at,
    node: row.node,
    begunAt: row.begun_at,
    ringingAt: row.ringing_at,
    overAt: row.over_at,
    cancelled: row.cancelled === 1,
    reason: row.reason,
    cause: row.cause,
    sipStatus: row.sip_status,
    q850: row.q850,
  };
}
