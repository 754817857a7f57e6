import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedSupabase, startSupabase } from '../../../embedded/supabase/supabase.ts';
import { systemClock } from '../../../src/call/clock.ts';
import { hashNumber } from '../../../src/privacy/number-hash.ts';
import { tryDatabase } from '../../../tools/doctor/database.ts';
import { readProbes } from '../../../tools/doctor/schema.ts';
import { type Caller, callerBy, forgetCaller } from '../../../tools/recordings/forget.ts';
import { parseLifecycleArguments, setRule } from '../../../tools/recordings/lifecycle.ts';
import { wranglerIn } from '../../../tools/recordings/wrangler.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const never = new AbortController().signal;
const now = Date.UTC(2026, 10, 21, 12);

let supabase: EmbeddedSupabase;
beforeAll(async () => {
  supabase = await startSupabase();
});
afterAll(() => supabase?.close());

const database = () => createClient(supabase.url, supabase.serviceRoleKey);

interface Given {
  id: string;
  user: string;
  phone?: string;
  /** Minutes since its end; null: in progress. */
  ended?: number | null;
  recording?: boolean;
}

async function insert(calls: Given[]): Promise<void> {
  const rows = calls.map(({ id, user, phone = null, ended = 120, recording = true }) => ({
    call_id: id,
    user_id: user,
    phone_number: phone,
    start_time: new Date(now - 86_400_000).toISOString(),
    status: ended === null ? 'active' : 'ended',
    end_time: ended === null ? null : new Date(now - ended * 60_000).toISOString(),
    end_reason: ended === null ? null : 'hangup',
    recording: recording && ended !== null ? `recordings/2026/11/20/${id}.wav` : null,
  }));
  const { error } = await database().from('call_logs').insert(rows);
  expect(error).toBeNull();
  const turns = calls.map(({ id }) => ({
    call_id: id,
    position: 0,
    role: 'caller',
    text: 'my secret',
    start_ms: 0,
    end_ms: 1,
  }));
  expect((await database().from('call_turns').insert(turns)).error).toBeNull();
}

describe('the doctor', () => {
  it('finds every migration of this repository in a database that has had them', async () => {
    const probes = readProbes(join(root, 'supabase', 'migrations'));
    const trial = await tryDatabase({
      ...{ url: supabase.url, key: supabase.serviceRoleKey, probes, clock: systemClock },
      ...{ limitMs: 30_000, signal: never },
    });
    expect(trial).toMatchObject({ result: 'ok', schema: probes.at(-1)!.migration });
    const unknown = [...probes, { migration: 'next', table: 'call_logs', columns: ['not_there'] }];
    const older = await tryDatabase({
      ...{ url: supabase.url, key: supabase.serviceRoleKey, probes: unknown, clock: systemClock },
      ...{ limitMs: 30_000, signal: never },
    });
    expect(older).toMatchObject({
      failure: 'unmigrated',
      message: expect.stringContaining('migration next'),
    });
  });
});

const left = async (prefix: string) => {
  const { data } = await database()
    .from('call_logs')
    .select('call_id')
    .like('call_id', `${prefix}%`)
    .order('call_id');
  return data?.map((row) => row.call_id as string);
};

async function forget(caller: Caller, options: { apply?: boolean; refuse?: string } = {}) {
  const deleted: string[] = [];
  const lines: string[] = [];
  const result = await forgetCaller({
    database: { url: supabase.url, key: supabase.serviceRoleKey },
    caller,
    async deleteObject(key) {
      if (key === options.refuse) throw new Error('10001: internal error');
      deleted.push(key);
    },
    apply: options.apply ?? true,
    now,
    print: (line) => lines.push(line),
    signal: never,
  });
  return { result, deleted: deleted.sort(), lines };
}

describe('forgetting a caller', () => {
  it('deletes the recordings, the calls and what was said in them, of that user alone', async () => {
    await insert([
      { id: 'a-1', user: 'anna' },
      { id: 'a-2', user: 'anna', recording: false },
      { id: 'a-3', user: 'anna2' },
    ]);
    const { result, deleted } = await forget({ user: 'anna' });
    expect(result).toEqual({ calls: 2, recordings: 1, left: 0, failed: 0 });
    expect(deleted).toEqual(['recordings/2026/11/20/a-1.wav']);
    expect(await left('a-')).toEqual(['a-3']);
    const { data } = await database().from('call_turns').select('call_id').like('call_id', 'a-%');
    expect(data).toEqual([{ call_id: 'a-3' }]);
    expect((await forget({ user: 'anna' })).result.calls).toBe(0);
  });

  it('finds calls by telephone number, whatever stands in it', async () => {
    await insert([
      { id: 'b-1', user: 'x', phone: '+15550100' },
      { id: 'b-2', user: 'y', phone: '+15550100' },
      { id: 'b-3', user: 'x', phone: '+15550101' },
      { id: 'b-4', user: 'x', phone: 'a,b.eq."c\\' },
    ]);
    await forget(await callerBy('+15550100', {}));
    expect(await left('b-')).toEqual(['b-3', 'b-4']);
    await forget(await callerBy('a,b.eq."c\\', {}));
    expect(await left('b-')).toEqual(['b-3']);
  });

  it('finds calls by the hash of a number too, however that is written, and with the same key alone', async () => {
    const key = { PERSONAL_DATA_KEY: 'k'.repeat(32) };
    const hashed = await hashNumber(key.PERSONAL_DATA_KEY, '+49 30 901820');
    await insert([
      { id: 'h-1', user: 'x', phone: hashed },
      { id: 'h-2', user: 'x', phone: '+4930901820' },
      { id: 'h-3', user: 'x', phone: await hashNumber('another key', '+4930901820') },
    ]);
    await forget(await callerBy('+4930901820', key));
    expect(await left('h-')).toEqual(['h-3']);
  });

  it('takes nothing for a number', async () => {
    await insert([
      { id: '007', user: '1e3' },
      { id: '7', user: '1000' },
    ]);
    expect((await forget({ user: '1e3' })).deleted).toEqual(['recordings/2026/11/20/007.wav']);
    expect([await left('0'), await left('7')]).toEqual([[], ['7']]);
  });

  it('only tells what it would do, unless told to do it', async () => {
    await insert([{ id: 'c-1', user: 'carl' }]);
    const { result, deleted, lines } = await forget({ user: 'carl' }, { apply: false });
    expect(result).toEqual({ calls: 1, recordings: 1, left: 0, failed: 0 });
    expect(deleted).toEqual([]);
    expect(lines).toEqual(['found    c-1 and recordings/2026/11/20/c-1.wav']);
    expect(await left('c-')).toEqual(['c-1']);
  });

  it('leaves calls whose recording may be on its way, and says so', async () => {
    await insert([
      { id: 'd-1', user: 'dora', ended: null },
      { id: 'd-2', user: 'dora', ended: 59 },
      { id: 'd-3', user: 'dora', ended: 61 },
    ]);
    const { result, lines } = await forget({ user: 'dora' });
    expect(result).toEqual({ calls: 1, recordings: 1, left: 2, failed: 0 });
    expect(await left('d-')).toEqual(['d-1', 'd-2']);
    expect(lines.filter((line) => line.startsWith('left'))).toHaveLength(2);
  });

  it('keeps the row of a recording that could not be deleted: it says where that is', async () => {
    await insert([
      { id: 'e-1', user: 'emil' },
      { id: 'e-2', user: 'emil' },
    ]);
    const { result } = await forget({ user: 'emil' }, { refuse: 'recordings/2026/11/20/e-1.wav' });
    expect(result).toEqual({ calls: 1, recordings: 1, left: 0, failed: 1 });
    expect(await left('e-')).toEqual(['e-1']);
    expect((await forget({ user: 'emil' })).result.calls).toBe(1);
  });

  it('goes through more calls than one answer of the database holds', async () => {
    await insert(
      Array.from({ length: 1_203 }, (_, i) => ({
        id: `f-${i}`,
        user: 'fritz',
        ended: i === 700 ? null : 120,
      })),
    );
    const { result } = await forget({ user: 'fritz' });
    expect(result).toEqual({ calls: 1_202, recordings: 1_202, left: 1, failed: 0 });
    expect(await left('f-')).toEqual(['f-700']);
  });

  it('says when the database does not answer', async () => {
    const forgetting = forgetCaller({
      database: { url: 'http://127.0.0.1:9', key: 'sb_secret_x' },
      caller: { user: 'x' },
      deleteObject: async () => {},
      apply: true,
      now,
      print: () => {},
      signal: never,
    });
    await expect(forgetting).rejects.toMatchObject({ name: 'ForgetError' });
  });
});

describe('the commands of the wrangler that is pinned', () => {
  /** Cloudflare's API, as far as the commands use it. */
  let api: Server;
  const seen: { method: string; path: string; body: unknown }[] = [];
  let rules: unknown[] = [];
  const wrangler = () =>
    wranglerIn(root, {
      ...process.env,
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${(api.address() as AddressInfo).port}/client/v4`,
      CLOUDFLARE_API_TOKEN: 'token',
      CLOUDFLARE_ACCOUNT_ID: 'account',
    });

  const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
    let text = '';
    for await (const piece of request) text += String(piece);
    return text === '' ? null : JSON.parse(text);
  };

  beforeAll(async () => {
    api = createServer(async (request, response) => {
      const { method = '', url = '' } = request;
      const body = await bodyOf(request);
      seen.push({ method, path: url.replace('/client/v4/accounts/account', ''), body });
      if (method === 'PUT') ({ rules } = body as { rules: unknown[] });
      const result = url.endsWith('/lifecycle') ? { rules } : {};
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ success: true, errors: [], messages: [], result }));
    });
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => new Promise((resolve) => api.close(resolve)));

  it('set the rule, once, however often', async () => {
    const others = { id: 'default', enabled: true, conditions: { prefix: '' } };
    rules = [others];
    for (const args of [[], ['--delete', '60']]) {
      const lines: string[] = [];
      const set = await setRule(
        wrangler(),
        'call-recordings',
        parseLifecycleArguments(args),
        (line) => lines.push(line),
        never,
      );
      expect(set, lines.join('\n')).toBe(true);
    }
    const day = 86_400;
    expect(rules).toEqual([
      others,
      {
        id: 'recordings',
        enabled: true,
        conditions: { prefix: 'recordings/' },
        deleteObjectsTransition: { condition: { type: 'Age', maxAge: 60 * day } },
        storageClassTransitions: [
          { condition: { type: 'Age', maxAge: 30 * day }, storageClass: 'InfrequentAccess' },
        ],
        abortMultipartUploadsTransition: { condition: { type: 'Age', maxAge: 7 * day } },
      },
    ]);
  }, 60_000);

  it('delete an object from the bucket, not from this machine', async () => {
    seen.length = 0;
    const key = 'call-recordings/recordings/2026/11/20/a-1.wav';
    const { code, output } = await wrangler()(['r2', 'object', 'delete', key, '--remote', '--force'], never);
    expect(code, output).toBe(0);
    expect(seen).toEqual([
      expect.objectContaining({
        method: 'DELETE',
        path: expect.stringMatching(/^\/r2\/buckets\/call-recordings\/objects\/recordings(\/|%2F)2026/),
      }),
    ]);
  }, 60_000);
});
