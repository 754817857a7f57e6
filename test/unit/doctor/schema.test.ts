import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { probesOf, readProbes } from '../../../tools/doctor/schema.ts';

it('a migration is known by the tables and columns that it adds', () => {
  const sql = `
    -- create table public.of_a_remark (x text);
    create table public.calls (id text);
    alter table public.calls enable row level security;
    alter table public.users
      add column first text constraint short check (length(first) < 9),
      add constraint other check (true),
      add column second jsonb;
    create function public.f() returns boolean language sql as $$ select true $$;
  `;
  expect(probesOf('1_x', sql)).toEqual([
    { migration: '1_x', table: 'calls', columns: [] },
    { migration: '1_x', table: 'users', columns: ['first', 'second'] },
  ]);
});

it('the migrations of this repository are known in their order', () => {
  const folder = join(import.meta.dirname, '..', '..', '..', 'supabase', 'migrations');
  const names = readProbes(folder).map(({ migration }) => `${migration}.sql`);
  expect(names).toEqual([...names].sort());
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(names));
  expect(names).toContain('20261122120000_hangups.sql');
});
