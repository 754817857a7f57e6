import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { DialSql } from '../../src/durable/dial-tables.ts';

/** An object's `storage.sql`, in memory; survives the object. */
export function memorySql(): DialSql {
  const database = new DatabaseSync(':memory:');
  const statements = new Map<string, StatementSync>();
  return {
    exec: <Row extends Record<string, string | number | null>>(
      query: string,
      ...bindings: (string | number | null)[]
    ) => {
      // A statement takes one query only, and migrations have several.
      if (bindings.length === 0 && query.includes(';')) {
        database.exec(query);
        return { toArray: () => [] };
      }
      const statement = statements.get(query) ?? database.prepare(query);
      statements.set(query, statement);
      const rows = statement.all(...bindings) as Row[];
      return { toArray: () => rows };
    },
  };
}
