import { reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CALL_TOKEN_PREFIX, CallTokens } from '../../src/auth/call-tokens.ts';
import { bearer, codeOf, guardedService } from './auth-support.ts';
import { bindings, scriptVendor, TestClient } from './support.ts';

const service = await guardedService();
const { ask, tokens, upgrade, userToken } = service;

beforeAll(() => reset());
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

interface Minted {
  callId: string;
  token: string;
  url: string;
}

const mint = async (body: object, headers: Record<string, string> = bearer(tokens.service)) =>
  await ask('/api/v1/calls', { method: 'POST', headers, body: JSON.stringify(body) });

async function minted(body: object = { userId: 'user-1', campaignId: 'campaign-1' }): Promise<Minted> {
  const response = await mint(body);
  expect(response.status).toBe(201);
  return await response.json<Minted>();
}

const inSubprotocol = (token: string) => ({ 'Sec-WebSocket-Protocol': `call, call-token.${token}` });

const start = (callId: string, more: object = {}) =>
  ({
    type: 'start_call',
    callId,
    userId: 'user-1',
    metadata: { campaignId: 'campaign-1' },
    ...more,
  }) as const;

async function begun({ callId, token }: Minted): Promise<TestClient> {
  const client = await service.connect('/ws/call-session', inSubprotocol(token));
  client.send(start(callId));
  await client.untilStatus('Listening');
  return client;
}

describe('POST /api/v1/calls', () => {
  it('gives out a token for one call, with the address of its socket, in which the token does not stand', async () => {
    const { callId, token, url } = await minted();
    expect(url).toBe(`wss://calls.example/ws/call-session?callId=${callId}`);
    expect(token).toMatch(new RegExp(`^${CALL_TOKEN_PREFIX}`));
    expect((await mint({ userId: 'user-1' })).headers.get('Cache-Control')).toBe('no-store');
  });

  it('is asked by pages of the configured origins alone', async () => {
    const preflight = async (Origin: string) => {
      const headers = { Origin, 'Access-Control-Request-Method': 'POST' };
      return (await ask('/api/v1/calls', { method: 'OPTIONS', headers })).headers;
    };
    const ours = await preflight('https://console.example');
    expect(ours.get('Access-Control-Allow-Origin')).toBe('https://console.example');
    expect(ours.get('Access-Control-Allow-Headers')).toContain('Authorization');
    expect((await preflight('https://stranger.example')).get('Access-Control-Allow-Origin')).toBeNull();
  });

  it('gives a person one for themselves alone', async () => {
    service.project.listen();
    const headers = bearer(await userToken('user-1'));
    expect((await mint({}, headers)).status).toBe(201);
    expect((await mint({ userId: 'user-1' }, headers)).status).toBe(201);
    const other = await mint({ userId: 'user-2' }, headers);
    expect([other.status, await codeOf(other)]).toEqual([403, 'FORBIDDEN']);
  });

  it('gives a node one for its users and campaigns alone', async () => {
    const headers = bearer(tokens.node);
    expect((await mint({ userId: 'user-1', campaignId: 'campaign-1' }, headers)).status).toBe(201);
    expect((await mint({ userId: 'user-2' }, headers)).status).toBe(403);
    expect((await mint({ userId: 'user-1', campaignId: 'campaign-2' }, headers)).status).toBe(403);
    expect((await mint({ userId: 'user-1' }, bearer(tokens.metrics))).status).toBe(403);
  });

  it('gives none for a token: a call begets no calls', async () => {
    const { token } = await minted();
    expect((await mint({ userId: 'user-1' }, bearer(token))).status).toBe(401);
  });

  it('does not dial, and says so', async () => {
    const response = await mint({ userId: 'user-1', to: '+15550100' });
    expect([response.status, await codeOf(response)]).toEqual([501, 'NOT_IMPLEMENTED']);
  });

  it.each([
    ['no JSON', 'hello'],
    ['a list', '[]'],
    ['no userId, where it is not known', '{}'],
    ['an empty userId', '{"userId":""}'],
    ['a userId of 129 characters', JSON.stringify({ userId: 'x'.repeat(129) })],
    ['a field that there is not', '{"userId":"user-1","callId":"mine"}'],
  ])('refuses %s', async (_, body) => {
    const response = await ask('/api/v1/calls', { method: 'POST', headers: bearer(tokens.service), body });
    expect([response.status, await codeOf(response)]).toEqual([400, 'BAD_MESSAGE']);
  });

  it('waits for no body that trickles', async () => {
    let cancelled = false;
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{')),
      cancel: () => {
        cancelled = true;
      },
    });
    const response = await ask('/api/v1/calls', { method: 'POST', headers: bearer(tokens.service), body });
    expect([response.status, await codeOf(response)]).toEqual([408, 'TIMEOUT']);
    expect(cancelled).toBe(true);
  });

  it('reads no more than it needs', async () => {
    const body = JSON.stringify({ userId: 'user-1', filling: 'x'.repeat(5_000) });
    const response = await ask('/api/v1/calls', { method: 'POST', headers: bearer(tokens.service), body });
    expect([response.status, await codeOf(response)]).toEqual([413, 'TOO_LARGE']);
  });
});

describe('a single-call token', () => {
  it.each([
    ['a header', (token: string) => ['', bearer(token)] as const],
    ['a subprotocol', (token: string) => ['', inSubprotocol(token)] as const],
    ['the address', (token: string) => [`?token=${token}`, {}] as const],
  ])('starts its call from %s', async (_, place) => {
    scriptVendor();
    const { callId, token } = await minted();
    const [query, headers] = place(token);
    const response = await upgrade(`/ws/call-session${query}`, headers);
    expect(response.status).toBe(101);
    const offered = 'Sec-WebSocket-Protocol' in headers ? 'call' : null;
    expect(response.headers.get('Sec-WebSocket-Protocol')).toBe(offered);
    const client = TestClient.on(response.webSocket!);
    client.send(start(callId));
    await client.untilStatus('Listening');
    client.send({ type: 'end_call' });
    await client.until((c) => c.closed?.code === 1000, 'the end');
  });

  it('is for users and campaigns of any name', async () => {
    scriptVendor();
    const of = { userId: 'Jürgen “李” \n\u0000', campaignId: 'Frühling 🌷' };
    const { callId, token } = await minted(of);
    const client = await service.connect('/ws/call-session', bearer(token));
    client.send({ type: 'start_call', callId, userId: of.userId, metadata: { campaignId: of.campaignId } });
    await client.untilStatus('Listening');
    client.send({ type: 'end_call' });
    await client.until((c) => c.closed?.code === 1000, 'the end');
  });

  it('opens one socket, of however many that come at once', async () => {
    const { token } = await minted();
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => upgrade('/ws/call-session', inSubprotocol(token))),
    );
    const clients = answers.flatMap(({ webSocket }) => (webSocket ? [TestClient.on(webSocket)] : []));
    // The others may show the call's own token, to come back; they were not told it.
    await Promise.all(clients.map((client) => client.untilStatus('Connected: send start_call')));
    const told = clients.filter((client) => client.ofType('status').some((m) => 'resumeToken' in m));
    expect(told).toHaveLength(1);
    expect(answers.filter(({ status }) => status !== 101).every(({ status }) => status === 401)).toBe(true);
    for (const client of clients) client.close();
  });

  it('is used up while its call lasts, and who shows it again without the call’s own token is turned away', async () => {
    scriptVendor();
    const call = await minted();
    const client = await begun(call);
    const again = await service.connect('/ws/call-session', inSubprotocol(call.token));
    again.send(start(call.callId));
    await again.until((c) => c.closed?.code === 4409, 'the refusal');
    expect(client.closed).toBeNull();
    client.send({ type: 'end_call' });
    await client.until((c) => c.closed !== null, 'the end');
  });

  it('is used up when its call is over', async () => {
    scriptVendor();
    const call = await minted();
    const client = await begun(call);
    client.send({ type: 'end_call' });
    await client.until((c) => c.closed !== null, 'the end');
    const again = await upgrade('/ws/call-session', inSubprotocol(call.token));
    expect([again.status, await codeOf(again)]).toEqual([401, 'UNAUTHORIZED']);
  });

  it('is used up by a socket from which no call came', async () => {
    const { token } = await minted();
    const client = await service.connect('/ws/call-session', inSubprotocol(token));
    client.close();
    await vi.waitFor(
      async () => {
        const again = await upgrade('/ws/call-session', inSubprotocol(token));
        again.webSocket?.accept();
        again.webSocket?.close(1000);
        expect(again.status).toBe(401);
      },
      { timeout: 5_000, interval: 20 },
    );
  });

  it('brings its holder back to the call with the call’s own token, though it is used up', async () => {
    scriptVendor();
    const call = await minted();
    const client = await begun(call);
    const { resumeToken } = client.ofType('status').find((m) => 'resumeToken' in m) as {
      resumeToken: string;
    };
    client.close(3000);
    const back = await service.connect('/ws/call-session', inSubprotocol(call.token));
    back.send(start(call.callId, { resumeToken }));
    await back.until(
      (c) => c.ofType('status').some((m) => m.status === 'ready' && m.message !== ''),
      'ready',
    );
    back.send({ type: 'end_call' });
    await back.until((c) => c.closed?.code === 1000, 'the end');
  });

  it.each([
    ['another call', { callId: 'another' }],
    ['another user', { userId: 'user-2' }],
    ['another campaign', { metadata: { campaignId: 'campaign-2' } }],
    ['no campaign', { metadata: {} }],
  ])('starts not %s', async (_, more) => {
    const { callId, token } = await minted();
    const client = await service.connect('/ws/call-session', inSubprotocol(token));
    client.send(start(callId, more));
    await client.until((c) => c.closed?.code === 4403, 'the refusal');
  });

  it('opens no socket under another id', async () => {
    const { token } = await minted();
    const response = await upgrade('/ws/call-session?callId=another', inSubprotocol(token));
    expect([response.status, await codeOf(response)]).toEqual([400, 'CALL_ID_MISMATCH']);
  });

  it('has its time', async () => {
    const secret = bindings.SUPABASE_SERVICE_ROLE_KEY;
    const call = { callId: crypto.randomUUID(), userId: 'user-1', campaignId: null };
    const token = await new CallTokens(secret).mint({ ...call, expiresAt: Date.now() - 1 });
    expect((await upgrade('/ws/call-session', inSubprotocol(token))).status).toBe(401);
  });

  it('leaves nothing behind once its time is over', async () => {
    const { callId, token } = await minted();
    const client = await service.connect('/ws/call-session', inSubprotocol(token));
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
    const kept = () =>
      runInDurableObject(stub, (_, state) => [...state.storage.kv.list()].map(([name]) => name));
    expect(await kept()).toContain('spent token');
    client.close();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 180_000 });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    await vi.waitFor(async () => expect(await kept()).toEqual([]), { timeout: 5_000, interval: 20 });
    expect((await upgrade('/ws/call-session', inSubprotocol(token))).status).toBe(401);
    expect(await kept()).toEqual([]);
  });

  it('alone may stand in an address or a subprotocol', async () => {
    service.project.listen();
    for (const token of [tokens.node, tokens.service, await userToken('user-1')]) {
      expect((await upgrade(`/ws/call-session?token=${token}`)).status).toBe(401);
      expect((await upgrade('/ws/call-session', inSubprotocol(token))).status).toBe(401);
    }
  });

  it('reads nothing: no recording, no counts', async () => {
    const { callId, token } = await minted();
    for (const path of [`/api/v1/recordings/${callId}`, '/metrics']) {
      expect((await ask(path, { headers: bearer(token) })).status).toBe(401);
      expect((await ask(`${path}?token=${token}`)).status).toBe(401);
    }
  });
});
