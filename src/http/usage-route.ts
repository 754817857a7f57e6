import { Hono } from 'hono';
import { z } from 'zod';
import { authenticate } from '../auth/authenticate.ts';
import { maySee, onlyUserOf } from '../call/principal.ts';
import { loadConfig } from '../config.ts';
import { startCallSchema } from '../dialects/native-messages.ts';
import type { Env } from '../env.ts';
import { describeError, log } from '../log.ts';
import { RecordsError } from '../records/call-records.ts';
import { MOST_USAGE_ROWS, readUsage, type UsageOfDay } from '../records/usage-sums.ts';
import { apiError } from './errors.ts';

/** The longest wait for the database. */
const DATABASE_MS = 10_000;
const DAY_MS = 24 * 3_600_000;
/** A quarter of a year. */
const MOST_DAYS = 92;
const defaultDays = 30;

const questionSchema = z.strictObject({
  userId: startCallSchema.shape.userId.optional(),
  campaignId: z.string().min(1).max(128).optional(),
  from: z.iso.date().optional(),
  to: z.iso.date().optional(),
});

/** `GET /`: what a user's calls cost, by day and campaign: a person's own, anybody's for the operator's programs. */
export const usageRoutes = new Hono<{ Bindings: Env }>();

usageRoutes.get('/', async (c) => {
  const config = loadConfig(c.env);
  const principal = await authenticate(c.req.raw, config, 'route');
  if (principal instanceof Response) return principal;
  const question = questionSchema.safeParse(c.req.query());
  if (!question.success) {
    const [issue] = question.error.issues;
    return apiError(400, 'BAD_MESSAGE', `${issue?.path.join('.') || 'query'}: ${issue?.message}`);
  }
  const { campaignId = null } = question.data;
  const userId = question.data.userId ?? onlyUserOf(principal);
  if (userId === null) return apiError(400, 'BAD_MESSAGE', 'userId: is needed');
  // Nodes and holders of one call's token have no business with what other calls cost.
  const asksForSums = ['user', 'service', 'anonymous'].includes(principal.kind);
  if (!asksForSums || !maySee(principal, userId, campaignId)) {
    return apiError(403, 'FORBIDDEN', 'This user’s usage is not yours to read');
  }
  const days = daysOf(question.data, Date.now());
  if (days === null) return apiError(400, 'BAD_MESSAGE', `from, to: at most ${MOST_DAYS} days, in order`);
  const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key } = config;
  if (url === undefined || key === undefined) {
    return apiError(503, 'INTERNAL_ERROR', 'The service is not set up: it has no database');
  }
  const signal = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(DATABASE_MS)]);
  try {
    const rows = await readUsage({ url, key }, { userId, campaignId, ...days }, signal);
    const truncated = rows.length === MOST_USAGE_ROWS;
    const answer = {
      userId,
      campaignId,
      ...days,
      currency: 'USD',
      total: totalOf(rows),
      days: rows,
      truncated,
    };
    return Response.json(answer, { headers: { 'Cache-Control': 'no-store' } });
  } catch (error) {
    if (!(error instanceof RecordsError)) throw error;
    log('error', 'the usage could not be read', { error: describeError(error) });
    return apiError(503, 'INTERNAL_ERROR', 'The database does not answer', { 'Retry-After': '5' });
  }
});

/** The days asked for; by default the last thirty. Null: too many, or none. */
function daysOf({ from, to }: { from?: string | undefined; to?: string | undefined }, now: number) {
  const last = to ?? dayOf(now);
  const first = from ?? dayOf(Date.parse(last) - (defaultDays - 1) * DAY_MS);
  const count = (Date.parse(last) - Date.parse(first)) / DAY_MS + 1;
  return count >= 1 && count <= MOST_DAYS ? { from: first, to: last } : null;
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Amounts are added in whole micro-dollars, so that the sum is that of the rows to the last digit. */
function totalOf(rows: readonly UsageOfDay[]): Omit<UsageOfDay, 'day' | 'campaignId'> {
  const sum = (of: (row: UsageOfDay) => number) => rows.reduce((total, row) => total + of(row), 0);
  const priced = rows.filter(({ cost }) => cost !== null);
  return {
    calls: sum(({ calls }) => calls),
    callsPartlyUnpriced: sum(({ callsPartlyUnpriced }) => callsPartlyUnpriced),
    callsNotPricedYet: sum(({ callsNotPricedYet }) => callsNotPricedYet),
    seconds: Math.round(sum(({ seconds }) => seconds * 1_000)) / 1_000,
    cost:
      priced.length === 0 && rows.length > 0
        ? null
        : sum(({ cost }) => Math.round((cost ?? 0) * 1_000_000)) / 1_000_000,
  };
}
