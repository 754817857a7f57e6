import { describe, expect, it } from 'vitest';
import type { RecordsError, StartedCall } from '../../../src/records/call-records.ts';
import { createSupabaseCallRecords } from '../../../src/records/supabase-call-records.ts';
import { isRetryable } from '../../../src/records/supabase-project.ts';

const call: StartedCall = {
  callId: 'call',
  userId: 'user',
  campaignId: null,
  phoneNumber: null,
  startTime: 0,
  metadata: {},
};
const never = new AbortController().signal;

/** What `started` throws where the network answers like this. */
async function failure(answer: () => Response | Promise<Response>, signal = never): Promise<RecordsError> {
  const records = createSupabaseCallRecords({
    url: 'http://supabase.invalid',
    key: 'sb_secret_test',
    timeoutMs: 5_000,
    fetch: async () => answer(),
  });
  const error = await records.started(call, signal).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: 'RecordsError' });
  return error as RecordsError;
}

describe('createSupabaseCallRecords', () => {
  it('takes a true or a false for an answer', async () => {
    for (const changed of [true, false]) {
      const records = createSupabaseCallRecords({
        url: 'http://supabase.invalid',
        key: 'sb_secret_test',
        timeoutMs: 5_000,
        fetch: async () => Response.json(changed),
      });
      await expect(records.started(call, never)).resolves.toBeUndefined();
    }
  });

  it('does not take an empty 404 for a delivery, which supabase-js calls a success', async () => {
    expect(await failure(() => new Response(null, { status: 404 }))).toMatchObject({ retryable: false });
  });

  it('does not take a web page for a delivery', async () => {
    const error = await failure(() => new Response('<html>hello</html>', { status: 200 }));
    expect(error.message).toContain('not that of a Supabase project');
  });

  it('follows no redirect, which would carry the key elsewhere', async () => {
    const seen: unknown[] = [];
    const records = createSupabaseCallRecords({
      url: 'http://supabase.invalid',
      key: 'sb_secret_test',
      timeoutMs: 5_000,
      fetch: async (_input, init) => {
        seen.push(init?.redirect);
        return Response.json(true);
      },
    });
    await records.started(call, never);
    expect(seen).toEqual(['manual']);
    const redirect = () =>
      new Response(null, { status: 308, headers: { location: 'http://elsewhere.invalid' } });
    expect(await failure(redirect)).toMatchObject({ retryable: false });
  });

  it('keeps Postgres’ details, which quote the row, out of the error', async () => {
    const body = {
      code: '23514',
      message: 'violates',
      details: 'Failing row contains (+15550100)',
      hint: null,
    };
    const error = await failure(() => Response.json(body, { status: 400 }));
    expect(error).toMatchObject({ retryable: false, code: '23514' });
    expect(`${error.message}${JSON.stringify(error)}${String(error.cause)}`).not.toContain('+15550100');
  });

  it('passes on a bounded piece of an error page', async () => {
    const error = await failure(() => new Response('x'.repeat(100_000), { status: 502 }));
    expect(error).toMatchObject({ retryable: true, code: null });
    expect(error.message.length).toBeLessThan(600);
  });

  it('refuses a call whose time is none without asking the network', async () => {
    const records = createSupabaseCallRecords({
      url: 'http://supabase.invalid',
      key: 'sb_secret_test',
      timeoutMs: 5_000,
      fetch: async () => expect.unreachable(),
    });
    await expect(records.started({ ...call, startTime: Number.NaN }, never)).rejects.toMatchObject({
      name: 'RecordsError',
      retryable: false,
    });
  });
});

describe('isRetryable', () => {
  it.each([
    [0, null],
    [408, null],
    [429, null],
    [500, null],
    [500, '40001'],
    [503, 'PGRST000'],
    [504, 'PGRST003'],
    [500, '57014'],
  ])('repeats after status %i, code %s', (status, code) => {
    expect(isRetryable(status, code, 'call_started')).toBe(true);
  });

  it.each([
    [308, null],
    [400, '23514'],
    [401, null],
    [401, '42501'],
    [403, '42501'],
    [404, 'PGRST202'],
    [404, 'PGRST205'],
    [409, '23503'],
    [409, '23505'],
    [413, null],
    [500, '42P17'],
    [500, '54001'],
  ])('does not repeat after status %i, code %s', (status, code) => {
    expect(isRetryable(status, code, 'call_started')).toBe(false);
  });

  it('repeats a conversation that came before its call', () => {
    expect(isRetryable(409, '23503', 'call_conversation')).toBe(true);
  });
});
