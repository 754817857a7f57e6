import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedSupabase, startSupabase } from '../../../embedded/supabase/supabase.ts';
import { noCounts } from '../../../src/call/call-counts.ts';
import type { CallRecords, EndedCall, RecordedTurn, StartedCall } from '../../../src/records/call-records.ts';
import { createSupabaseCallRecords } from '../../../src/records/supabase-call-records.ts';

const never = new AbortController().signal;
const start = Date.UTC(2026, 10, 21, 9, 30, 0, 250);

function startedCall(callId: string): StartedCall {
  return {
    callId,
    userId: 'user-1',
    campaignId: 'campaign-1',
    phoneNumber: '+15550100',
    startTime: start,
    metadata: { phoneNumber: '+15550100', tags: ['a', 1.5, null] },
  };
}

const turns: readonly RecordedTurn[] = [
  {
    position: 0,
    role: 'agent',
    text: 'Good morning.',
    startMs: 0,
    endMs: 900,
    interrupted: false,
    latency: null,
  },
  {
    position: 1,
    role: 'caller',
    text: 'When are you open?',
    startMs: 1200,
    endMs: 2400,
    interrupted: false,
    latency: null,
  },
  {
    position: 2,
    role: 'agent',
    text: 'From nine to',
    startMs: 3000,
    endMs: 4100,
    interrupted: true,
    latency: {
      endpointWaitMs: 320,
      processingMs: 12.5,
      providerMs: 260,
      totalMs: 592.5,
      moments: { decided: 320, firstToken: 450, firstSent: 592.5 },
      providers: ['openai/gpt-6-luna'],
    },
  },
];

function endedCall(callId: string): EndedCall {
  return {
    ...startedCall(callId),
    status: 'ended',
    endReason: 'hangup',
    endTime: start + 12_345,
    recording: `recordings/2026/11/21/${callId}.wav`,
    turns,
    failures: [
      { position: 0, at: start + 3_000, code: 'timeout', provider: 'openai/gpt-6-luna', message: 'slow' },
    ],
    usage: [{ provider: 'openai/gpt-transcribe', audioSeconds: 1.2 }],
    transfers: [
      {
        to: '+49…45',
        at: start + 5_000,
        ringingAt: start + 6_000,
        endedAt: start + 9_000,
        outcome: 'busy',
        cause: 'USER_BUSY',
        sipStatus: 486,
      },
    ],
    counts: { ...noCounts, interruptions: 1, repeats: 2 },
  };
}

let supabase: EmbeddedSupabase;
let records: CallRecords;

beforeAll(async () => {
  supabase = await startSupabase();
  records = createSupabaseCallRecords({
    url: supabase.url,
    key: supabase.serviceRoleKey,
    timeoutMs: 10_000,
  });
});
afterAll(() => supabase?.close());

const service = () => createClient(supabase.url, supabase.serviceRoleKey);

/** The row as a dashboard would read it. */
async function row(callId: string) {
  const { data, error } = await service()
    .from('call_logs')
    .select('*, call_turns(*), call_failures(*)')
    .eq('call_id', callId)
    .order('position', { referencedTable: 'call_turns' })
    .single();
  expect(error).toBeNull();
  return data;
}

describe('the life of a call', () => {
  it('stands in call_logs from start to end, complete', async () => {
    await records.started(startedCall('life'), never);
    expect(await row('life')).toMatchObject({
      user_id: 'user-1',
      campaign_id: 'campaign-1',
      phone_number: '+15550100',
      status: 'active',
      end_time: null,
      duration_seconds: null,
      transcript: [],
      metadata: { phoneNumber: '+15550100', tags: ['a', 1.5, null] },
      transfers: [],
    });

    await records.conversation('life', turns.slice(0, 2), never);
    expect((await row('life')).call_turns).toMatchObject([
      { position: 0, role: 'agent', text: 'Good morning.', start_ms: 0, end_ms: 900 },
      { position: 1, role: 'caller', text: 'When are you open?', start_ms: 1200, end_ms: 2400 },
    ]);

    await records.ended(endedCall('life'), never);
    const ended = await row('life');
    expect(ended).toMatchObject({
      status: 'ended',
      end_reason: 'hangup',
      recording: 'recordings/2026/11/21/life.wav',
      transcript: turns,
      usage: [{ provider: 'openai/gpt-transcribe', audioSeconds: 1.2 }],
      transfers: [
        {
          to: '+49…45',
          at: '2026-11-21T09:30:05.250Z',
          ringingAt: '2026-11-21T09:30:06.250Z',
          endedAt: '2026-11-21T09:30:09.250Z',
          outcome: 'busy',
          cause: 'USER_BUSY',
          sipStatus: 486,
        },
      ],
      call_failures: [
        {
          position: 0,
          at: '2026-11-21T09:30:03.25+00:00',
          code: 'timeout',
          provider: 'openai/gpt-6-luna',
          message: 'slow',
        },
      ],
    });
    expect(ended.call_turns).toHaveLength(3);
    expect(ended.call_turns[2]).toMatchObject({ interrupted: true, latency: turns[2]?.latency });
  });

  it('shows numbers and times in the form of a hosted project', async () => {
    await records.ended(endedCall('forms'), never);
    expect(await row('forms')).toMatchObject({
      start_time: '2026-11-21T09:30:00.25+00:00',
      end_time: '2026-11-21T09:30:12.595+00:00',
      duration_seconds: 12.345,
    });
  });

  it('takes what a hostile client can put into its metadata and its speech', async () => {
    const hostile = "\u0000\ud800'); drop table call_logs; --";
    let deep: unknown = hostile;
    for (let level = 0; level < 3_000; level += 1) deep = [deep];
    const call = { ...endedCall('hostile'), metadata: { [hostile]: hostile, deep } };
    await records.ended({ ...call, turns: [{ ...turns[0]!, text: hostile.repeat(10_000) }] }, never);
    const { metadata, transcript } = await row('hostile');
    expect(metadata).toMatchObject({ [hostile.replace('\u0000\ud800', '\uFFFD\uFFFD')]: expect.any(String) });
    expect(transcript[0].text).toHaveLength(8_000);
  });
});

describe('repeated and reordered deliveries', () => {
  it('changes nothing when each is repeated', async () => {
    await records.started(startedCall('repeat'), never);
    await records.conversation('repeat', turns.slice(0, 2), never);
    const active = await row('repeat');
    await records.started({ ...startedCall('repeat'), userId: 'someone-else' }, never);
    await records.conversation('repeat', turns.slice(0, 2), never);
    expect(await row('repeat')).toEqual(active);

    await records.ended(endedCall('repeat'), never);
    const ended = await row('repeat');
    await records.ended(endedCall('repeat'), never);
    await records.ended({ ...endedCall('repeat'), status: 'failed', turns: [], failures: [] }, never);
    expect(await row('repeat')).toEqual(ended);
  });

  it('writes the whole row where the end comes first, and a late start does not re-open it', async () => {
    await records.ended(endedCall('end-first'), never);
    const ended = await row('end-first');
    expect(ended).toMatchObject({ status: 'ended', user_id: 'user-1', transcript: turns });
    await records.started(startedCall('end-first'), never);
    await records.conversation(
      'end-first',
      [
        { ...turns[0]!, text: 'late' },
        { ...turns[0]!, position: 9 },
      ],
      never,
    );
    expect(await row('end-first')).toEqual(ended);
  });

  it('asks for a repeat of a conversation that comes before its call', async () => {
    await expect(records.conversation('unstarted', turns, never)).rejects.toMatchObject({
      name: 'RecordsError',
      retryable: true,
      code: '23503',
    });
    await records.started(startedCall('unstarted'), never);
    await records.conversation('unstarted', turns, never);
    expect((await row('unstarted')).call_turns).toHaveLength(3);
  });

  it('replaces a turn by its corrected form, and drops at the end what is no turn after all', async () => {
    await records.started(startedCall('corrected'), never);
    await records.conversation('corrected', [...turns, { ...turns[0]!, position: 3 }], never);
    await records.conversation('corrected', [{ ...turns[2]!, text: 'From nine' }], never);
    expect((await row('corrected')).call_turns[2].text).toBe('From nine');
    await records.ended(endedCall('corrected'), never);
    const { call_turns, transcript } = await row('corrected');
    expect(transcript).toEqual(turns);
    expect(call_turns.map((turn: RecordedTurn) => turn.position)).toEqual([0, 1, 2]);
  });

  it('leaves the call as it was where a part of its end cannot be written', async () => {
    await records.started(startedCall('atomic'), never);
    const before = await row('atomic');
    const broken = { ...endedCall('atomic'), failures: [{ ...endedCall('').failures[0]!, position: -1 }] };
    await expect(records.ended(broken, never)).rejects.toMatchObject({ retryable: false, code: '23514' });
    expect(await row('atomic')).toEqual(before);
  });

  it('ends no call before it started, though a clock went backwards', async () => {
    await records.ended({ ...endedCall('backwards'), endTime: start - 5_000 }, never);
    expect(await row('backwards')).toMatchObject({ duration_seconds: 0 });
  });
});

describe('who may', () => {
  it('keeps the publishable key from reading, writing and calling the functions', async () => {
    await records.started(startedCall('private'), never);
    const anonymous = createClient(supabase.url, supabase.publishableKey);
    const values = { call_id: 'intruder', user_id: 'x', start_time: new Date(start).toISOString() };
    const started = { call: { ...startedCall('intruder'), startTime: values.start_time } };
    const answers = await Promise.all([
      anonymous.from('call_logs').select(),
      anonymous.from('call_turns').select(),
      anonymous.from('call_failures').select(),
      anonymous.from('call_logs').insert(values),
      anonymous.from('call_logs').update({ status: 'failed' }).eq('call_id', 'private'),
      anonymous.from('call_logs').delete().eq('call_id', 'private'),
      anonymous.rpc('call_started', started),
      anonymous.rpc('call_ended', { call: { ...endedCall('intruder'), ...started.call } }),
      anonymous.rpc('call_conversation', { of_call: 'private', turns: [] }),
      anonymous.rpc('write_call_turns', { of_call: 'private', turns: [] }),
    ]);
    for (const { data, error, status } of answers) {
      expect({ data, code: error?.code, status }).toEqual({ data: null, code: '42501', status: 401 });
    }
    expect(await row('private')).toMatchObject({ status: 'active' });
  });

  it('would keep it out by row-level security alone as well', async () => {
    await supabase.query('grant select on public.call_logs to anon');
    try {
      const { data, error } = await createClient(supabase.url, supabase.publishableKey)
        .from('call_logs')
        .select();
      expect({ data, error }).toEqual({ data: [], error: null });
    } finally {
      await supabase.query('revoke select on public.call_logs from anon');
    }
  });

  it('lets PUBLIC execute none of its functions', async () => {
    const open = await supabase.query(
      `select proname from pg_proc
       where pronamespace = 'public'::regnamespace and has_function_privilege('anon', oid, 'execute')`,
    );
    expect(open).toEqual([]);
  });

  it.each(['sb_secret_wrongwrongwrongwrong_00000000', 'no key at all'])(
    'refuses the key "%s" for good',
    async (key) => {
      const wrong = createSupabaseCallRecords({ url: supabase.url, key, timeoutMs: 10_000 });
      await expect(wrong.started(startedCall('wrong-key'), never)).rejects.toMatchObject({
        name: 'RecordsError',
        retryable: false,
      });
    },
  );

  it('refuses a token signed with the secret that lite publishes as its default', async () => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const inOneHour = Math.floor(Date.now() / 1_000) + 3_600;
    const unsigned = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ role: 'service_role', exp: inOneHour })}`;
    const signature = createHmac('sha256', 'unsafe-secret-change-me').update(unsigned).digest('base64url');
    const token = `${unsigned}.${signature}`;
    const response = await fetch(`${supabase.url}/rest/v1/call_logs`, {
      headers: { apikey: supabase.publishableKey, authorization: `Bearer ${token}` },
    });
    expect(response.status).toBe(401);
  });
});

describe('answers of the REST interface', () => {
  it('names a failed CHECK as a hosted project does', async () => {
    const values = { call_id: 'a/b', user_id: 'x', start_time: new Date(start).toISOString() };
    const { error, status } = await service().from('call_logs').insert(values);
    expect({ status, code: error?.code, message: error?.message }).toEqual({
      status: 400,
      code: '23514',
      message: 'new row for relation "call_logs" violates check constraint "call_logs_call_id_form"',
    });
  });

  it.each([
    [
      'a status that is none',
      "insert into call_logs (call_id, user_id, start_time, status) values ('k1', 'u', now(), 'open')",
    ],
    [
      'an end without a reason',
      "insert into call_logs (call_id, user_id, start_time, status, end_time) values ('k2', 'u', now(), 'ended', now())",
    ],
    [
      'an active call that has ended',
      "insert into call_logs (call_id, user_id, start_time, end_time, end_reason) values ('k3', 'u', now(), now(), 'x')",
    ],
    ['an id of dots', "insert into call_logs (call_id, user_id, start_time) values ('..', 'u', now())"],
  ])('refuses %s', async (_what, sql) => {
    await expect(supabase.query(sql)).rejects.toMatchObject({ code: '23514' });
  });

  it('answers a missing function with 404, for good', async () => {
    const { error, status } = await service().rpc('call_forgotten', { call: {} });
    expect({ status, code: error?.code }).toEqual({ status: 404, code: 'PGRST202' });
  });

  it('uses the indexes for the questions of a dashboard', async () => {
    const plan = async (sql: string) => JSON.stringify(await supabase.query(`explain ${sql}`));
    await supabase.query('set enable_seqscan = off');
    try {
      expect(
        await plan("select * from call_logs where user_id = 'u' order by start_time desc limit 20"),
      ).toContain('call_logs_by_user');
      expect(
        await plan("select * from call_logs where campaign_id = 'c' order by start_time desc limit 20"),
      ).toContain('call_logs_by_campaign');
    } finally {
      await supabase.query('reset enable_seqscan');
    }
  });

  it('refuses a body beyond its bound', async () => {
    const response = await fetch(`${supabase.url}/rest/v1/rpc/call_started`, {
      method: 'POST',
      headers: { apikey: supabase.serviceRoleKey, 'content-type': 'application/json' },
      body: 'x'.repeat(16 * 1024 * 1024 + 1),
    });
    expect(response.status).toBe(413);
  });

  it.each(['/', '/_system/config', '/_system/introspect', '/storage/v1/bucket'])(
    'has no route %s',
    async (path) => {
      expect((await fetch(supabase.url + path)).status).toBe(404);
    },
  );
});

describe('a database that does not answer', () => {
  it('asks for a repeat where the server is down', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const nobody = createSupabaseCallRecords({
      url: `http://127.0.0.1:${port}`,
      key: supabase.serviceRoleKey,
      timeoutMs: 10_000,
    });
    await expect(nobody.started(startedCall('down'), never)).rejects.toMatchObject({
      name: 'RecordsError',
      retryable: true,
      code: null,
    });
  });

  it('asks for a repeat after the time allowed, and stops at once when told to', async () => {
    let asked = () => {};
    const server = createServer(() => asked());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const hasty = createSupabaseCallRecords({ url, key: supabase.serviceRoleKey, timeoutMs: 50 });
      await expect(hasty.started(startedCall('slow'), never)).rejects.toMatchObject({
        retryable: true,
        message: 'call_started: no answer within 50 ms',
      });

      const patient = createSupabaseCallRecords({ url, key: supabase.serviceRoleKey, timeoutMs: 600_000 });
      const abort = new AbortController();
      asked = () => abort.abort(new Error('the call is moving'));
      await expect(patient.ended(endedCall('slow'), abort.signal)).rejects.toMatchObject({
        retryable: true,
        message: 'call_ended: aborted',
        cause: { message: 'the call is moving' },
      });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('sends nothing where it is told to stop beforehand', async () => {
    await expect(records.started(startedCall('never'), AbortSignal.abort())).rejects.toMatchObject({
      retryable: true,
    });
    expect(await supabase.query("select 1 from call_logs where call_id = 'never'")).toEqual([]);
  });
});
