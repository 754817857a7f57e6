import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** What a migration adds that can be asked for: a database that has it has had this migration. */
export interface SchemaProbe {
  /** E.g. `20261122120000_hangups`. */
  migration: string;
  table: string;
  /** None: the table itself is new. */
  columns: string[];
}

/** What the migrations of a folder add, in order. One that adds neither table nor column (a function, a constraint) cannot be asked for. */
export function readProbes(folder: string): SchemaProbe[] {
  return readdirSync(folder)
    .filter((name) => /^\d{14}_\w+\.sql$/.test(name))
    .sort()
    .flatMap((name) => probesOf(path.basename(name, '.sql'), readFileSync(path.join(folder, name), 'utf8')));
}

export function probesOf(migration: string, sql: string): SchemaProbe[] {
  const plain = sql.replaceAll(/--.*$/gm, '');
  const created = [...plain.matchAll(/create table (?:if not exists )?public\.(\w+)/gi)].map(([, table]) => ({
    migration,
    table: table!,
    columns: [],
  }));
  const altered = [...plain.matchAll(/alter table (?:only )?public\.(\w+)([^;]*);/gi)].map(
    ([, table, body]) => ({
      migration,
      table: table!,
      columns: [...body!.matchAll(/add column (?:if not exists )?(\w+)/gi)].map(([, column]) => column!),
    }),
  );
  return [...created, ...altered.filter(({ columns }) => columns.length > 0)];
}
