import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PGlite } from '@supabase/lite/pglite';
import { EmbeddedSupabaseError } from './error.ts';

/** One file of `supabase/migrations`: `<14-digit timestamp>_<name>.sql`. */
export interface Migration {
  version: string;
  name: string;
  sql: string;
}

/** In the order in which they apply. Files of other names are refused, since the Supabase CLI would skip them. */
export async function readMigrations(folder: string): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort();
  const migrations = await Promise.all(
    files.map(async (file) => {
      const [, version, name] = /^(\d{14})_([a-z0-9_]+)\.sql$/.exec(file) ?? [];
      if (version === undefined || name === undefined) {
        throw new EmbeddedSupabaseError('MIGRATION', `${file} is not named <14-digit timestamp>_<name>.sql`);
      }
      return { version, name, sql: await readFile(join(folder, file), 'utf8') };
    }),
  );
  for (const [index, migration] of migrations.entries()) {
    if (migration.version === migrations[index + 1]?.version) {
      throw new EmbeddedSupabaseError('MIGRATION', `two migrations have the version ${migration.version}`);
    }
  }
  return migrations;
}

/**
 * Applies what is missing, each migration in a transaction with its row in the Supabase CLI's own table. What was
 * applied must still be there, unchanged and before everything new: migrations are append-only.
 * @returns The versions applied now.
 */
export async function applyMigrations(database: PGlite, migrations: readonly Migration[]): Promise<string[]> {
  await database.exec(`
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations (
      version text primary key, statements text[], name text
    );
  `);
  const applied = await database.query<{ version: string; sql: string | null }>(
    'select version, statements[1] as sql from supabase_migrations.schema_migrations order by version',
  );
  for (const [index, row] of applied.rows.entries()) {
    const migration = migrations[index];
    if (migration?.version !== row.version) {
      const message = `the data folder has migration ${row.version}, which is not next in supabase/migrations`;
      throw new EmbeddedSupabaseError('MIGRATION', message);
    }
    if (migration.sql !== row.sql) {
      const message = `migration ${row.version} was changed after it had been applied; write a new one instead`;
      throw new EmbeddedSupabaseError('MIGRATION', message);
    }
  }
  const pending = migrations.slice(applied.rows.length);
  for (const { version, name, sql } of pending) {
    try {
      await database.transaction(async (transaction) => {
        await transaction.exec(sql);
        await transaction.query(
          'insert into supabase_migrations.schema_migrations (version, statements, name) values ($1, array[$2], $3)',
          [version, sql, name],
        );
      });
    } catch (cause) {
      throw new EmbeddedSupabaseError(
        'MIGRATION',
        `migration ${version}_${name} failed: ${String(cause)}`,
        cause,
      );
    }
  }
  return pending.map(({ version }) => version);
}
