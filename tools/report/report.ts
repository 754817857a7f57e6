import { parseArgs } from 'node:util';
import { createClient } from '@supabase/supabase-js';
import { z } from 'zod';
import { userPseudonym } from '../../src/metrics/data-points.ts';

export const reportUsage = `Usage: npm run report -- [options]

Answers from the log in the database: calls a second, average length, most common errors, top users, how long callers waited.

  --env NAME     Of wrangler.toml, whose database is asked; default: the \`npm start\` that runs here
  --data DIR     Where that \`npm start\` keeps its data (default: .data)
  --hours N      Of the calls that began in the last N hours, 1 to 8760 (default: 24)
  --top N        Entries of each list, 1 to 1000 (default: 10)
  --json         As JSON`;

/** The arguments are wrong; the message says how. */
export class ReportUsageError extends Error {
  override readonly name = 'ReportUsageError';
}

const whole = (most: number) => z.coerce.number().int().min(1).max(most);
const optionsSchema = z.object({
  help: z.boolean().default(false),
  env: z.string().min(1).optional(),
  data: z.string().min(1).default('.data'),
  hours: whole(8_760).default(24),
  top: whole(1_000).default(10),
  json: z.boolean().default(false),
});
export type ReportOptions = z.output<typeof optionsSchema>;

export function parseReportArguments(args: readonly string[]): ReportOptions {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { help: flag, env: text, data: text, hours: text, top: text, json: flag },
    });
    return optionsSchema.parse(values);
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
    throw new ReportUsageError(
      issue === undefined ? (error as Error).message : `--${issue.path.join('.')}: ${issue.message}`,
    );
  }
}

const count = z.number().int().min(0);
const reportSchema = z.object({
  calls: count,
  callsPerSecond: z.number(),
  peakCallsPerSecond: count,
  ended: count,
  failed: count,
  averageSeconds: z.number().nullable(),
  errors: z.array(z.object({ error: z.string(), source: z.string(), times: count })),
  users: z.array(z.object({ userId: z.string(), calls: count, seconds: z.number() })),
  latency: z.object({
    answers: count,
    p50: z.number().nullable(),
    p95: z.number().nullable(),
    p99: z.number().nullable(),
  }),
});
export type CallReport = Omit<z.output<typeof reportSchema>, 'users'> & {
  users: { userId: string; pseudonym: string; calls: number; seconds: number }[];
};

/** The database did not answer, or not as it should. */
export class ReportError extends Error {
  override readonly name = 'ReportError';
}

/** A large log takes its time. */
const TIMEOUT_MS = 60_000;

/** @param secret that the pseudonyms of the data points are made with. */
export async function readReport(
  database: { url: string; key: string },
  secret: string,
  range: { since: Date; until: Date; top: number },
): Promise<CallReport> {
  const client = createClient(database.url, database.key, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const { data, error } = await client
    .rpc('call_report', {
      since: range.since.toISOString(),
      until: range.until.toISOString(),
      most: range.top,
    })
    .abortSignal(AbortSignal.timeout(TIMEOUT_MS));
  if (error !== null) throw new ReportError(`The database answered: ${error.message} (${error.code})`);
  const report = reportSchema.parse(data);
  const users = await Promise.all(
    report.users.map(async (user) => ({ ...user, pseudonym: await userPseudonym(secret, user.userId) })),
  );
  return { ...report, users };
}

/** As lines for people. */
export function reportLines(report: CallReport, hours: number): string[] {
  const { calls, ended, failed, latency } = report;
  const seconds = (value: number | null) => (value === null ? 'none' : `${value.toFixed(1)} s`);
  const ms = (value: number | null) => (value === null ? 'none' : `${Math.round(value)} ms`);
  const share = ended === 0 ? '' : ` (${((100 * failed) / ended).toFixed(1)} %)`;
  return [
    `Calls of the last ${hours} h: ${calls}, ${ended} of them over, ${failed} failed${share}`,
    `Calls a second: ${report.callsPerSecond.toPrecision(3)} on average, ${report.peakCallsPerSecond} at most`,
    `Average length: ${seconds(report.averageSeconds)}`,
    `Answers: ${latency.answers}; from the caller's last voiced sample to the first audio: p50 ${ms(latency.p50)}, p95 ${ms(latency.p95)}, p99 ${ms(latency.p99)}`,
    'Most common errors:',
    ...list(report.errors.map(({ error, source, times }) => `${times} × ${error} (${source})`)),
    'Top users:',
    ...list(
      report.users.map(
        (user) =>
          `${user.userId}: ${user.calls} calls, ${Math.round(user.seconds)} s (in data points: ${user.pseudonym})`,
      ),
    ),
  ];
}

function list(entries: readonly string[]): string[] {
  return entries.length === 0 ? ['  none'] : entries.map((entry) => `  ${entry}`);
}
