import { createClient } from '@supabase/supabase-js';
import type { Clock } from '../../src/call/clock.ts';
import { unlessAborted } from '../../src/providers/attempts.ts';
import { hostOf } from './advice.ts';
import type { SchemaProbe } from './schema.ts';
import { systemCode } from './system-code.ts';

/** What the database answered. */
export type DatabaseTrial =
  | {
      result: 'ok';
      totalMs: number;
      /** The newest migration that it has had, as far as tables and columns tell; null: none was asked for. */
      schema: string | null;
    }
  | { result: 'missing'; settings: string[] }
  | {
      result: 'failed';
      /** `unmigrated`: a table or column is not there. */
      failure: 'unreachable' | 'unauthorized' | 'unmigrated' | 'timeout' | 'error';
      message: string;
      advice: string;
      afterMs: number;
    };

export interface DatabaseOptions {
  /** `SUPABASE_URL` and `SUPABASE_SERVICE_ROLE_KEY`. */
  url: string | undefined;
  key: string | undefined;
  clock: Clock;
  /** What its migrations have added, in order. */
  probes: readonly SchemaProbe[];
  /** The longest that it may take. */
  limitMs: number;
  signal: AbortSignal;
}

/** Longest piece of the database's message that is passed on, in characters. */
const longestMessage = 300;

/** Reads one row of the log of calls, as the service would, and then what each migration has added. Never throws, but the reason of `signal` once that has fired. */
export async function tryDatabase({
  url,
  key,
  probes,
  clock,
  limitMs,
  signal,
}: DatabaseOptions): Promise<DatabaseTrial> {
  const settings = [
    ...(url === undefined ? ['SUPABASE_URL'] : []),
    ...(key === undefined ? ['SUPABASE_SERVICE_ROLE_KEY'] : []),
  ];
  if (url === undefined || key === undefined) return { result: 'missing', settings };
  const began = clock.now();
  const over = new AbortController();
  const timer = clock.after(limitMs, () => over.abort());
  const inTime = AbortSignal.any([signal, over.signal]);
  const failed = (failure: Failure, message: string): DatabaseTrial => ({
    result: 'failed',
    failure,
    message: message.slice(0, longestMessage),
    advice: advice[failure](hostOf(url)),
    afterMs: clock.now() - began,
  });
  // supabase-js keeps of what breaks a connection but a text.
  let broken: string | null = null;
  try {
    const client = createClient(url, key, {
      auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
      // A redirect would carry the key to another host; a Supabase project sends none.
      global: {
        fetch: (input, init) =>
          fetch(input, { ...init, redirect: 'manual' }).catch((error: unknown) => {
            broken = systemCode(error);
            throw error;
          }),
      },
    });
    const ask = async (table: string, columns: string): Promise<DatabaseTrial | null> => {
      const asking = client
        .from(table)
        .select(columns)
        .limit(1)
        .abortSignal(inTime)
        // Its own repeats would only make a failure seconds later.
        .retry(false);
      const { status, error, data } = await unlessAborted(Promise.resolve(asking), inTime);
      if (error === null && status === 200 && Array.isArray(data)) return null;
      const { message = '', code = '' } = error ?? {};
      if (error === null)
        return failed('unreachable', `the answer (${status}) is not that of a Supabase project`);
      const said = `${status === 0 ? '' : `status ${status}: `}${message}`;
      return failed(failureOf(status, code), broken === null ? said : `${said} (${broken})`);
    };
    const wrong = await ask('call_logs', 'call_id');
    if (wrong !== null) return wrong;
    const totalMs = clock.now() - began;
    let schema: string | null = null;
    for (const { migration, table, columns } of probes) {
      const missing = await ask(table, columns.length === 0 ? '*' : columns.join(','));
      if (missing?.result === 'failed' && missing.failure === 'unmigrated') {
        return { ...missing, message: `the migration ${migration} is missing (${missing.message})` };
      }
      if (missing !== null) return missing;
      schema = migration;
    }
    return { result: 'ok', totalMs, schema };
  } catch (error) {
    signal.throwIfAborted();
    if (over.signal.aborted) return failed('timeout', `no answer within ${limitMs} ms`);
    return failed('error', error instanceof Error ? error.message : String(error));
  } finally {
    timer.cancel();
  }
}

type Failure = Extract<DatabaseTrial, { result: 'failed' }>['failure'];

function failureOf(status: number, code: string): Failure {
  // PostgREST: no such table or column in its cache. Postgres: undefined table, undefined column.
  if (['PGRST204', 'PGRST205', '42P01', '42703'].includes(code)) return 'unmigrated';
  // The role may not read the table: a publishable key, or a user's.
  if (code === '42501' || status === 401 || status === 403) return 'unauthorized';
  return status < 300 || status === 404 || status >= 500 ? 'unreachable' : 'error';
}

const advice: Record<Failure, (host: string) => string> = {
  unreachable: (host) =>
    `Look at SUPABASE_URL, now at ${host}: is it the project's address, and reached from here? A project that is paused does not answer.`,
  unauthorized: () =>
    'Look at SUPABASE_SERVICE_ROLE_KEY: it must be the secret key (sb_secret_…, or the JWT of service_role) of this project.',
  unmigrated: () => 'Give the database its migrations: `npx supabase db push`.',
  timeout: (host) => `Look at SUPABASE_URL, now at ${host}: is it reached from here?`,
  error: (host) => `Look at SUPABASE_URL, now at ${host}, and SUPABASE_SERVICE_ROLE_KEY.`,
};
