/**
 * Tables of a call's object, as an append-only list: an object born under an older version is brought up to date
 * when it is opened. Never change an entry; add one.
 */
const migrations: readonly string[] = [
  `CREATE TABLE facts (seq INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, data TEXT NOT NULL);
   CREATE TABLE audio (chunk INTEGER PRIMARY KEY, length INTEGER NOT NULL, caller BLOB, agent BLOB);
   CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, delivery TEXT NOT NULL UNIQUE,
     attempts INTEGER NOT NULL, next_at INTEGER NOT NULL);`,
];

/** True where the object holds a call. Reading it writes nothing: an object that refuses a leg stays empty. */
export function hasTables(sql: SqlStorage): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'facts'").toArray().length > 0;
}

/** Creates or updates the tables. */
export function migrate(sql: SqlStorage): void {
  sql.exec('CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY)');
  const { version } = sql
    .exec<{ version: number }>('SELECT coalesce(max(version), 0) AS version FROM migrations')
    .one();
  for (let next = version; next < migrations.length; next++) {
    sql.exec(migrations[next]!);
    sql.exec('INSERT INTO migrations VALUES (?)', next + 1);
  }
}

/** Drops everything that belongs to the call: it has been delivered. */
export function dropTables(sql: SqlStorage): void {
  for (const table of ['facts', 'audio', 'outbox', 'migrations']) sql.exec(`DROP TABLE IF EXISTS ${table}`);
}
