import { z } from 'zod';
import { recordLimits } from './bounds.ts';
import { RecordsError } from './call-records.ts';
import { connectProject, exactly, isRetryable, type SupabaseOptions } from './supabase-project.ts';

/** How many calls at once an account may have; null where there is no such account. Rejects with `RecordsError`. */
export type FindUserLimit = (userId: string, signal: AbortSignal) => Promise<number | null>;

const rowsSchema = z.array(z.object({ max_concurrent_calls: z.number().int().min(0) }));

/** Looks accounts up in a Supabase project with the tables of `supabase/migrations`. */
export function createFindUserLimit(options: Omit<SupabaseOptions, 'timeoutMs'>): FindUserLimit {
  const client = connectProject(options);
  return async (userId, signal) => {
    // Text that Postgres does not store names no row.
    const storable = userId.length <= recordLimits.userIdCharacters && !userId.includes('\u0000');
    if (!storable || !userId.isWellFormed()) return null;
    const { data, error, status } = await client
      .from('users')
      .select('max_concurrent_calls')
      .filter('id', 'in', exactly([userId]))
      .limit(1)
      .abortSignal(signal)
      .retry(false);
    if (error !== null) {
      const { code = null } = error;
      const retryable = isRetryable(status, code, 'user limit');
      throw new RecordsError(`user limit: status ${status}: ${describe(error.message)}`, {
        retryable,
        code,
      });
    }
    const rows = rowsSchema.safeParse(data);
    if (!rows.success) {
      throw new RecordsError('user limit: the answer is not that of a Supabase project', {
        retryable: true,
        code: null,
      });
    }
    return rows.data[0]?.max_concurrent_calls ?? null;
  };
}

/** An answer that is not PostgREST's own may have no message, whatever the types say. */
function describe(message: unknown): string {
  return typeof message === 'string' ? message.slice(0, 300) : 'no message';
}
