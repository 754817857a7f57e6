import { runInDurableObject } from 'cloudflare:test';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { metricsShard } from '../../src/metrics/read.ts';
import { bindings, database, fetchWorker, scriptVendor, TestClient } from './support.ts';

afterEach(() => vi.restoreAllMocks());

const name = 'Zaphodine';
const number = '+4917012345678';
/** An id that is a number: nothing keeps a client from that. */
const callId = '4917012345678';
const userId = 'zaphodine@example.com';
const vendorToken = 'sk-canary-8f2e';
const firstWords = `I am ${name} and my card is four one one one`;
const lastWords = '1111 1111 1111, and write to zaphodine at example dot com';

/** Whatever must be found in no line. */
const canaries = [
  name,
  'beeblebrox',
  number.slice(1),
  '17012345678',
  userId,
  'example.com',
  'four one one',
  '1111',
  'example dot com',
  vendorToken,
  bindings.SUPABASE_SERVICE_ROLE_KEY,
];

/** Everything that the service logs from now on. */
function logLines(): string[] {
  const lines: string[] = [];
  for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
    vi.spyOn(console, method).mockImplementation((...values: unknown[]) => void lines.push(values.join(' ')));
  }
  return lines;
}

/** Answers that quote what they were sent, in place of the vendor's and the database's own, while `failing` says so. */
function quotingFailures(failing: { chat: boolean; ended: boolean }): void {
  const scripted = vi.mocked(globalThis.fetch).getMockImplementation()!;
  vi.mocked(globalThis.fetch).mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    const { pathname } = new URL(request.url);
    const quote = `${name} Beeblebrox of ${number} said "${firstWords}" with Bearer ${vendorToken}`;
    if (failing.chat && pathname.endsWith('/chat/completions')) {
      const error = { message: `Invalid content: ${quote}; 4111 1111 1111 1111`, code: 'invalid_value' };
      return Response.json({ error }, { status: 400 });
    }
    if (failing.ended && pathname.endsWith('/rpc/call_ended')) {
      return Response.json({ code: 'XX000', message: `Failing row contains ${quote}` }, { status: 503 });
    }
    return scripted(request);
  });
}

async function newCampaign(): Promise<string> {
  const id = `campaign-${crypto.randomUUID()}`;
  const users = [{ id: userId, auth_id: null }];
  expect((await database().from('users').upsert(users)).error).toBeNull();
  const agent = { greeting: '', recording: false, redaction: ['card', 'email', 'phone', 'identity'] };
  const campaign = { id, user_id: userId, name: 'A', agent };
  expect((await database().from('campaigns').insert(campaign)).error).toBeNull();
  return id;
}

async function storedTurns(): Promise<string[]> {
  const { data } = await database()
    .from('call_turns')
    .select('role, text')
    .eq('call_id', callId)
    .order('position');
  return data!.map(({ role, text }) => `${role}: ${text}`);
}

describe('a call with personal data in it', () => {
  it('leaves none in any log line or metric, and in the database what its agent lets it', async () => {
    const lines = logLines();
    const vendor = scriptVendor({ transcripts: [firstWords, lastWords], answer: `Go on, ${name}.` });
    const failing = { chat: false, ended: true };
    quotingFailures(failing);
    const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
    await client.untilStatus('Connected: send start_call');
    const resumeToken = String((client.messages[0] as { resumeToken?: string }).resumeToken);
    client.send({
      type: 'start_call',
      callId,
      userId,
      metadata: { phoneNumber: number, campaignId: await newCampaign(), name: `${name} Beeblebrox` },
      features: ['transcript'],
    });
    await client.untilStatus('Listening');

    client.audio(800, true);
    client.audio(700, false);
    const spoken = (text: string) => (c: TestClient) =>
      c.ofType('transcript').some((m) => m.final && m.text === text);
    await client.until(spoken(`Go on, ${name}.`), 'the answer');
    expect(vendor.chats.at(-1)?.at(-1)?.content).toBe(firstWords);

    failing.chat = true;
    client.audio(800, true);
    client.audio(700, false);
    await client.until(spoken(lastWords), 'the rest of the number');
    // The transcript of a call in progress: the first half of the number has waited for the second.
    await vi.waitFor(
      async () => expect((await storedTurns())[0]).toBe(`caller: I am ${name} and my card is [card]`),
      { timeout: 10_000, interval: 50 },
    );
    await client.until((c) => c.ofType('error').length > 0, 'the failure of the model');
    client.send({ type: 'end_call' });
    await client.until((c) => c.closed !== null, 'the close');
    await vi.waitFor(() => expect(lines.join('\n')).toContain('delivery failed'), { timeout: 10_000 });
    failing.ended = false;
    const row = await vi.waitFor(
      async () => {
        const { data } = await database().from('call_logs').select('*').eq('call_id', callId).single();
        expect(data.status).toBe('ended');
        return data;
      },
      { timeout: 20_000, interval: 100 },
    );

    expect((await storedTurns()).slice(0, 3)).toEqual([
      `caller: I am ${name} and my card is [card]`,
      `agent: Go on, ${name}.`,
      'caller: [card], and write to [email]',
    ]);
    expect(JSON.stringify(row.transcript)).not.toMatch(/four one|1111|example dot com/);
    const { data: failures } = await database().from('call_failures').select('message').eq('call_id', callId);
    expect(failures!.length).toBeGreaterThan(0);
    expect(JSON.stringify(failures)).not.toMatch(/four one|1111|17012345678/);
    expect(row.phone_number).toBe(number);

    const logged = lines.join('\n');
    for (const message of ['call started', 'failure in a call', 'delivery failed', 'call ended']) {
      expect(logged).toContain(`"message":"${message}"`);
    }
    const started = lines.map((line) => JSON.parse(line)).find((line) => line.message === 'call started');
    expect(started.personal).toEqual(['leg', 'callId', 'by']);
    expect(started.callId).toMatch(/^…78~[0-9a-f]{8}$/);
    // All of the call's lines are found by what stands there for its id.
    const ended = lines.map((line) => JSON.parse(line)).find((line) => line.message === 'call ended');
    expect(ended.leg).toBe(started.callId);
    expect(lines.find((line) => line.includes('delivery failed'))).toContain('503');

    const metrics = [
      await (await fetchWorker('/metrics')).text(),
      await (await fetchWorker('/metrics', { headers: { Accept: 'text/plain' } })).text(),
      await (await fetchWorker('/health')).text(),
    ];
    const shards = loadConfig(bindings).METRICS_SHARDS;
    for (let shard = 0; shard < shards; shard++) {
      await runInDurableObject(metricsShard(bindings, shard, shards), (_, { storage: { sql } }) => {
        for (const table of ['sums', 'recent', 'active', 'ended', 'waiting']) {
          metrics.push(JSON.stringify(sql.exec(`SELECT * FROM ${table}`).toArray()));
        }
      });
    }
    // An average may have any digits behind its point.
    const counted = metrics.join('\n').toLowerCase().replace(/\.\d+/g, '');
    for (const canary of [...canaries, resumeToken]) {
      expect(logged.toLowerCase()).not.toContain(canary.toLowerCase());
      expect(counted).not.toContain(canary.toLowerCase());
    }
  });
});
