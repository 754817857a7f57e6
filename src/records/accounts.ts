import { z } from 'zod';
import type { Clock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { RecordsError } from './call-records.ts';
import { connectProject, exactly, isRetryable, type SupabaseOptions } from './supabase-project.ts';

/** What the table `users` says of an account. Times are milliseconds since the epoch. */
export interface Account {
  userId: string;
  /** Who logs in to it; null: nobody. */
  authId: string | null;
  /** Null: not blocked. */
  blockedAt: number | null;
  /** Tokens issued earlier are revoked; null: none is. */
  tokensValidFrom: number | null;
}

/** The accounts of this id, and of the person of this id: two at most. Rejects with `RecordsError`. */
export type FindAccounts = (id: string, signal: AbortSignal) => Promise<Account[]>;

const time = z
  .string()
  .transform((text) => Date.parse(text))
  .refine((ms) => !Number.isNaN(ms), 'must be a time');

const rowsSchema = z.array(
  z
    .object({
      id: z.string(),
      auth_id: z.string().nullable(),
      blocked_at: time.nullable(),
      tokens_valid_from: time.nullable(),
    })
    .transform((row) => ({
      userId: row.id,
      authId: row.auth_id,
      blockedAt: row.blocked_at,
      tokensValidFrom: row.tokens_valid_from,
    })),
);

/** As Supabase Auth makes them; the column is a `uuid`, which nothing else can be compared with. */
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Looks accounts up in a Supabase project with the tables of `supabase/migrations`. */
export function createFindAccounts(options: Omit<SupabaseOptions, 'timeoutMs'>): FindAccounts {
  const client = connectProject(options);
  return async (id, signal) => {
    const query = client.from('users').select('id, auth_id, blocked_at, tokens_valid_from');
    const named = uuid.test(id)
      ? query.or(`id.in.${exactly([id])},auth_id.eq.${id}`)
      : query.filter('id', 'in', exactly([id]));
    const { data, error, status } = await named.limit(2).abortSignal(signal).retry(false);
    if (error !== null) {
      throw new RecordsError(`account: status ${status}: ${error.message.slice(0, 300)}`, {
        retryable: isRetryable(status, error.code ?? null, 'account'),
        code: error.code ?? null,
      });
    }
    const rows = rowsSchema.safeParse(data);
    if (rows.success) return rows.data;
    throw new RecordsError('account: the answer is not that of a Supabase project', {
      retryable: true,
      code: null,
    });
  };
}

/** How long what was found is used: a revocation is in force after it. */
const FRESH_MS = 60_000;
/** How long a database that did not answer is not asked again. */
const RETRY_MS = 5_000;
/** Ids kept at once; the oldest goes. A few hundred bytes each. */
const MOST_KEPT = 10_000;

/** The database did not say anything of the account. */
export class AccountsUnavailable extends Error {
  override readonly name = 'AccountsUnavailable';
}

export interface AccountsOptions {
  clock: Clock;
  /** The longest wait for one answer. */
  timeoutMs: number;
  find: FindAccounts;
  onFailure(error: unknown): void;
}

/** Accounts, kept for a minute by an isolate; also that there is none. Only what was found is shared between requests, never a request. */
export class Accounts {
  readonly #options: AccountsOptions;
  readonly #kept = new Map<string, { found: Account[]; until: number }>();
  #downUntil = Number.NEGATIVE_INFINITY;

  constructor(options: AccountsOptions) {
    this.#options = options;
  }

  /** As `FindAccounts`. Rejects with `AccountsUnavailable`: what was found longer than a minute ago counts no more. */
  async of(id: string): Promise<readonly Account[]> {
    const { clock, timeoutMs, find, onFailure } = this.#options;
    const kept = this.#kept.get(id);
    if (kept !== undefined && clock.now() < kept.until) return kept.found;
    if (clock.now() < this.#downUntil) throw new AccountsUnavailable('the database did not answer just now');
    let found: Account[];
    try {
      found = await within(clock, timeoutMs, (signal) => find(id, signal));
    } catch (error) {
      this.#downUntil = clock.now() + RETRY_MS;
      onFailure(error);
      throw new AccountsUnavailable('the database does not answer');
    }
    this.#kept.delete(id);
    if (this.#kept.size >= MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(id, { found, until: clock.now() + FRESH_MS });
    return found;
  }
}
