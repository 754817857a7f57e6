import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedSupabase, startSupabase } from '../../../embedded/supabase/supabase.ts';
import { noCounts } from '../../../src/call/call-counts.ts';
import { nextPoints, nothingWritten, userPseudonym } from '../../../src/metrics/data-points.ts';
import type { EndedCall } from '../../../src/records/call-records.ts';
import { createSupabaseCallRecords } from '../../../src/records/supabase-call-records.ts';
import { readReport, reportLines } from '../../../tools/report/report.ts';
import { recordingDataset } from '../../support/analytics-double.ts';
import { seeded } from '../../support/random.ts';

const secret = 'k'.repeat(32);
const now = Date.now();
const random = seeded(2026);

/** Sixty calls of an hour, of five users, some failed, some with errors. */
const calls: EndedCall[] = Array.from({ length: 60 }, (_, i) => {
  const startTime = now - 3_600_000 + random.whole(3_000_000);
  const latency = {
    endpointWaitMs: 300,
    processingMs: 10,
    providerMs: 0,
    totalMs: 300 + 10 * random.whole(100),
    moments: {},
    providers: [],
  };
  const turn = { startMs: 0, endMs: 900, interrupted: false, text: 'Words.' };
  const codes = ['PROVIDER_TIMEOUT', 'PROVIDER_TIMEOUT', 'PROVIDER_RATE_LIMITED', 'INTERNAL_ERROR'];
  return {
    callId: `report-${i}`,
    userId: `user-${Math.min(random.whole(6), 4)}`,
    campaignId: random.of([null, 'campaign-1']),
    phoneNumber: null,
    startTime,
    metadata: {},
    status: random.fraction() < 0.2 ? 'failed' : 'ended',
    endReason: 'hangup',
    endTime: startTime + 1_000 + random.whole(200_000),
    recording: null,
    turns: [
      { ...turn, position: 0, role: 'caller', latency: null },
      { ...turn, position: 1, role: 'agent', latency },
    ],
    failures: Array.from({ length: random.whole(3) }, (__, position) => {
      const code = random.of(codes);
      const provider = code === 'INTERNAL_ERROR' ? null : 'openai/gpt-6-luna';
      return { position, at: startTime, code, provider, message: 'failed' };
    }),
    usage: [],
    transfers: [],
    counts: noCounts,
  };
});

/** What Analytics Engine has of its own (https://developers.cloudflare.com/analytics/analytics-engine/sql-reference/), so far as the queries use it. */
const dialect = `
  CREATE TABLE ai_call_handler (timestamp timestamptz, _sample_interval float8, index1 text,
    ${Array.from({ length: 20 }, (_, i) => `blob${i + 1} text, double${i + 1} float8`).join(', ')});
  CREATE FUNCTION tostartofinterval(at timestamptz, step interval) RETURNS timestamptz LANGUAGE sql
    AS $$ SELECT date_bin(step, at, 'epoch') $$;
  CREATE FUNCTION "if"(test boolean, yes float8, no float8) RETURNS float8 LANGUAGE sql
    AS $$ SELECT CASE WHEN test THEN yes ELSE no END $$`;

/** Postgres has another name for it, and this table has no row that stands for several. */
const inPostgres = (sql: string) =>
  sql.replace(
    /quantileExactWeighted\(([\d.]+)\)\((\w+), _sample_interval\)/g,
    'percentile_disc($1) WITHIN GROUP (ORDER BY $2)',
  );

describe('the questions of operators', () => {
  let supabase: EmbeddedSupabase;
  const folder = new URL('../../../src/metrics/queries/', import.meta.url);
  const ask = (name: string) =>
    supabase.query<Record<string, string | number>>(
      inPostgres(readFileSync(new URL(`${name}.sql`, folder), 'utf8')),
    );
  const report = (top = 20) =>
    readReport({ url: supabase.url, key: supabase.serviceRoleKey }, secret, {
      since: new Date(now - 24 * 3_600_000),
      until: new Date(now + 1_000),
      top,
    });

  beforeAll(async () => {
    supabase = await startSupabase();
    for (const statement of dialect.split(/;\n/)) await supabase.query(statement);
    const records = createSupabaseCallRecords({
      url: supabase.url,
      key: supabase.serviceRoleKey,
      timeoutMs: 30_000,
    });
    for (const call of calls) {
      await records.ended(call, AbortSignal.timeout(30_000));
      const dataset = recordingDataset();
      const facts = { ...call, sampleRate: 8000, recording: false, chunkSamples: 16_000 } as const;
      const { points } = nextPoints(
        {
          call: facts,
          user: await userPseudonym(secret, call.userId),
          turns: [...call.turns],
          failures: [...call.failures],
          end: { type: 'ended', reason: 'hangup', status: call.status, endTime: call.endTime },
          counts: call.counts,
          costMicroUsd: null,
        },
        nothingWritten,
      );
      for (const point of points) {
        dataset.writeDataPoint(point);
        const { blobs, doubles, indexes } = point;
        const columns = [...blobs.map((_, i) => `blob${i + 1}`), ...doubles.map((_, i) => `double${i + 1}`)];
        const places = columns.map((_, i) => `$${i + 3}`);
        await supabase.query(
          `INSERT INTO ai_call_handler (timestamp, _sample_interval, index1, ${columns.join(', ')})
           VALUES ($1, 1, $2, ${places.join(', ')})`,
          [new Date(call.startTime), indexes[0], ...blobs, ...doubles],
        );
      }
    }
  });
  afterAll(() => supabase?.close());

  it('have the same answers from the log as from the data points', async () => {
    const answers = await report();
    const total = (rows: Record<string, string | number>[], column: string) =>
      rows.reduce((sum, row) => sum + Number(row[column]), 0);

    expect(answers.calls).toBe(calls.length);
    const steps = await ask('calls-per-second');
    expect(total(steps, 'calls_per_second') * 300).toBeCloseTo(answers.calls);

    const campaigns = await ask('average-duration');
    const seconds = campaigns.reduce((sum, row) => sum + Number(row.calls) * Number(row.average_seconds), 0);
    const failed = campaigns.reduce((sum, row) => sum + Number(row.calls) * Number(row.error_rate), 0);
    expect([total(campaigns, 'calls'), campaigns.map(({ campaign }) => campaign).sort()]).toEqual([
      answers.ended,
      ['', 'campaign-1'],
    ]);
    expect(seconds / answers.ended).toBeCloseTo(answers.averageSeconds!, 2);
    expect(failed).toBeCloseTo(answers.failed);

    const errors = await ask('most-common-errors');
    const counted = errors.map(({ error, source, times }) => ({ error, source, times: Number(times) }));
    expect(counted).toEqual(answers.errors);

    const users = await ask('top-users');
    const bySize = (a: { calls: number; pseudonym: string }, b: typeof a) =>
      b.calls - a.calls || a.pseudonym.localeCompare(b.pseudonym);
    expect(
      users
        .map((row) => ({
          pseudonym: String(row.pseudonym),
          calls: Number(row.calls),
          seconds: Number(row.seconds),
        }))
        .sort(bySize),
    ).toEqual(
      answers.users
        .map(({ userId: _, seconds: sum, ...user }) => ({ ...user, seconds: expect.closeTo(sum, 2) }))
        .sort(bySize),
    );

    const waits = await ask('answer-latency');
    expect(total(waits, 'answers')).toBe(answers.latency.answers);
  });

  it('are answered by what the calls were', async () => {
    const { averageSeconds, failed, latency, users, errors, callsPerSecond } = await report(2);
    const lengths = calls.map(({ startTime, endTime }) => (endTime - startTime) / 1_000);
    expect(averageSeconds).toBeCloseTo(lengths.reduce((sum, length) => sum + length, 0) / calls.length, 2);
    expect(failed).toBe(calls.filter(({ status }) => status === 'failed').length);
    expect(callsPerSecond).toBeCloseTo(calls.length / 86_401, 6);
    const waits = calls.map(({ turns }) => turns[1]!.latency!.totalMs).sort((a, b) => a - b);
    expect(latency).toEqual({ answers: 60, p50: waits[29], p95: waits[56], p99: waits[59] });
    const times = calls.flatMap(({ failures }) => failures).filter(({ code }) => code === 'PROVIDER_TIMEOUT');
    expect(errors[0]).toEqual({ error: 'timeout', source: 'openai/gpt-6-luna', times: times.length });
    expect([users.length, errors.length]).toEqual([2, 2]);
    expect(users[0]!.calls).toBeGreaterThanOrEqual(users[1]!.calls);
  });

  it('have answers where there were no calls', async () => {
    const { url, serviceRoleKey: key } = supabase;
    const range = { since: new Date(0), until: new Date(1_000), top: 5 };
    const empty = await readReport({ url, key }, secret, range);
    expect(empty).toMatchObject({ calls: 0, callsPerSecond: 0, averageSeconds: null, errors: [], users: [] });
    expect(reportLines(empty, 1)).toContain('Average length: none');
  });

  it('are those of the files, each of which has been run', () => {
    expect(readdirSync(folder).sort()).toEqual([
      'answer-latency.sql',
      'average-duration.sql',
      'calls-per-second.sql',
      'most-common-errors.sql',
      'top-users.sql',
    ]);
  });
});
