import { z } from 'zod';
import { RecordsError } from './call-records.ts';
import { connectProject, exactly, isRetryable } from './supabase-project.ts';

/** What the calls of one day, user and campaign used up. */
export interface UsageOfDay {
  /** `2026-11-23`, UTC. */
  day: string;
  campaignId: string | null;
  calls: number;
  /** Of them: those that cost more than is known, since something that they used has no price; and those whose cost has not arrived. */
  callsPartlyUnpriced: number;
  callsNotPricedYet: number;
  seconds: number;
  /** US dollars with vendors, as far as there are prices; null: of none of them is it known. */
  cost: number | null;
}

export interface UsageQuestion {
  userId: string;
  /** Null: all of the user's, and calls without one. */
  campaignId: string | null;
  /** First and last day, UTC. */
  from: string;
  to: string;
}

/** Rows of one answer; hosted Supabase gives no more than this by default. */
export const MOST_USAGE_ROWS = 1_000;

const count = z.coerce.number();
const rowsSchema = z.array(
  z
    .object({
      day: z.string().transform((text) => text.slice(0, 10)),
      campaign_id: z.string().nullable(),
      calls: count,
      calls_partly_unpriced: count,
      calls_not_priced_yet: count,
      seconds: count,
      cost: count.nullable(),
    })
    .transform((row) => ({
      day: row.day,
      campaignId: row.campaign_id,
      calls: row.calls,
      callsPartlyUnpriced: row.calls_partly_unpriced,
      callsNotPricedYet: row.calls_not_priced_yet,
      seconds: row.seconds,
      cost: row.cost,
    })),
);

/** A user's usage by day and campaign, the newest day first; {@link MOST_USAGE_ROWS} at most. Rejects with `RecordsError`. */
export async function readUsage(
  database: { url: string; key: string },
  { userId, campaignId, from, to }: UsageQuestion,
  signal: AbortSignal,
): Promise<UsageOfDay[]> {
  const all = connectProject(database)
    .from('usage_by_day')
    .select('day, campaign_id, calls, calls_partly_unpriced, calls_not_priced_yet, seconds, cost')
    .filter('user_id', 'in', exactly([userId]))
    .gte('day', from)
    .lte('day', to);
  const asked = campaignId === null ? all : all.filter('campaign_id', 'in', exactly([campaignId]));
  const { data, error, status } = await asked
    .order('day', { ascending: false })
    .order('campaign_id')
    .limit(MOST_USAGE_ROWS)
    .abortSignal(signal)
    .retry(false);
  if (error !== null) {
    throw new RecordsError(`usage: status ${status}: ${error.message.slice(0, 300)}`, {
      retryable: isRetryable(status, error.code ?? null, 'usage'),
      code: error.code ?? null,
    });
  }
  const rows = rowsSchema.safeParse(data);
  if (rows.success) return rows.data;
  throw new RecordsError('usage: the answer is not that of a Supabase project', {
    retryable: true,
    code: null,
  });
}
