import { reset, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ClientMessage } from '../../src/dialects/native-messages.ts';
import { bindings, database, scriptVendor, TestClient } from './support.ts';

beforeAll(() => reset());
afterEach(() => vi.restoreAllMocks());

const start = (callId: string, resumeToken?: string): ClientMessage => ({
  type: 'start_call',
  callId,
  userId: 'user-1',
  metadata: {},
  features: ['transcript', 'transfer'],
  ...(resumeToken === undefined ? {} : { resumeToken }),
});

async function rowOf(callId: string) {
  return await vi.waitFor(
    async () => {
      const { data } = await database().from('call_logs').select('*').eq('call_id', callId).maybeSingle();
      expect(data?.end_reason).toBeTruthy();
      return data as Record<string, unknown> & { transcript: { role: string; text: string }[] };
    },
    { timeout: 15_000, interval: 100 },
  );
}

/** A call whose caller has asked for the desk, and hears ringing. */
async function ringing() {
  const vendor = scriptVendor({
    transcripts: ['The desk, please.'],
    toolCalls: [['transfer_call', { to: 'desk' }]],
    answer: 'I see to it.',
  });
  const callId = `transfer-${crypto.randomUUID()}`;
  const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
  client.send(start(callId));
  await client.untilStatus('Listening');
  client.audio(800, true);
  client.audio(700, false);
  await client.until((c) => c.ofType('transfer').length > 0, 'the transfer');
  expect(client.ofType('transfer')).toEqual([{ type: 'transfer', to: '+493012345', ringSeconds: 30 }]);
  client.send({ type: 'transfer', state: 'ringing' });
  const ready = client.ofType('status').find((message) => 'resumeToken' in message);
  return { client, callId, vendor, token: (ready as { resumeToken: string }).resumeToken };
}

/** The object loses its memory and its sockets. */
async function kill(callId: string): Promise<void> {
  const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
  const dead = runInDurableObject(stub, async (_, state) => {
    await state.storage.sync();
    state.abort('killed by the test');
  });
  await expect(dead).rejects.toThrow('killed by the test');
}

/** The client comes back to its call, at the next object. */
async function returned(callId: string, token: string): Promise<TestClient> {
  await kill(callId);
  const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
  await client.untilStatus('Connected: send start_call');
  client.send(start(callId, token));
  await client.untilStatus('The call goes on');
  return client;
}

const busy: ClientMessage = { type: 'transfer', state: 'failed', cause: 'USER_BUSY', sipStatus: 486 };

describe('a transfer', () => {
  it('that is answered ends the call, and stands in its row', async () => {
    const { client, callId } = await ringing();
    client.send({ type: 'transfer', state: 'answered' });
    await client.until((c) => c.closed !== null, 'the close');
    expect(client.closed).toEqual({ code: 1000, reason: 'transferred' });
    const row = await rowOf(callId);
    expect(row).toMatchObject({ end_reason: 'transferred', status: 'ended' });
    await vi.waitFor(async () =>
      expect((await rowOf(callId)).transfers).toMatchObject([
        { to: '+493012345', outcome: 'answered', cause: null, sipStatus: null },
      ]),
    );
  });

  it('whose object is killed while it rings fails at the next one: the agent speaks first', async () => {
    const { callId, token, vendor } = await ringing();
    const again = await returned(callId, token);
    again.audio(1_000, true);
    again.send(busy);
    await again.untilStatus('Listening');
    // It was told why, and heard nothing of what was said over the ringing.
    expect(vendor.chats.at(-1)?.at(-1)?.content).toContain('the line is busy');
    expect(vendor.transcriptions).toBe(1);
    again.send({ type: 'end_call' });
    const row = await rowOf(callId);
    expect(row.transcript.map(({ role }) => role)).toEqual(['agent', 'caller', 'agent', 'agent']);
    await vi.waitFor(async () =>
      expect((await rowOf(callId)).transfers).toMatchObject([
        { to: '+493012345', outcome: 'busy', cause: 'USER_BUSY', sipStatus: 486 },
      ]),
    );
  });

  it('whose object is killed while it rings is answered at the next one', async () => {
    const { callId, token } = await ringing();
    const again = await returned(callId, token);
    again.send({ type: 'transfer', state: 'answered' });
    await again.until((c) => c.closed !== null, 'the close');
    expect(again.closed?.reason).toBe('transferred');
    expect(await rowOf(callId)).toMatchObject({ end_reason: 'transferred' });
  });

  it('whose object is killed, and nobody comes back to it, is unknown', async () => {
    const { callId } = await ringing();
    await kill(callId);
    // The next object, woken, waits for the client (RESUME_GRACE), and gives the call up.
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
    await runInDurableObject(stub, () => {});
    expect(await rowOf(callId)).toMatchObject({ end_reason: 'disconnected' });
    await vi.waitFor(async () =>
      expect((await rowOf(callId)).transfers).toMatchObject([{ outcome: 'unknown' }]),
    );
  });
});
