import { reset, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CallSessionDO } from '../../src/CallSessionDO.ts';
import { anonymous } from '../../src/call/principal.ts';
import type { ClientMessage } from '../../src/dialects/native-messages.ts';
import type { Env } from '../../src/env.ts';
import { writeLegRequest } from '../../src/http/leg-request.ts';
import { bindings, database, scriptVendor, TestClient } from './support.ts';

beforeAll(() => reset());
afterEach(() => vi.restoreAllMocks());

let calls = 0;
const nextId = () => `resume-${++calls}-${crypto.randomUUID()}`;
const start = (callId: string, resumeToken?: string): ClientMessage =>
  ({
    type: 'start_call',
    callId,
    userId: 'user-1',
    metadata: {},
    features: ['transcript'],
    ...(resumeToken === undefined ? {} : { resumeToken }),
  }) as ClientMessage;

async function endedRowOf(callId: string) {
  return await vi.waitFor(
    async () => {
      const { data } = await database().from('call_logs').select('*').eq('call_id', callId).maybeSingle();
      expect(data?.end_reason).toBeTruthy();
      return data as Record<string, unknown> & { transcript: { role: string; text: string }[] };
    },
    { timeout: 15_000, interval: 100 },
  );
}

/** A call whose greeting was heard. */
async function begun(callId: string) {
  const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
  client.send(start(callId));
  await client.untilStatus('Listening');
  const ready = client.ofType('status').find((message) => 'resumeToken' in message) as {
    resumeToken: string;
  };
  return { client, token: ready.resumeToken };
}

async function returned(callId: string, token?: string) {
  const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
  await client.untilStatus('Connected: send start_call');
  client.send(start(callId, token));
  return client;
}

const ask = async (client: TestClient) => {
  client.audio(800, true);
  client.audio(700, false);
  await client.until(
    (c) =>
      c.ofType('transcript').some((m) => m.role === 'agent' && m.final && m.text.startsWith('We are open')),
    'the answer',
  );
};

/** The object loses its memory and its sockets, as in a crash. What it wrote down before is kept. */
async function kill(callId: string): Promise<void> {
  const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
  const killed = runInDurableObject(stub, async (_, state) => {
    await state.storage.sync();
    state.abort('killed by the test');
  });
  await expect(killed).rejects.toThrow('killed by the test');
}

describe('a client whose socket was lost', () => {
  it('comes back with its token, and the conversation goes on in one record', async () => {
    const vendor = scriptVendor({ transcripts: ['When do you close?'] });
    const callId = nextId();
    const { client, token } = await begun(callId);
    client.close(1001);
    const again = await returned(callId, token);
    await again.untilStatus('The call goes on');
    await ask(again);
    expect(vendor.chats[0]?.map(({ content }) => content).slice(1)).toEqual([
      'Hello, how can I help you?',
      'When do you close?',
    ]);
    again.send({ type: 'end_call' });
    const row = await endedRowOf(callId);
    expect(row).toMatchObject({ end_reason: 'hangup', status: 'ended', counts: { drops: 1, resumes: 1 } });
    expect(row.transcript.map(({ text }) => text)).toEqual([
      'Hello, how can I help you?',
      'When do you close?',
      'We are open until six.',
    ]);
  });

  it('takes its call from its own older socket, which is told so', async () => {
    scriptVendor();
    const callId = nextId();
    const { client, token } = await begun(callId);
    const again = await returned(callId, token);
    await again.untilStatus('The call goes on');
    await client.until((c) => c.closed !== null, 'the close');
    expect(client.closed?.code).toBe(4410);
    again.send({ type: 'end_call' });
    expect((await endedRowOf(callId)).end_reason).toBe('hangup');
  });

  it.each([
    ['without the token', undefined],
    ['with a wrong one', 'x'.repeat(36)],
  ])('is a stranger %s: turned away, and the call is not disturbed', async (_, token) => {
    scriptVendor({ transcripts: ['When do you close?'] });
    const callId = nextId();
    const { client } = await begun(callId);
    const stranger = await returned(callId, token);
    await stranger.until((c) => c.closed !== null, 'the close');
    expect(stranger.closed?.code).toBe(4409);
    expect(stranger.ofType('error').map(({ code }) => code)).toEqual(['CALL_ID_IN_USE']);
    // It was shown nothing of the call.
    expect(stranger.messages.filter(({ type }) => type !== 'status' && type !== 'error')).toEqual([]);
    expect(JSON.stringify(stranger.messages)).not.toContain('resumeToken');
    await ask(client);
    client.send({ type: 'end_call' });
    await endedRowOf(callId);
  });

  it('comes back however many strangers wait at its door', async () => {
    scriptVendor();
    const callId = nextId();
    const { client, token } = await begun(callId);
    client.close(1001);
    const strangers: TestClient[] = [];
    for (let i = 0; i < 12; i++) {
      const stranger = await TestClient.connect(`/ws/call-session?callId=${callId}`);
      await stranger.untilStatus('Connected: send start_call');
      strangers.push(stranger);
    }
    // Eight wait at most; of more than that, the first go.
    await strangers[3]!.until((c) => c.closed !== null, 'the close');
    expect(strangers.map(({ closed }) => closed?.code ?? 0)).toEqual([
      ...Array<number>(4).fill(4403),
      ...Array<number>(8).fill(0),
    ]);
    expect(strangers[0]!.ofType('error').map(({ code }) => code)).toEqual(['TOO_MANY_CALLS']);
    const again = await returned(callId, token);
    await again.untilStatus('The call goes on');
    again.send({ type: 'end_call' });
    expect((await endedRowOf(callId)).end_reason).toBe('hangup');
  });

  it('and does not come back, ends the call after the grace', async () => {
    scriptVendor();
    const callId = nextId();
    const { client } = await begun(callId);
    client.close(1001);
    expect(await endedRowOf(callId)).toMatchObject({ status: 'ended', end_reason: 'disconnected' });
  });
});

describe('a call whose object was killed', () => {
  it('has the keys that were pressed before: the entry is one', async () => {
    const vendor = scriptVendor();
    const callId = nextId();
    const { client, token } = await begun(callId);
    for (const digit of '47') client.send({ type: 'dtmf', digit } as ClientMessage);
    // Whatever is answered after them was taken after them.
    client.send({ type: 'dtmf', digit: 'x' } as unknown as ClientMessage);
    await client.until((c) => c.ofType('error').length > 0, 'the keys to be taken');
    await kill(callId);
    const again = await returned(callId, token);
    await again.untilStatus('The call goes on');
    for (const digit of '11#') again.send({ type: 'dtmf', digit } as ClientMessage);
    await vi.waitFor(() => expect(vendor.chats.length).toBe(1));
    expect(vendor.chats[0]?.at(-1)?.content).toBe('Keys pressed: 4 7 1 1');
    await again.until((c) => c.ofType('transcript').some((m) => m.role === 'agent' && m.final), 'an answer');
    // Taken down once: a second life asks for them neither.
    await kill(callId);
    const third = await returned(callId, token);
    await third.untilStatus('The call goes on');
    third.send({ type: 'dtmf', digit: '9' } as ClientMessage);
    third.send({ type: 'dtmf', digit: '#' } as ClientMessage);
    await vi.waitFor(() => expect(vendor.chats.length).toBeGreaterThan(1));
    expect(vendor.chats.at(-1)?.at(-1)?.content).toBe('Keys pressed: 9');
    third.send({ type: 'end_call' });
    await endedRowOf(callId);
  });

  it('goes on in the next one: the same record, nothing said twice, nothing forgotten', async () => {
    const vendor = scriptVendor({ transcripts: ['When do you close?', 'And on Sunday?'] });
    const callId = nextId();
    const { client, token } = await begun(callId);
    await ask(client);
    await kill(callId);
    const again = await returned(callId, token);
    await again.untilStatus('The call goes on');
    await ask(again);
    again.send({ type: 'end_call' });
    const row = await endedRowOf(callId);
    expect(row).toMatchObject({ status: 'ended', end_reason: 'hangup' });
    expect(row.transcript.map(({ text }) => text)).toEqual([
      'Hello, how can I help you?',
      'When do you close?',
      'We are open until six.',
      'And on Sunday?',
      'We are open until six.',
    ]);
    expect(
      vendor.chats
        .at(-1)
        ?.map(({ content }) => content)
        .slice(1),
    ).toEqual([
      'Hello, how can I help you?',
      'When do you close?',
      'We are open until six.',
      'And on Sunday?',
    ]);
    const { data } = await database().from('call_logs').select('call_id').like('call_id', `${callId}%`);
    expect(data).toHaveLength(1);
  });

  it('is over where nobody is waited for', async () => {
    scriptVendor();
    const callId = nextId();
    await begun(callId);
    await kill(callId);
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
    const closed = await runInDurableObject(stub, async (_, state) => {
      const object = new CallSessionDO(state, { ...bindings, RESUME_GRACE: '0' } as Env);
      const request = new Request('http://service.test/', { headers: { Upgrade: 'websocket' } });
      const response = await object.fetch(
        writeLegRequest(request, { callId, dialect: 'call-session', bound: true, principal: anonymous }),
      );
      const socket = response.webSocket!;
      const code = new Promise<number>((resolve) => {
        socket.addEventListener('close', (event) => resolve(event.code));
      });
      socket.accept();
      return await code;
    });
    expect(closed).toBe(4409);
    expect(await endedRowOf(callId)).toMatchObject({ status: 'failed', end_reason: 'disconnected' });
  });

  it('turns a stranger away, and is still there for its client', async () => {
    scriptVendor();
    const callId = nextId();
    const { token } = await begun(callId);
    await kill(callId);
    const stranger = await returned(callId);
    await stranger.until((c) => c.closed !== null, 'the close');
    expect(stranger.closed?.code).toBe(4409);
    const again = await returned(callId, token);
    await again.untilStatus('The call goes on');
    again.send({ type: 'end_call' });
    expect((await endedRowOf(callId)).end_reason).toBe('hangup');
  });
});
