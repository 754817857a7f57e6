import { reset, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CallSessionDO } from '../../src/CallSessionDO.ts';
import type { ClientMessage } from '../../src/dialects/native-messages.ts';
import { hasTables } from '../../src/durable/storage.ts';
import { objectsIn } from '../../src/regions/namespaces.ts';
import type { Jurisdiction } from '../../src/regions/settings.ts';
import { router } from '../../src/router.ts';
import { seeded } from '../support/random.ts';
import { bearer, codeOf, guardedService } from './auth-support.ts';
import { bindings, database, scriptVendor, TestClient } from './support.ts';

// REGIONS of vitest.config.ts: eu-user is kept in the European Union, us-user near the east of the United States.

beforeAll(() => reset());
afterEach(() => vi.restoreAllMocks());

let calls = 0;
const nextId = () => `region-${++calls}-${crypto.randomUUID()}`;
const start = (callId: string, userId: string, resumeToken?: string): ClientMessage => ({
  type: 'start_call',
  callId,
  userId,
  metadata: {},
  ...(resumeToken === undefined ? {} : { resumeToken }),
});

const objectOf = (callId: string, jurisdiction: Jurisdiction | null): DurableObjectStub<CallSessionDO> => {
  const objects = objectsIn(bindings.CALL_SESSION, jurisdiction);
  return objects.get(objects.idFromName(callId));
};

/** What an object keeps: whether it has a call, and the keys of its small entries. */
const keptBy = (callId: string, jurisdiction: Jurisdiction | null) =>
  runInDurableObject(objectOf(callId, jurisdiction), (_, { storage }) => ({
    call: hasTables(storage.sql),
    entries: [...storage.kv.list()].map(([key]) => key).sort(),
  }));

async function begun(callId: string, userId: string, query = ''): Promise<TestClient> {
  const client = await TestClient.connect(`/ws/call-session?callId=${callId}${query}`);
  client.send(start(callId, userId));
  await client.untilStatus('Listening');
  return client;
}

/** The client was turned away; with these codes. */
async function refused(client: TestClient): Promise<(string | number | undefined)[]> {
  await client.until((c) => c.closed !== null, 'the close');
  return [...client.ofType('error').map(({ code }) => code), client.closed?.code];
}

async function endedRowOf(callId: string) {
  return await vi.waitFor(
    async () => {
      const { data } = await database().from('call_logs').select('*').eq('call_id', callId).maybeSingle();
      expect(data?.end_reason).toBeTruthy();
      return data as { recording: string; end_reason: string; counts: object };
    },
    { timeout: 15_000, interval: 100 },
  );
}

/** In which buckets a recording is, once it is in one. */
const bucketsWith = (key: string) =>
  vi.waitFor(
    async () => {
      const found = [];
      if ((await bindings.RECORDINGS.head(key)) !== null) found.push('anywhere');
      if ((await bindings.RECORDINGS_EU!.head(key)) !== null) found.push('eu');
      expect(found).not.toEqual([]);
      return found;
    },
    { timeout: 15_000, interval: 100 },
  );

describe('the call of a user who is kept in the European Union', () => {
  it('lives there, is counted there and is recorded there; elsewhere is only that its id is taken', async () => {
    scriptVendor();
    const callId = nextId();
    const client = await begun(callId, 'eu-user', '&userId=eu-user');
    expect((await keptBy(callId, 'eu')).call).toBe(true);
    expect(await keptBy(callId, null)).toEqual({ call: false, entries: ['alarms', 'claim'] });
    const claim = await runInDurableObject(objectOf(callId, null), (_, { storage }) =>
      storage.kv.get('claim'),
    );
    expect(JSON.stringify(claim)).not.toMatch(/eu-user|region-/);

    const counted = async (jurisdiction: Jurisdiction | null) => {
      const users = objectsIn(bindings.USER_CALLS, jurisdiction);
      return await runInDurableObject(users.get(users.idFromName('eu-user')), (_, { storage }) =>
        JSON.stringify([...storage.kv.list()]).includes(callId),
      );
    };
    expect([await counted('eu'), await counted(null)]).toEqual([true, false]);

    client.send({ type: 'end_call' });
    const { recording } = await endedRowOf(callId);
    expect(await bucketsWith(recording)).toEqual(['eu']);
    const heard = await router.request(`http://localhost/api/v1/recordings/${callId}`, {}, bindings);
    expect(heard.status).toBe(200);
    expect((await heard.arrayBuffer()).byteLength).toBeGreaterThan(44);
  });

  it('is come back to with the same address, also after the object was killed, and recorded there as one', async () => {
    scriptVendor();
    const callId = nextId();
    const client = await begun(callId, 'eu-user', '&region=eu');
    const token = client.ofType('status').flatMap((m) => ('resumeToken' in m ? [m.resumeToken!] : []))[0];
    const killed = runInDurableObject(objectOf(callId, 'eu'), async (_, state) => {
      await state.storage.sync();
      state.abort('killed by the test');
    });
    await expect(killed).rejects.toThrow('killed by the test');
    const again = await TestClient.connect(`/ws/call-session?callId=${callId}&region=eu`);
    again.send(start(callId, 'eu-user', token));
    await again.untilStatus('The call goes on');
    again.send({ type: 'end_call' });
    const row = await endedRowOf(callId);
    expect(row).toMatchObject({ end_reason: 'hangup', counts: { resumes: 1 } });
    expect(await bucketsWith(row.recording)).toEqual(['eu']);
  });

  it('needs no id in its address', async () => {
    scriptVendor();
    const callId = nextId();
    const client = await TestClient.connect('/ws/call-session', { 'X-Region': 'eu' });
    client.send(start(callId, 'eu-user'));
    await client.untilStatus('Listening');
    client.send({ type: 'end_call' });
    expect(await bucketsWith((await endedRowOf(callId)).recording)).toEqual(['eu']);
  });

  it.each([
    ['anywhere', ''],
    ['in another region', '&region=enam'],
  ])('is refused %s, before anything of it is written down', async (_, query) => {
    const callId = nextId();
    const client = await TestClient.connect(`/ws/call-session?callId=${callId}${query}`);
    client.send(start(callId, 'eu-user'));
    expect(await refused(client)).toEqual(['WRONG_REGION', 4403]);
    expect(await keptBy(callId, null)).toEqual({ call: false, entries: [] });
    const { data } = await database().from('call_logs').select('call_id').eq('call_id', callId);
    expect(data).toEqual([]);
  });
});

describe('a call id', () => {
  it('is of one call, whatever regions it is tried in', async () => {
    scriptVendor();
    for (const [first, second] of [
      ['&region=eu', ''],
      ['', '&region=eu'],
    ] as const) {
      const callId = nextId();
      const client = await begun(callId, 'user-1', first);
      const other = await TestClient.connect(`/ws/call-session?callId=${callId}${second}`);
      other.send(start(callId, 'user-1'));
      expect(await refused(other)).toEqual(['CALL_ID_IN_USE', 4409]);
      client.send({ type: 'end_call' });
      expect((await endedRowOf(callId)).end_reason).toBe('hangup');
    }
  });

  it('is of one call, where several begin in the same moment', async () => {
    scriptVendor();
    const { fraction } = seeded(20261121);
    for (let round = 0; round < 4; round++) {
      const callId = nextId();
      // With an id in the address or without, in the region or out of it.
      const bound = `?callId=${callId}`;
      const ways = [bound, `${bound}&region=eu`, '?region=eu', ''].sort(() => fraction() - 0.5);
      const clients = await Promise.all(ways.map((way) => TestClient.connect(`/ws/call-session${way}`)));
      for (const client of clients) client.send(start(callId, 'user-1'));
      const settled = (client: TestClient) =>
        client.closed !== null ||
        client.messages.some((m) => m.type === 'status' && m.message === 'Listening');
      await Promise.all(clients.map((client) => client.until(settled, 'an answer')));
      const going = clients.filter(({ closed }) => closed === null);
      expect(going).toHaveLength(1);
      for (const client of clients) {
        if (client !== going[0]) expect(await refused(client)).toEqual(['CALL_ID_IN_USE', 4409]);
      }
      going[0]!.send({ type: 'end_call' });
      await going[0]!.until((c) => c.closed !== null, 'the end');
    }
  });

  it('that was refused in a region leaves nothing there', async () => {
    scriptVendor();
    const callId = nextId();
    const client = await begun(callId, 'user-1');
    const other = await TestClient.connect(`/ws/call-session?callId=${callId}&region=eu`);
    other.send(start(callId, 'user-1'));
    await refused(other);
    await vi.waitFor(async () => expect(await keptBy(callId, 'eu')).toEqual({ call: false, entries: [] }));
    client.send({ type: 'end_call' });
    await endedRowOf(callId);
  });
});

describe('where the object of a leg is made', async () => {
  const service = await guardedService();
  const { tokens, settings } = service;

  /** Cloudflare's namespace, as far as it is asked: tells what was, and answers nothing. */
  function namespaceDouble() {
    const asked: unknown[] = [];
    const objects = (jurisdiction: string | null) => ({
      idFromName: (name: string) => name,
      newUniqueId: () => 'unique',
      get: (id: unknown, options: object = {}) => {
        asked.push([jurisdiction, id, options]);
        return { fetch: async () => new Response(null, { status: 204 }) };
      },
      jurisdiction: (name: string) => objects(name),
    });
    return { asked, namespace: objects(null) };
  }
  const REGIONS = JSON.stringify({
    default: 'weur',
    users: { 'user-1': 'eu', 'user-2': 'enam' },
    nodes: { 'fs-3': 'apac' },
  });
  const placed = async (path: string, headers: Record<string, string>, more: object = {}) => {
    const { asked, namespace } = namespaceDouble();
    const nodes = JSON.parse(settings.NODES) as Record<string, { tokens: string[] }>;
    const env = {
      ...settings,
      REGIONS,
      // The same token, of a node that calls for everybody.
      NODES: JSON.stringify({ 'fs-1': nodes['fs-1'], 'fs-3': { tokens: nodes['fs-2']!.tokens, users: '*' } }),
      CALL_SESSION: namespace,
      ...more,
    };
    const request = { headers: { Upgrade: 'websocket', ...headers } };
    const response = await router.request(`https://calls.example${path}`, request, env);
    return { status: response.status, asked };
  };

  it.each<[string, string, Record<string, string>, unknown]>([
    ['a node of one user', '/ws/call-session?callId=a', bearer(tokens.node), ['eu', 'a', {}]],
    ['that asks for another', '/ws/call-session?callId=a&region=apac', bearer(tokens.node), ['eu', 'a', {}]],
    [
      'a node of all',
      '/ws/call-session?callId=a',
      bearer(tokens.otherNode),
      [null, 'a', { locationHint: 'apac' }],
    ],
    [
      'that names a user',
      '/ws/call-session?callId=a&userId=user-1',
      bearer(tokens.otherNode),
      ['eu', 'a', {}],
    ],
    ['a program that asks', '/ws/call-session?region=eu', bearer(tokens.service), ['eu', 'unique', {}]],
    [
      'a program that names a user elsewhere',
      '/ws/call-session?region=eu&userId=user-2',
      bearer(tokens.service),
      [null, 'unique', { locationHint: 'enam' }],
    ],
    [
      'a program that says nothing',
      '/ws/call-session',
      bearer(tokens.service),
      [null, 'unique', { locationHint: 'weur' }],
    ],
  ])('%s', async (_, path, headers, where) => {
    expect((await placed(path, headers)).asked).toEqual([where]);
  });

  it('is that of the user whose single-call token it is', async () => {
    const response = await service.ask('/api/v1/calls', {
      method: 'POST',
      headers: bearer(tokens.service),
      body: JSON.stringify({ userId: 'user-1' }),
    });
    const { callId, token } = await response.json<{ callId: string; token: string }>();
    const { asked } = await placed(`/ws/call-session?region=enam&userId=user-2&token=${token}`, {});
    expect(asked).toEqual([['eu', callId, {}]]);
  });

  it('is nowhere else, where there is no such region, no bucket in it, or it cannot be had', async () => {
    const unknown = await placed('/ws/call-session?region=mars', bearer(tokens.service));
    expect(unknown).toEqual({ status: 400, asked: [] });
    const unbound = await placed('/ws/call-session', bearer(tokens.node), { RECORDINGS_EU: undefined });
    expect(unbound).toEqual({ status: 503, asked: [] });
    const { asked, namespace } = namespaceDouble();
    const failing = {
      ...namespace,
      jurisdiction: () => {
        throw new Error('Jurisdictions are not available to this account.');
      },
    };
    const without = await placed('/ws/call-session', bearer(tokens.node), { CALL_SESSION: failing });
    expect([without.status, asked]).toEqual([503, []]);
  });

  it('tells a wrong setting by its name', async () => {
    const more = { REGIONS: '{"users": {"acme": "mars"}}' };
    const response = await service.ask('/health', {}, more);
    expect([response.status, await codeOf(response)]).toEqual([500, 'INTERNAL_ERROR']);
  });
});
