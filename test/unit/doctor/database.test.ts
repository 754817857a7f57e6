import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/call/clock.ts';
import { tryDatabase } from '../../../tools/doctor/database.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type Answer, body, HttpDouble, hang, json, refuse } from '../../support/http-double.ts';

/** Of PostgREST: a code with its message, https://docs.postgrest.org/en/stable/references/errors.html. */
const error = (status: number, code: string, message = 'scripted') =>
  body(JSON.stringify({ code, message, details: null, hint: null }), 'application/json', status);

let double: HttpDouble;
beforeEach(async () => {
  double = await HttpDouble.start();
});
afterEach(() => double.close());

const path = '/rest/v1/call_logs?select=call_id&limit=1';
function attempt(answer: Answer, options: Partial<Parameters<typeof tryDatabase>[0]> = {}) {
  double.script(path, answer);
  const limits = { probes: [], clock: systemClock, limitMs: 20_000, signal: new AbortController().signal };
  return tryDatabase({ url: double.baseUrl, key: 'sb_secret_x', ...limits, ...options });
}

describe('the database', () => {
  it('is well where it gives the log of calls to its key', async () => {
    expect(await attempt(json([]))).toEqual({ result: 'ok', totalMs: expect.any(Number), schema: null });
    expect(double.requests[0]!.headers.apikey).toBe('sb_secret_x');
    expect(double.unexpected).toEqual([]);
  });

  it.each([
    [
      'a wrong key',
      body('{"message":"Invalid API key"}', 'application/json', 401),
      'unauthorized',
      'SERVICE_ROLE_KEY',
    ],
    ['a key that is not secret', error(403, '42501', 'permission denied'), 'unauthorized', 'sb_secret_'],
    ['no table', error(404, 'PGRST205'), 'unmigrated', 'supabase db push'],
    [
      'an old table',
      error(400, '42703', 'column call_logs.counts does not exist'),
      'unmigrated',
      'supabase db push',
    ],
    ['another service', body('<html>', 'text/html', 404), 'unreachable', 'SUPABASE_URL'],
    ['a page in place of rows', body('<html>', 'text/html'), 'unreachable', 'SUPABASE_URL'],
    ['a redirect', body('', 'text/plain', 302), 'error', 'SUPABASE_URL'],
    ['another refusal', error(400, 'PGRST100'), 'error', 'SUPABASE_URL'],
  ] as const)('is told from %s', async (_, answer, failure, advice) => {
    expect(await attempt(answer)).toMatchObject({
      result: 'failed',
      failure,
      advice: expect.stringContaining(advice),
    });
  });

  it('has had the migrations whose tables and columns it has, up to the first that it has not', async () => {
    const probes = [
      { migration: '1_calls', table: 'call_turns', columns: [] },
      { migration: '2_hangups', table: 'call_logs', columns: ['hangup', 'other'] },
      { migration: '3_never', table: 'never', columns: [] },
    ];
    double.script('/rest/v1/call_turns?select=*&limit=1', json([]), json([]));
    const asked = '/rest/v1/call_logs?select=hangup%2Cother&limit=1';
    double.script(asked, error(400, '42703', 'column call_logs.hangup does not exist'), json([]));
    expect(await attempt(json([]), { probes })).toMatchObject({
      failure: 'unmigrated',
      message: expect.stringContaining(
        'the migration 2_hangups is missing (status 400: column call_logs.hangup',
      ),
    });
    double.script('/rest/v1/call_logs?select=call_id&limit=1', json([]));
    expect(await attempt(json([]), { probes: probes.slice(0, 2) })).toMatchObject({ schema: '2_hangups' });
    expect(double.unexpected).toEqual([]);
  });

  it('is told from no answer', async () => {
    const clock = new FakeClock();
    const trial = attempt(hang(), { clock, limitMs: 15_000 });
    await double.received(0);
    await clock.advance(15_000);
    expect(await trial).toMatchObject({
      failure: 'timeout',
      message: 'no answer within 15000 ms',
      afterMs: 15_000,
    });
    expect(clock.pending).toBe(0);
  });

  it('is told from a broken line, with what broke it', async () => {
    expect(await attempt(refuse())).toMatchObject({
      result: 'failed',
      failure: 'unreachable',
      message: expect.stringContaining('(UND_ERR_SOCKET)'),
    });
    expect(double.requests).toHaveLength(1);
  });

  it('is not asked without address or key', async () => {
    const nothing = { url: undefined, key: undefined };
    expect(await attempt(json([]), nothing)).toEqual({
      result: 'missing',
      settings: ['SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY'],
    });
    expect(double.requests).toEqual([]);
  });
});
