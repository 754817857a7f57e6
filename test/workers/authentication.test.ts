import { reset, runInDurableObject } from 'cloudflare:test';
import { base64url } from 'jose';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { newToken } from '../../src/auth/tokens.ts';
import { CallSessionDO } from '../../src/CallSessionDO.ts';
import type { Env } from '../../src/env.ts';
import { writeLegRequest } from '../../src/http/leg-request.ts';
import { router } from '../../src/router.ts';
import { bearer, codeOf, guardedService } from './auth-support.ts';
import { bindings, database, scriptVendor, TestClient } from './support.ts';

const service = await guardedService();
const { ask, tokens, upgrade, userToken } = service;

const id = (what: string) => `${what}-${crypto.randomUUID()}`;
// Ids that machines make: others may be somebody's number, and are masked in the log.
const recorded = { 'user-1': crypto.randomUUID(), 'user-2': crypto.randomUUID() };

beforeAll(async () => {
  await reset();
  for (const [user_id, call_id] of Object.entries(recorded)) {
    const recording = `recordings/2026/11/21/${call_id}.wav`;
    await bindings.RECORDINGS.put(recording, 'audio');
    const start_time = new Date(0).toISOString();
    const { error } = await database().from('call_logs').insert({ call_id, user_id, start_time, recording });
    expect(error).toBeNull();
  }
});
afterEach(() => vi.restoreAllMocks());

const startCall = (client: TestClient, userId: string, more: object = {}) =>
  client.send({ type: 'start_call', callId: id('call'), userId, metadata: {}, ...more });

const guarded: [string, string, RequestInit][] = [
  ['a socket', '/ws/call-session', { headers: { Upgrade: 'websocket' } }],
  ['a recording', `/api/v1/recordings/${recorded['user-1']}`, {}],
  ['a call token', '/api/v1/calls', { method: 'POST', body: '{"userId":"user-1"}' }],
  ['the metrics', '/metrics', {}],
];

describe('whoever proves nothing', () => {
  it.each(guarded)('gets no answer but 401: %s', async (_, path, init) => {
    const response = await ask(path, init);
    expect(response.status).toBe(401);
    expect(response.headers.get('WWW-Authenticate')).toMatch(/^Bearer/);
    expect(await codeOf(response)).toBe('UNAUTHORIZED');
  });

  it.each(guarded)(
    'gets the same with every forgery, and the log alone says why: %s',
    async (_, path, init) => {
      service.project.listen();
      const warnings = vi.spyOn(console, 'warn').mockImplementation(() => {});
      const good = await userToken('user-1');
      const [header, payload, signature] = good.split('.');
      const none = base64url.encode(JSON.stringify({ alg: 'none' }));
      const forged = [
        await userToken('user-1', { exp: 1 }),
        await userToken('user-1', { nbf: 9_999_999_999 }),
        await userToken('user-1', { iss: 'https://other.example/auth/v1' }),
        await userToken('user-1', { aud: 'anon' }),
        await userToken('user-1', { role: 'service_role' }),
        `${none}.${payload}.`,
        `${header}.${payload}.${signature!.split('').reverse().join('')}`,
        newToken('node'),
        newToken('service'),
        newToken('metrics'),
        bindings.SUPABASE_SERVICE_ROLE_KEY,
        'x'.repeat(9_000),
      ];
      const bare = await (await ask(path, init)).text();
      for (const token of forged) {
        const headers = { ...(init.headers as Record<string, string>), ...bearer(token) };
        const response = await ask(path, { ...init, headers });
        expect([response.status, await response.text()]).toEqual([401, bare]);
      }
      const lines = warnings.mock.calls.map(([line]) => String(line));
      expect(lines).toHaveLength(forged.length);
      for (const line of lines) {
        expect(JSON.parse(line)).toMatchObject({ message: 'a request was refused', path, reason: /./ });
        for (const token of forged) expect(line).not.toContain(token);
      }
    },
  );

  it('learns from /health that the service is there, and nothing of its settings', async () => {
    const missing = { STT_FALLBACK_PROVIDER: 'deepgram' };
    const stranger = await ask('/health', {}, missing);
    expect(await stranger.json()).toEqual({
      status: 'degraded',
      timestamp: expect.any(Number),
      version: expect.any(String),
      activeCalls: expect.any(Number),
      uptime: expect.any(Number),
    });
    for (const token of [tokens.service, tokens.metrics]) {
      const operator = await ask('/health', { headers: bearer(token) }, missing);
      expect(await operator.json()).toMatchObject({ missingSettings: ['DEEPGRAM_API_KEY'] });
    }
    const forger = await ask('/health', { headers: bearer(newToken('service')) }, missing);
    expect(await forger.json()).not.toHaveProperty('missingSettings');
  });
});

describe('a service at which nobody has to prove anything', () => {
  it.each(guarded)('serves its own machine alone: %s', async (_, path, init) => {
    const response = await ask(path, init, { AUTH: 'none' });
    expect([response.status, await codeOf(response)]).toEqual([503, 'AUTH_OFF']);
  });

  it.each([
    ['a proxy on the same machine', { 'X-Forwarded-For': '203.0.113.9' }],
    ['a proxy that tells it in one header', { Forwarded: 'for=203.0.113.9' }],
    ['a machine next door, which calls it localhost', { 'CF-Connecting-IP': '192.168.1.7' }],
  ])('serves nobody through %s', async (_, headers) => {
    const local = (more: Record<string, string>) =>
      router.request('http://localhost/metrics', { headers: more }, { ...service.settings, AUTH: 'none' });
    expect((await local({ 'CF-Connecting-IP': '127.0.0.1' })).status).toBe(200);
    expect((await local({ 'CF-Connecting-IP': '::1' })).status).toBe(200);
    const response = await local(headers);
    expect([response.status, await codeOf(response)]).toEqual([503, 'AUTH_OFF']);
  });

  it('is not well by any other name', async () => {
    const health = await (await ask('/health', {}, { AUTH: 'none' })).json<{ status: string }>();
    expect(health.status).toBe('degraded');
  });
});

describe('the list of addresses', () => {
  it('lets nobody else in, whatever they show', async () => {
    const list = { ALLOWED_ADDRESSES: '192.0.2.0/24' };
    const from = (address: string) =>
      ask('/metrics', { headers: { ...bearer(tokens.service), 'CF-Connecting-IP': address } }, list);
    expect((await from('192.0.2.9')).status).toBe(200);
    const other = await from('198.51.100.1');
    expect([other.status, await codeOf(other)]).toEqual([403, 'FORBIDDEN']);
    expect((await ask('/metrics', { headers: bearer(tokens.service) }, list)).status).toBe(403);
  });
});

describe('a person', () => {
  it('calls for themselves and for nobody else', async () => {
    service.project.listen();
    const user = id('person');
    const own = await service.connect('/ws/call-session', bearer(await userToken(user)));
    vi.restoreAllMocks();
    scriptVendor();
    startCall(own, user);
    await own.untilStatus('Listening');
    own.send({ type: 'end_call' });
    const other = await service.connect('/ws/call-session', bearer(await userToken(user)));
    startCall(other, 'user-1');
    await other.until((c) => c.closed !== null, 'the close');
    expect(other.ofType('error').map(({ code }) => code)).toEqual(['UNAUTHORIZED']);
    expect(other.closed?.code).toBe(4403);
  });

  it('is the user whose account they log in to', async () => {
    service.project.listen();
    const person = crypto.randomUUID();
    const account = id('account');
    expect((await database().from('users').insert({ id: account, auth_id: person })).error).toBeNull();
    const headers = bearer(await userToken(person));
    const minted = await ask('/api/v1/calls', { method: 'POST', headers, body: '{}' });
    expect(await minted.json()).toMatchObject({ userId: account });
    const body = JSON.stringify({ userId: person });
    expect((await ask('/api/v1/calls', { method: 'POST', headers, body })).status).toBe(403);
  });

  it.each([
    ['is blocked', { blocked_at: new Date(0).toISOString() }],
    ['has logged out everywhere', { tokens_valid_from: new Date(Date.now() + 60_000).toISOString() }],
  ])('who %s is out', async (_, row) => {
    service.project.listen();
    const person = crypto.randomUUID();
    await database()
      .from('users')
      .insert({ id: id('account'), auth_id: person, ...row });
    const response = await upgrade('/ws/call-session', bearer(await userToken(person)));
    expect(response.status).toBe(401);
  });

  it('is asked to come back while nobody knows who they are; nodes are not', async () => {
    service.project.listen(() => Promise.reject(new TypeError('down')));
    const noKeys = await upgrade('/ws/call-session', bearer(await userToken('user-1')), {});
    expect([noKeys.status, noKeys.headers.get('Retry-After')]).toEqual([503, '5']);
    vi.restoreAllMocks();
    service.project.listen();
    const down = {
      SUPABASE_URL: 'http://127.0.0.1:9',
      SUPABASE_JWT_ISSUER: `${bindings.SUPABASE_URL}/auth/v1`,
    };
    const noDatabase = await ask('/metrics', { headers: bearer(await userToken('user-1')) }, down);
    expect([noDatabase.status, await codeOf(noDatabase)]).toEqual([503, 'INTERNAL_ERROR']);
    const node = await upgrade('/ws/call-session', { 'X-Node-Token': tokens.node }, down);
    expect(node.status).toBe(101);
    node.webSocket?.accept();
    node.webSocket?.close(1000);
  });
});

describe('a node', () => {
  it.each([
    ['for its user', 'user-1', {}, true],
    ['for its user and campaign', 'user-1', { campaignId: 'campaign-1' }, true],
    ['for another user', 'user-2', {}, false],
    ['for another campaign', 'user-1', { campaignId: 'campaign-2' }, false],
  ])('calls %s: %#', async (_, userId, metadata, may) => {
    scriptVendor();
    const basic = { Authorization: `Basic ${btoa(`fs-1:${tokens.node}`)}` };
    const client = await service.connect('/ws/call-session', basic);
    startCall(client, userId, { metadata });
    if (!may) {
      await client.until((c) => c.closed?.code === 4403, 'the refusal');
      return;
    }
    await client.untilStatus('Listening');
    client.send({ type: 'end_call' });
  });

  it('is nobody else by what it writes into headers', async () => {
    const operator = { kind: 'service', id: 'x', users: '*', campaigns: '*' };
    const forged = encodeURIComponent(JSON.stringify({ callId: 'x', bound: false, principal: operator }));
    const client = await service.connect('/ws/call-session', {
      'X-Node-Token': tokens.node,
      'X-Leg': forged,
    });
    startCall(client, 'user-2');
    await client.until((c) => c.closed?.code === 4403, 'the refusal');
  });

  it('calls for no user who is blocked', async () => {
    const blocked = id('blocked');
    const row = { id: blocked, blocked_at: new Date(0).toISOString() };
    expect((await database().from('users').insert(row)).error).toBeNull();
    const callId = id('nodes-call');
    const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
    await runInDurableObject(stub, async (_, state) => {
      const object = new CallSessionDO(state, service.settings as unknown as Env);
      const principal = { kind: 'node', id: 'fs-1', users: '*', campaigns: '*' } as const;
      const request = new Request('http://localhost/', { headers: { Upgrade: 'websocket' } });
      const response = await object.fetch(
        writeLegRequest(request, { callId, dialect: 'call-session', bound: true, principal }),
      );
      const client = TestClient.on(response.webSocket!);
      client.send({ type: 'start_call', callId, userId: blocked, metadata: {} });
      await client.until((c) => c.closed?.code === 4403, 'the refusal');
      expect(client.ofType('error').map(({ code }) => code)).toEqual(['UNAUTHORIZED']);
    });
  });

  it('comes back to its call without the token of the call; another node does not', async () => {
    scriptVendor();
    const callId = id('nodes-call');
    const path = `/ws/call-session?callId=${callId}`;
    const start = { type: 'start_call', callId, userId: 'user-1', metadata: {} } as const;
    const first = await service.connect(path, { 'X-Node-Token': tokens.node });
    first.send(start);
    await first.untilStatus('Listening');
    first.close(3000);
    const stranger = await service.connect(path, { 'X-Node-Token': tokens.otherNode });
    stranger.send(start);
    await stranger.until((c) => c.closed !== null, 'the refusal');
    expect(stranger.closed?.code).toBe(4409);
    const back = await service.connect(path, { 'X-Node-Token': tokens.node });
    back.send(start);
    await back.until(
      (c) => c.ofType('status').some((m) => m.status === 'ready' && m.callId === callId),
      'it',
    );
    expect(back.closed).toBeNull();
    back.send({ type: 'end_call' });
    await back.until((c) => c.closed?.code === 1000, 'the end');
  });
});

describe('a recording', () => {
  const statuses = async (headers: Record<string, string>) =>
    await Promise.all(
      Object.values(recorded).map(
        async (call) => (await ask(`/api/v1/recordings/${call}`, { headers })).status,
      ),
    );

  it('is heard by its user, by that user’s node and by the operator; to others it is not there', async () => {
    service.project.listen();
    expect(await statuses(bearer(await userToken('user-1')))).toEqual([200, 404]);
    expect(await statuses(bearer(await userToken('user-2')))).toEqual([404, 200]);
    expect(await statuses(bearer(await userToken(id('stranger'))))).toEqual([404, 404]);
    expect(await statuses({ 'X-Node-Token': tokens.node })).toEqual([200, 404]);
    expect(await statuses(bearer(tokens.service))).toEqual([200, 200]);
    expect(await statuses(bearer(tokens.metrics))).toEqual([404, 404]);
  });

  it.each([
    '..%2F..%2Fsecrets',
    '%2e%2e',
    '..',
    `..%5c${recorded['user-2']}`,
    `${recorded['user-2']}%00`,
    `${recorded['user-2']}%2F`,
    `${recorded['user-2']}.wav%23`,
    `x%22)%2Cuser_id.in.(%22user-2`,
    '*',
    '%E2%80%AE',
  ])('is not reached by the id %s', async (path) => {
    const response = await ask(`/api/v1/recordings/${path}`, { headers: { 'X-Node-Token': tokens.node } });
    expect([400, 404]).toContain(response.status);
  });
});

describe('the metrics', () => {
  it('are for who collects them and for the operator', async () => {
    service.project.listen();
    const status = async (token: string) => (await ask('/metrics', { headers: bearer(token) })).status;
    expect(await status(tokens.metrics)).toBe(200);
    expect(await status(tokens.service)).toBe(200);
    expect(await status(tokens.node)).toBe(403);
    expect(await status(await userToken('user-1'))).toBe(403);
    expect((await upgrade('/ws/call-session', bearer(tokens.metrics))).status).toBe(403);
  });
});
