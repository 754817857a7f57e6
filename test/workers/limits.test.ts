import { createExecutionContext, reset, runInDurableObject, waitOnExecutionContext } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { hashOfToken, newToken } from '../../src/auth/tokens.ts';
import { CallSessionDO } from '../../src/CallSessionDO.ts';
import { LEASE_MS } from '../../src/call/call-slots.ts';
import { anonymous } from '../../src/call/principal.ts';
import { closeCodes } from '../../src/dialects/native-messages.ts';
import type { Env } from '../../src/env.ts';
import { writeLegRequest } from '../../src/http/leg-request.ts';
import { router } from '../../src/router.ts';
import { UserCallsDO } from '../../src/UserCallsDO.ts';
import { bindings, database, scriptVendor, TestClient } from './support.ts';

beforeEach(() => reset());
afterEach(() => vi.restoreAllMocks());

const newId = (what: string) => `${what}-${crypto.randomUUID()}`;

async function newAccount(maxConcurrentCalls: number): Promise<string> {
  const id = newId('limited');
  const row = { id, max_concurrent_calls: maxConcurrentCalls };
  expect((await database().from('users').insert(row)).error).toBeNull();
  return id;
}

async function begin(userId: string, callId = newId('limited')): Promise<TestClient> {
  const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
  client.send({ type: 'start_call', callId, userId });
  await client.until((c) => c.closed !== null || isStarted(c), 'the call or its refusal');
  return client;
}

const isStarted = (client: TestClient) =>
  client.ofType('status').some(({ message }) => message === 'The call has started');

async function hangUp(...clients: TestClient[]): Promise<void> {
  for (const client of clients) {
    client.send({ type: 'end_call' });
    await client.until((c) => c.closed !== null, 'the close');
  }
}

const userCalls = (userId: string) => bindings.USER_CALLS.get(bindings.USER_CALLS.idFromName(userId));
/** Calls that are counted for the user. */
const countedOf = (userId: string) =>
  runInDurableObject(
    userCalls(userId),
    (_, { storage }) => [...storage.kv.list({ prefix: 'lease/' })].length,
  );
const failuresOf = async (callId: string) =>
  (await database().from('call_failures').select('code').eq('call_id', callId)).data;

describe('the calls of one user', () => {
  it('are as many as the account allows at once; the next is refused, until one has ended', async () => {
    scriptVendor();
    const userId = await newAccount(2);
    const first = await begin(userId);
    const second = await begin(userId);
    expect([first.closed, second.closed]).toEqual([null, null]);
    const third = await begin(userId);
    expect(third.ofType('error').map(({ code }) => code)).toEqual(['TOO_MANY_CALLS']);
    expect(third.closed?.code).toBe(closeCodes.refused);
    await hangUp(first);
    await vi.waitFor(async () => expect(await countedOf(userId)).toBe(1));
    const fourth = await begin(userId);
    expect(fourth.closed).toBeNull();
    await hangUp(second, fourth);
    await vi.waitFor(async () => expect(await countedOf(userId)).toBe(0));
  });

  it('are none where the account allows none, and the default where there is no account', async () => {
    scriptVendor();
    const barred = await begin(await newAccount(0));
    expect(barred.closed?.code).toBe(closeCodes.refused);
    const free = await begin(newId('nobody'));
    expect(free.closed).toBeNull();
    await hangUp(free);
  });

  it('that were refused for another reason hold no place', async () => {
    scriptVendor();
    const userId = await newAccount(1);
    const campaign = { id: newId('campaign'), user_id: await newAccount(1), name: 'of another' };
    expect((await database().from('campaigns').insert(campaign)).error).toBeNull();
    const callId = newId('limited');
    const client = await TestClient.connect(`/ws/call-session?callId=${callId}`);
    client.send({ type: 'start_call', callId, userId, metadata: { campaignId: campaign.id } });
    await client.until((c) => c.closed !== null, 'the refusal');
    expect(client.ofType('error').map(({ code }) => code)).toEqual(['UNAUTHORIZED']);
    await vi.waitFor(async () => expect(await countedOf(userId)).toBe(0));
  });

  it('that crashed are counted no longer than a lease, and the object forgets its user', async () => {
    const userId = await newAccount(1);
    const call = { callId: 'crashed', userId, startTime: 1 };
    expect(await userCalls(userId).take(call)).toBe('taken');
    expect(await userCalls(userId).take({ ...call, callId: 'next' })).toBe('full');
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + LEASE_MS });
    try {
      expect(await userCalls(userId).take({ ...call, callId: 'next' })).toBe('taken');
      vi.setSystemTime(Date.now() + LEASE_MS);
      await runInDurableObject(userCalls(userId), (object) => object.alarm());
    } finally {
      vi.useRealTimers();
    }
    await runInDurableObject(userCalls(userId), (_, { storage }) =>
      expect([...storage.kv.list()]).toEqual([]),
    );
  });

  it('given up while the account is looked up hold no place afterwards', async () => {
    const userId = await newAccount(1);
    const call = { callId: 'given-up', userId, startTime: 1 };
    const stub = userCalls(userId);
    const taken = stub.take(call);
    await stub.release(call);
    await taken;
    expect(await countedOf(userId)).toBe(0);
  });

  it('go on where nobody counts them: after two seconds, and the record says so', async () => {
    scriptVendor();
    vi.spyOn(UserCallsDO.prototype, 'take').mockImplementation(() => new Promise(() => {}));
    const userId = await newAccount(1);
    const callId = newId('limited');
    const client = await begin(userId, callId);
    expect(client.closed).toBeNull();
    expect(client.ofType('error')).toEqual([]);
    await hangUp(client);
    await vi.waitFor(async () => expect(await failuresOf(callId)).toEqual([{ code: 'UNCOUNTED' }]), {
      timeout: 10_000,
    });
  });

  it('are counted once where a client comes back on another socket', async () => {
    scriptVendor();
    const userId = await newAccount(1);
    const callId = newId('limited');
    const client = await begin(userId, callId);
    const resumeToken = client.ofType('status')[0] as { resumeToken?: string };
    client.close(4000);
    const again = await TestClient.connect(`/ws/call-session?callId=${callId}`);
    again.send({ type: 'start_call', callId, userId, resumeToken: resumeToken.resumeToken! });
    await again.untilStatus('The call goes on');
    expect(await countedOf(userId)).toBe(1);
    await hangUp(again);
    await vi.waitFor(async () => expect(await countedOf(userId)).toBe(0));
  });
});

describe('the calls of the deployment', () => {
  const shard = () => bindings.PERMITS.get(bindings.PERMITS.idFromName(newId('shard')));

  it('have permits of a shard, which are free again a lease after an isolate was heard of last', async () => {
    const permits = shard();
    expect(await permits.take('a', 8, 100)).toBe(8);
    await permits.hold('a', 50);
    await permits.give('a', 10);
    expect(await permits.take('b', 100, 100)).toBe(15);
    expect(await permits.take('c', 8, 55)).toBe(0);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 90_000 });
    try {
      expect(await permits.take('c', 8, 55)).toBe(8);
      vi.setSystemTime(Date.now() + 90_000);
      await runInDurableObject(permits, (object) => object.alarm());
    } finally {
      vi.useRealTimers();
    }
    await runInDurableObject(permits, (_, { storage }) => expect([...storage.kv.list()]).toEqual([]));
  });

  it('are refused with 503 before the upgrade, where no shard has a permit', async () => {
    const none = { take: async () => 0, hold: async () => {}, give: async () => {} };
    const settings = { PERMITS: { get: () => none, idFromName: (name: string) => name } };
    const open: TestClient[] = [];
    const connect = async (): Promise<Response> => {
      const callId = newId('permit');
      const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
      return await runInDurableObject(stub, async (_, state) => {
        const object = new CallSessionDO(state, { ...bindings, ...settings } as unknown as Env);
        const request = new Request('http://service.test/', { headers: { Upgrade: 'websocket' } });
        const response = await object.fetch(
          writeLegRequest(request, { callId, dialect: 'call-session', bound: true, principal: anonymous }),
        );
        if (response.webSocket === null) return new Response(response.body, response);
        // It stays open: a call that waits for its start.
        open.push(TestClient.on(response.webSocket));
        return new Response(null, { status: 204 });
      });
    };
    // The isolate may have some permits left from other tests: a block and a half at most.
    let last = await connect();
    for (let i = 0; i < 12 && last.status === 204; i++) last = await connect();
    expect(last.status).toBe(503);
    expect(last.headers.get('Retry-After')).toBe('5');
    expect(await last.json()).toMatchObject({ error: { code: 'TOO_MANY_CALLS' } });
    // The isolate asks no shard for a second: the tests after this one have calls.
    const client = await vi.waitFor(() => TestClient.connect(), { timeout: 5_000, interval: 50 });
    client.close();
  });
});

describe('requests of a node', () => {
  const node = async () => {
    const token = newToken('node');
    // A name of its own: other tests' nodes have asked as well.
    const nodes = { [newId('fs')]: { tokens: [await hashOfToken(token)], users: '*' } };
    return { token, settings: { ...bindings, NODES: JSON.stringify(nodes) } };
  };
  const ask = async (settings: object, token: string, address: string) => {
    const context = createExecutionContext();
    const headers = { 'CF-Connecting-IP': address, Authorization: `Bearer ${token}` };
    const response = await router.request('/nothing', { headers }, settings, context);
    await waitOnExecutionContext(context);
    return response;
  };

  it('have a budget of their own, wherever they come from', async () => {
    const { token, settings } = await node();
    const limits = { ...settings, RATE_LIMIT_PER_IP: '3', RATE_LIMIT_PER_NODE: '6' };
    const answers = [];
    for (let i = 0; i < 7; i++) answers.push(await ask(limits, token, `192.0.2.${i % 2}`));
    expect(answers.map(({ status }) => status)).toEqual([...Array(6).fill(404), 429]);
    expect(answers[0]!.headers.get('RateLimit-Policy')).toBe('"node";q=6;w=60');
  });

  it('are its own without a token as well, from its addresses: a carrier’s sockets show call tokens', async () => {
    const nodes = {
      [newId('carrier')]: { tokens: ['0'.repeat(64)], users: [], addresses: ['192.0.2.64/28'] },
    };
    const settings = { ...bindings, NODES: JSON.stringify(nodes) };
    const limits = { ...settings, RATE_LIMIT_PER_IP: '3', RATE_LIMIT_PER_NODE: '6' };
    const from = async (address: string) => (await ask(limits, 'ach_call_x', address)).status;
    const carrier = [];
    for (let i = 0; i < 7; i++) carrier.push(await from(`192.0.2.${64 + i}`));
    expect(carrier).toEqual([...Array(6).fill(404), 429]);
    expect(await from('192.0.2.80')).toBe(404);
  });

  it('and those of the operator’s programs, which ask for call tokens from one address', async () => {
    const token = newToken('service');
    const settings = { ...bindings, SERVICE_TOKENS: await hashOfToken(token) };
    const limits = { ...settings, RATE_LIMIT_PER_IP: '3', RATE_LIMIT_PER_NODE: '6' };
    const answers = [];
    for (let i = 0; i < 7; i++) answers.push(await ask(limits, token, '192.0.2.99'));
    expect(answers.map(({ status }) => status)).toEqual([...Array(6).fill(404), 429]);
    expect(answers[0]!.headers.get('RateLimit-Policy')).toBe('"service";q=6;w=60');
  });

  it('that are none are counted by address', async () => {
    const { settings } = await node();
    const limits = { ...settings, RATE_LIMIT_PER_IP: '3', RATE_LIMIT_PER_NODE: '6' };
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push((await ask(limits, newToken('node'), '192.0.2.77')).status);
    expect(statuses).toEqual([404, 404, 404, 429, 429]);
  });
});
