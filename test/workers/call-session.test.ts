import { listDurableObjectIds, reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseWav } from '../../src/audio/wav.ts';
import { loadConfig } from '../../src/config.ts';
import type { ClientMessage } from '../../src/dialects/native-messages.ts';
import { metricsShard } from '../../src/metrics/read.ts';
import { bindings, database, fetchWorker, scriptVendor, TestClient } from './support.ts';

beforeAll(() => reset());
afterEach(() => vi.restoreAllMocks());

let calls = 0;
const nextId = () => `test-call-${++calls}`;
const startCall = (
  callId: string,
  more: Partial<ClientMessage & { type: 'start_call' }> = {},
): ClientMessage => ({
  type: 'start_call',
  callId,
  userId: 'user-1',
  metadata: { phoneNumber: '+15550100', campaignId: 'campaign-1' },
  ...more,
});

/** The recording's key is of today. */
const keyOf = (callId: string) =>
  `recordings/${new Date().toISOString().slice(0, 10).replaceAll('-', '/')}/${callId}.wav`;

async function rowOf(callId: string) {
  const { data, error } = await database().from('call_logs').select('*').eq('call_id', callId).maybeSingle();
  if (error !== null) throw error;
  return data as Record<string, unknown> | null;
}

/** The row once the call's deliveries have arrived. */
async function endedRowOf(callId: string) {
  return await vi.waitFor(
    async () => {
      const row = await rowOf(callId);
      expect(row?.status).not.toBe('active');
      expect(row).not.toBeNull();
      return row!;
    },
    { timeout: 10_000, interval: 50 },
  );
}

/** How the metrics count a call: by its start, for they have no id. The sums are other files' as well, whose deliveries may come late. */
async function countedOf(callId: string) {
  const startedAt = Date.parse(String((await rowOf(callId))?.start_time));
  const shards = loadConfig(bindings).METRICS_SHARDS;
  const counted = await Promise.all(
    Array.from({ length: shards }, (_, shard) =>
      runInDurableObject(metricsShard(bindings, shard, shards), (__, state) =>
        state.storage.sql
          .exec(
            `SELECT 0 AS over FROM active WHERE started_at = ?1
             UNION ALL SELECT 1 FROM ended WHERE started_at = ?1`,
            startedAt,
          )
          .toArray(),
      ),
    ),
  );
  return counted.flat();
}

describe('a call through the object', () => {
  it('#18 cost unknown per call: greets, answers, and leaves a row with its usage, a transcript, a recording and nothing else', async () => {
    // No other test's sentence: one that this isolate has said before may be ready audio, which costs nothing.
    const answer = 'We close at six on weekdays.';
    const vendor = scriptVendor({ transcripts: ['When do you close?'], answer });
    const callId = nextId();
    const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
    await client.untilStatus('Connected: send start_call');
    expect(client.messages[0]).toMatchObject({ callId, resumeToken: expect.stringMatching(/^.{20,}$/) });

    client.send(startCall(callId, { features: ['transcript', 'latency', 'mark'] }));
    await client.untilStatus('Listening');
    expect(client.ofType('audio_response')[0]?.text).toBe('Hello, how can I help you?');
    await vi.waitFor(async () => expect((await rowOf(callId))?.status).toBe('active'), { timeout: 5_000 });
    const during = await (await fetchWorker('/health')).json<{ activeCalls: number }>();
    expect(during.activeCalls).toBeGreaterThanOrEqual(1);
    expect(await countedOf(callId)).toEqual([{ over: 0 }]);

    client.audio(800, true);
    client.audio(700, false);
    await client.until((c) => c.ofType('latency').length === 1, 'the answer');
    await client.until(
      (c) => c.messages.filter((m) => m.type === 'status' && m.message === 'Listening').length === 2,
      'listening again',
    );
    expect(client.messages.filter((m) => m.type === 'status').map((m) => m.status)).toEqual([
      'ready',
      'ready',
      'ready',
      'processing',
      'ready',
    ]);
    expect(client.ofType('transcript').filter((m) => m.final)).toEqual([
      { type: 'transcript', role: 'agent', text: 'Hello, how can I help you?', final: true },
      { type: 'transcript', role: 'caller', text: 'When do you close?', final: true },
      { type: 'transcript', role: 'agent', text: answer, final: true },
    ]);
    const latency = client.ofType('latency')[0]!;
    expect(latency.endpointWaitMs + latency.processingMs + latency.providerMs).toBe(latency.totalMs);
    expect(vendor.chats[0]?.at(-1)).toEqual({ role: 'user', content: 'When do you close?' });

    client.send({ type: 'end_call' });
    await client.until((c) => c.closed !== null, 'the close');
    expect(client.closed).toEqual({ code: 1000, reason: 'hangup' });

    const row = await endedRowOf(callId);
    expect(row).toMatchObject({
      user_id: 'user-1',
      campaign_id: 'campaign-1',
      phone_number: '+15550100',
      status: 'ended',
      end_reason: 'hangup',
      recording: keyOf(callId),
    });
    expect(
      (row.transcript as { role: string; text: string }[]).map((turn) => `${turn.role}: ${turn.text}`),
    ).toEqual(['agent: Hello, how can I help you?', 'caller: When do you close?', `agent: ${answer}`]);

    expect((row.transcript as { latency: unknown }[]).at(-1)?.latency).toMatchObject({
      totalMs: latency.totalMs,
      moments: { decided: latency.endpointWaitMs, firstSent: latency.totalMs },
      providers: ['openai/gpt-transcribe', 'openai/gpt-6-luna', 'openai/gpt-4o-mini-tts'],
    });
    expect(row.counts).toMatchObject({ answered: 1, interruptions: 0, failures: 0 });
    const usage = row.usage as { provider: string }[];
    expect(usage.map((entry) => Object.keys(entry).sort())).toEqual(
      expect.arrayContaining([
        ['audioSeconds', 'provider'],
        ['inputTokens', 'outputTokens', 'provider'],
        ['characters', 'provider'],
      ]),
    );
    const costed = await vi.waitFor(
      async () => {
        const found = await rowOf(callId);
        expect(found?.cost_unpriced).toEqual([]);
        return found!;
      },
      { timeout: 10_000, interval: 100 },
    );
    const turns = costed.usage_by_turn as { turn: number | null; provider: string; cost: number }[];
    // The greeting is turn 0, what the caller asked and its answer turn 1.
    expect(turns.map(({ turn, provider }) => `${turn} ${provider}`)).toEqual(
      expect.arrayContaining(['1 openai/gpt-transcribe', '1 openai/gpt-6-luna', '1 openai/gpt-4o-mini-tts']),
    );
    // 20 tokens at $0.10 a million and 7 at $0.50, to a whole micro-dollar.
    expect(turns.find(({ provider }) => provider === 'openai/gpt-6-luna')?.cost).toBe(0.000006);
    const micro = (dollars: number) => Math.round(dollars * 1_000_000);
    expect(micro(Number(costed.cost))).toBe(turns.reduce((sum, { cost }) => sum + micro(cost), 0));

    const recording = await vi.waitFor(async () => {
      const object = await bindings.RECORDINGS.get(keyOf(callId));
      expect(object).not.toBeNull();
      return parseWav(new Uint8Array(await object!.arrayBuffer()));
    });
    expect(recording).toMatchObject({ sampleRate: 8000, channels: 1, encoding: 'pcm16' });
    const seconds = recording.data.length / 2 / 8000;
    expect(seconds).toBeGreaterThanOrEqual(Number(row.duration_seconds) - 0.1);

    // The object keeps who holds the id, and nothing of the call.
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
    await vi.waitFor(async () => {
      const tables = await runInDurableObject(stub, (_, state) =>
        state.storage.sql
          .exec(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('facts', 'audio', 'outbox')",
          )
          .toArray(),
      );
      expect(tables).toEqual([]);
    });
    expect(await countedOf(callId)).toEqual([{ over: 1 }]);
    const after = await (await fetchWorker('/metrics')).json<Record<string, number>>();
    expect(after.totalCalls).toBeGreaterThanOrEqual(1);
    expect(after.averageLatency).toBeGreaterThan(0);
  });

  it('mints an id for a client that brings none, and names row and recording after start_call', async () => {
    scriptVendor();
    const callId = nextId();
    const client = await TestClient.connect();
    await client.untilStatus('Connected: send start_call');
    expect(client.ofType('status')[0]).toMatchObject({ callId: expect.stringMatching(/^[0-9a-f]{64}$/) });
    client.send(startCall(callId));
    await client.untilStatus('Listening');
    client.send({ type: 'end_call' });
    const row = await endedRowOf(callId);
    expect(row.recording).toBe(keyOf(callId));
  });

  it('answers each bad message with its error and goes on', async () => {
    scriptVendor();
    const callId = nextId();
    const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
    client.send('what?');
    client.send(new Uint8Array(160));
    client.send(startCall(callId));
    client.send(startCall(callId));
    client.send({ type: 'audio', data: '!!' });
    client.send(new Uint8Array(160));
    client.send('x'.repeat(100_000));
    await client.untilStatus('Listening');
    expect(client.ofType('error').map((error) => error.code)).toEqual([
      'BAD_MESSAGE',
      'NOT_STARTED',
      'ALREADY_STARTED',
      'BAD_AUDIO',
      'BAD_AUDIO',
      'TOO_LARGE',
    ]);
    client.send({ type: 'end_call' });
    expect(await endedRowOf(callId)).toMatchObject({ status: 'ended', end_reason: 'hangup' });
  });

  it('stores what an outage held up, once it is over', async () => {
    scriptVendor();
    const callId = nextId();
    const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
    client.send(startCall(callId));
    await client.untilStatus('Listening');
    const fetchNow = globalThis.fetch;
    const outage = vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const url = new URL(new Request(input, init).url);
      if (bindings.SUPABASE_URL.includes(url.host)) throw new TypeError('the database is down');
      return fetchNow(input, init);
    });
    client.send({ type: 'end_call' });
    await client.until((c) => c.closed !== null, 'the close');
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
    await vi.waitFor(async () => {
      const waiting = await runInDurableObject(stub, (_, state) =>
        state.storage.sql.exec('SELECT delivery, attempts FROM outbox WHERE attempts > 0').toArray(),
      );
      expect(waiting.map((row) => row.delivery)).toEqual(['log ended', 'log cost']);
    });
    outage.mockRestore();
    await vi.waitFor(
      async () => {
        await runDurableObjectAlarm(stub);
        expect((await rowOf(callId))?.status).toBe('ended');
      },
      { timeout: 10_000, interval: 200 },
    );
  });
});

describe('a call id', () => {
  it('of a live call is refused to another client, by whichever way it comes', async () => {
    scriptVendor();
    const callId = nextId();
    const first = await TestClient.connect();
    first.send(startCall(callId));
    await first.untilStatus('The call has started');

    const second = await TestClient.connect();
    second.send(startCall(callId));
    await second.until((c) => c.closed !== null, 'the refusal');
    expect(second.closed?.code).toBe(4409);
    expect(second.ofType('error').at(-1)?.code).toBe('CALL_ID_IN_USE');

    const third = await TestClient.connect(`/ws/call-session?callId=${callId}`);
    await third.until((c) => c.closed !== null, 'the refusal');
    expect(third.ofType('error').at(-1)?.code).toBe('CALL_ID_IN_USE');

    first.send({ type: 'end_call' });
    expect(await endedRowOf(callId)).toMatchObject({ status: 'ended' });
    // A finished call's record is not overwritten either.
    const fourth = await TestClient.connect();
    fourth.send(startCall(callId));
    await fourth.until((c) => c.closed !== null, 'the refusal');
    expect(fourth.closed?.code).toBe(4409);
  });

  it('must be the same in URL and start_call', async () => {
    scriptVendor();
    const client = await TestClient.connect('/ws/call-session', { 'X-Call-Id': nextId() });
    client.send(startCall('another'));
    await client.until((c) => c.closed !== null, 'the refusal');
    expect(client.ofType('error').map((error) => error.code)).toEqual(['CALL_ID_MISMATCH']);
    expect(client.closed?.code).toBe(4403);
  });

  it('that never started a call is not remembered', async () => {
    scriptVendor();
    const callId = nextId();
    const before = (await listDurableObjectIds(bindings.CALL_SESSION)).length;
    const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
    await client.untilStatus('Connected: send start_call');
    client.close();
    await client.until((c) => c.closed !== null, 'the close');
    const again = await TestClient.connect(`/ws/call-session?callId=${callId}`);
    await again.untilStatus('Connected: send start_call');
    again.close();
    expect((await listDurableObjectIds(bindings.CALL_SESSION)).length - before).toBeLessThanOrEqual(1);
  });
});
