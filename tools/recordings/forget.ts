import { parseArgs } from 'node:util';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { z } from 'zod';
import type { Config } from '../../src/config.ts';
import { hashNumber } from '../../src/privacy/number-hash.ts';
import { exactly } from '../../src/records/supabase-project.ts';
import { bucketSchema, environmentSchema, parsed } from './lifecycle.ts';

export const forgetUsage = `npm run forget -- --user ID | --phone NUMBER [options]

Deletes what is kept of one caller: the recordings, and then the calls with their transcripts and failures. Without --apply
it only tells what that would be.

  --user ID        the calls of this userId
  --phone NUMBER   the calls with this phone number, as it stands in the log, or by its hash (STORED_PHONE_NUMBERS=hashed,
                   PERSONAL_DATA_KEY); masked numbers are nobody's any more, --user finds their calls
  --env NAME       an environment of wrangler.toml, e.g. production
  --bucket NAME    the recordings' bucket [those that wrangler.toml binds to RECORDINGS and RECORDINGS_EU]
  --apply          delete: needs \`npx wrangler login\` or CLOUDFLARE_API_TOKEN

SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY come from the environment, then .dev.vars. Calls that have not ended, or ended
less than an hour ago, are left: their recording may be on its way. Run it again then.

Exit code 0: nothing is left; 3: some calls are, see above; 1: something failed.`;

const schema = z
  .object({
    user: z.string().min(1).max(128).optional(),
    phone: z.string().min(1).max(64).optional(),
    env: environmentSchema.optional(),
    bucket: bucketSchema.optional(),
    apply: z.boolean().default(false),
    help: z.boolean().default(false),
  })
  .refine((value) => value.help || (value.user === undefined) !== (value.phone === undefined), {
    message: 'Whose calls? Name either --user or --phone.',
  });

export type ForgetArguments = z.output<typeof schema>;

/** Reads the command line of `npm run forget`. */
export function parseForgetArguments(args: readonly string[]): ForgetArguments {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = { user: text, phone: text, env: text, bucket: text, apply: flag };
  return parsed(schema, () =>
    parseArgs({ args: [...args], options: { ...options, help: { ...flag, short: 'h' } } }),
  );
}

/** The database, or the bucket, did not do what it was asked; the message says what. */
export class ForgetError extends Error {
  override readonly name = 'ForgetError';
}

/** Whose calls. */
export type Caller = { user: string } | { phones: readonly string[] };

/** A caller by number: calls from before numbers were hashed have it as it came. */
export async function callerBy(
  phone: string,
  { PERSONAL_DATA_KEY: key }: Pick<Config, 'PERSONAL_DATA_KEY'>,
): Promise<Caller> {
  return { phones: key === undefined ? [phone] : [phone, await hashNumber(key, phone)] };
}

/** After its end a call's recording is on its way for this long at most, unless the bucket is down. */
const settledMs = 3_600_000;
const pageRows = 500;
/** Objects that are deleted at once: each is a process. */
const objectsAtOnce = 3;
/** Of one answer of the database. */
const timeoutMs = 30_000;

const rowsSchema = z.array(
  z.object({
    call_id: z.string(),
    end_time: z.string().nullable(),
    recording: z.string().startsWith('recordings/').nullable(),
  }),
);
type Row = z.output<typeof rowsSchema>[number];

export interface ForgetOptions {
  database: { url: string; key: string };
  caller: Caller;
  /** Deletes one object of the bucket; one that is not there counts as deleted. Rejects with why not. */
  deleteObject: (key: string, signal: AbortSignal) => Promise<void>;
  /** False: only tells. */
  apply: boolean;
  /** Milliseconds since the epoch. */
  now: number;
  print: (line: string) => void;
  signal: AbortSignal;
}

export interface Forgotten {
  /** Calls and recordings that were deleted, or would be. */
  calls: number;
  recordings: number;
  /** Calls that are left: in progress, or just over. */
  left: number;
  /** Calls that are left since their recording could not be deleted. */
  failed: number;
}

/**
 * Deletes a caller's recordings and rows. A row goes only once its recording has gone: it is what says where that is, so a run that
 * was cut off is made good by the next. Rejects with {@link ForgetError}.
 */
export async function forgetCaller(options: ForgetOptions): Promise<Forgotten> {
  const { database, caller, apply, now, print, signal } = options;
  const client = createClient(database.url, database.key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    // A redirect would carry the key to another host; a Supabase project sends none.
    global: { fetch: (input, init) => fetch(input, { ...init, redirect: 'manual' }) },
  });
  const done: Forgotten = { calls: 0, recordings: 0, left: 0, failed: 0 };
  let after = '';
  for (;;) {
    const rows = await page(client, caller, after, signal);
    const last = rows.at(-1);
    if (last === undefined) return done;
    after = last.call_id;
    const settled = rows.filter((row) => row.end_time !== null && Date.parse(row.end_time) < now - settledMs);
    for (const row of rows)
      if (!settled.includes(row)) print(`left     ${row.call_id}: not over, or just now`);
    done.left += rows.length - settled.length;
    const gone = apply ? await deleteRecordings(settled, options) : settled;
    done.failed += settled.length - gone.length;
    if (apply) await deleteRows(client, gone, signal);
    for (const { call_id, recording } of gone) {
      done.calls++;
      if (recording !== null) done.recordings++;
      print(`${apply ? 'deleted ' : 'found   '} ${call_id}${recording === null ? '' : ` and ${recording}`}`);
    }
  }
}

async function page(
  client: SupabaseClient,
  caller: Caller,
  after: string,
  signal: AbortSignal,
): Promise<Row[]> {
  const [column, values] = 'user' in caller ? ['user_id', [caller.user]] : ['phone_number', caller.phones];
  const { data, error } = await client
    .from('call_logs')
    .select('call_id, end_time, recording')
    .filter(column, 'in', exactly(values))
    .gt('call_id', after)
    .order('call_id')
    .limit(pageRows)
    .abortSignal(within(signal))
    .retry(false);
  signal.throwIfAborted();
  if (error !== null) throw new ForgetError(`The database does not list the calls: ${error.message}`);
  const rows = rowsSchema.safeParse(data);
  if (!rows.success) throw new ForgetError('The answer is not that of a Supabase project.');
  return rows.data;
}

/** The rows whose recording is gone, or never was. */
async function deleteRecordings(rows: readonly Row[], options: ForgetOptions): Promise<Row[]> {
  const { deleteObject, print, signal } = options;
  const gone: Row[] = [];
  const waiting = [...rows];
  const work = async () => {
    for (let row = waiting.shift(); row !== undefined && !signal.aborted; row = waiting.shift()) {
      try {
        if (row.recording !== null) await deleteObject(row.recording, signal);
        gone.push(row);
      } catch (error) {
        print(`failed   ${row.call_id}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: objectsAtOnce }, work));
  return gone;
}

/** Their turns and failures go with them (`on delete cascade`). */
async function deleteRows(client: SupabaseClient, rows: readonly Row[], signal: AbortSignal): Promise<void> {
  // What a URL holds.
  for (let from = 0; from < rows.length; from += 50) {
    const ids = rows.slice(from, from + 50).map((row) => row.call_id);
    const { error } = await client
      .from('call_logs')
      .delete()
      .filter('call_id', 'in', exactly(ids))
      .abortSignal(within(signal))
      .retry(false);
    if (error !== null) throw new ForgetError(`The database does not delete the calls: ${error.message}`);
  }
  signal.throwIfAborted();
}

function within(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
}
