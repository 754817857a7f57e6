import { reset, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { DIALLED } from '../../src/call/call-slots.ts';
import { loadConfig } from '../../src/config.ts';
import { writeHeartbeat } from '../../src/metrics/read.ts';
import { bearer, codeOf, guardedService } from './auth-support.ts';
import { bindings, database } from './support.ts';

const { ask, settings, tokens, connect, userToken, project } = await guardedService();

const dialling = {
  DIAL_ALLOWED: 'DE,sip:192.0.2.20',
  DIAL_DENIED: '+49180',
  NUMBERS: JSON.stringify({
    '+493012345': { userId: 'user-1' },
    '+493099999': { userId: 'user-2' },
    '+493012346': { userId: 'dial-payer' },
    '+493012347': { userId: 'dial-many' },
    '+493012348': { userId: 'dial-owner' },
    '+493012349': { userId: 'eu-user' },
  }),
};
const to = '+4930901820';

type Settings = Record<string, unknown>;
const post = (path: string, token: string, body: object, more: Settings = {}, headers = {}) =>
  ask(
    path,
    { method: 'POST', headers: { ...bearer(token), ...headers }, body: JSON.stringify(body) },
    { ...dialling, ...more },
  );
const place = (body: object = {}, more: Settings = {}, headers = {}) =>
  post('/api/v1/calls', tokens.service, { userId: 'user-1', to, ...body }, more, headers);
const placed = async (body: object = {}, more: Settings = {}) => {
  const response = await place(body, more);
  expect(response.status).toBe(201);
  return await response.json<{ callId: string; token: string; url: string; status: string }>();
};
interface Work {
  dials: { callId: string; claim: string; [field: string]: unknown }[];
  cancelled: string[];
  waitMs: number;
}
const askWork = (token: string, free = 10, more: Settings = {}) =>
  post('/api/v1/nodes/work', token, { free }, more);
const work = async (token = tokens.node, free = 10, more: Settings = {}) => {
  const response = await askWork(token, free, more);
  expect(response.status).toBe(200);
  return await response.json<Work>();
};
const begin = async (dial: { callId: string; claim: string }, token = tokens.node, more: Settings = {}) =>
  (await post('/api/v1/nodes/dials/begin', token, { callId: dial.callId, claim: dial.claim }, more)).status;
const tell = async (
  { callId, claim }: { callId: string; claim: string },
  progress: object,
  token = tokens.node,
  more: Settings = {},
) => (await post('/api/v1/nodes/dials/progress', token, { callId, claim, ...progress }, more)).status;
const seen = async (callId: string, token = tokens.service) => {
  const response = await ask(`/api/v1/calls/${callId}`, { headers: bearer(token) }, dialling);
  return { code: response.status, body: await response.json<Record<string, unknown>>() };
};
const shard = () => bindings.DIALS.get(bindings.DIALS.idFromName('1/0'));
const logged = async (callId: string) =>
  (await database().from('call_logs').select('*').eq('call_id', callId).maybeSingle()).data;

/** The row, as soon as the queue has told of it; its alarm may be under way already. */
const told = (callId: string) =>
  vi.waitFor(async () => {
    await runDurableObjectAlarm(shard());
    const row = await logged(callId);
    expect(row).not.toBeNull();
    return row;
  }, 10_000);

const beat = (name: string, more: object = {}) =>
  writeHeartbeat(bindings, loadConfig(bindings).METRICS_SHARDS, {
    ...{ state: 'up', calls: 0, maxCalls: 100, callsPerSecond: 1, idleCpu: 90, loadAverage: 0.5, cores: 8 },
    ...{ name, at: Date.now(), ...more },
  });

/** A node whose name no test before has had: an isolate keeps a node's report for a while. */
let nodes = 0;
async function freshNode(report: object | null = {}, more: object = {}): Promise<Settings> {
  const name = `fresh-${++nodes}`;
  const node = { ...JSON.parse(settings.NODES)['fs-1'], users: '*', campaigns: '*', ...more };
  if (report !== null) await beat(name, report);
  return { NODES: JSON.stringify({ [name]: node }) };
}

beforeEach(async () => {
  await reset();
  vi.restoreAllMocks();
  await Promise.all([beat('fs-1'), beat('fs-2')]);
});

describe('POST /api/v1/calls with a number', () => {
  it('puts the call into the queue; a node takes it, dials, and tells; the log has how it ended', async () => {
    const metadata = { orderId: 'A-17', from: 'forged' };
    const { callId, token, url, status } = await placed({
      trunk: 'carrier-a',
      ringTimeoutMs: 20_000,
      metadata,
    });
    expect([status, url]).toEqual(['queued', `wss://calls.example/ws/call-session?callId=${callId}`]);
    expect(token).toMatch(/^ach_call_/);
    const { dials, cancelled } = await work();
    expect(cancelled).toEqual([]);
    expect(dials).toEqual([
      {
        ...{ callId, claim: expect.any(String), to, callerId: '+493012345', trunk: 'carrier-a' },
        ...{ userId: 'user-1', campaignId: null, ringSeconds: 20 },
      },
    ]);
    const [dial] = dials as [Work['dials'][0]];
    expect((await work()).dials).toEqual([]);
    expect(await begin(dial)).toBe(204);
    expect(await tell(dial, { state: 'ringing' })).toBe(204);
    expect((await seen(callId)).body).toMatchObject({ status: 'ringing', reason: null });
    expect(await tell(dial, { state: 'failed', cause: 'USER_BUSY', sipStatus: 486, q850: 17 })).toBe(204);
    expect((await seen(callId)).body).toMatchObject({ status: 'failed', reason: 'busy', sipStatus: 486 });

    expect(await told(callId)).toMatchObject({
      ...{ user_id: 'user-1', campaign_id: null, phone_number: to, status: 'failed', end_reason: 'busy' },
      metadata: { orderId: 'A-17', direction: 'outbound', from: '+493012345', to },
      dial: {
        ...{ state: 'failed', reason: 'busy', node: 'fs-1', trunk: 'carrier-a', callerId: '+493012345' },
        ...{
          cause: 'USER_BUSY',
          sipStatus: 486,
          q850: 17,
          ringMs: expect.any(Number),
          queuedMs: expect.any(Number),
        },
      },
    });
  });

  it('dials once for a repeat that shows the same key, and refuses the key for something else', async () => {
    const key = { 'Idempotency-Key': 'order-17' };
    const first = await (await place({}, {}, key)).json<{ callId: string }>();
    const again = await place({}, {}, key);
    expect([again.status, (await again.json<{ callId: string }>()).callId]).toEqual([201, first.callId]);
    const other = await place({ to: '+4930901821' }, {}, key);
    expect([other.status, await codeOf(other)]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
    expect((await work()).dials).toHaveLength(1);
    const [{ callId }, unkeyed] = [await placed(), await placed()];
    expect(callId).not.toBe(unkeyed.callId);
    expect((await place({}, {}, { 'Idempotency-Key': 'a b' })).status).toBe(400);
  });

  it('refuses what this service does not dial', async () => {
    const refused = async (body: object, more: Settings = {}) => {
      const response = await place(body, more);
      return [response.status, await codeOf(response)];
    };
    expect(await refused({}, { DIAL_ALLOWED: '' })).toEqual([501, 'NOT_IMPLEMENTED']);
    for (const wrong of [
      '1',
      '110',
      '+49',
      'sip:',
      'tel:+4930901820',
      '+4930901820;ext=1',
      '+49 30 90182x',
    ]) {
      expect([wrong, await refused({ to: wrong })]).toEqual([wrong, [400, 'BAD_MESSAGE']]);
    }
    for (const forbidden of [
      '+12025550123',
      '+491805123456',
      '+499001234567',
      '+88213300000',
      'sip:a@192.0.2.21',
    ]) {
      expect([forbidden, await refused({ to: forbidden })]).toEqual([forbidden, [403, 'FORBIDDEN']]);
    }
    expect(await refused({ callerId: '+493099999' })).toEqual([403, 'FORBIDDEN']);
    expect(await refused({ userId: 'user-3' })).toEqual([403, 'FORBIDDEN']);
    expect(await refused({ ringTimeoutMs: 1 })).toEqual([400, 'BAD_MESSAGE']);
    expect(await refused({ metadata: { a: { b: 1 } } })).toEqual([400, 'BAD_MESSAGE']);
    expect(await refused({ metadata: { a: 'x'.repeat(501) } })).toEqual([400, 'BAD_MESSAGE']);
    expect(await refused({ campaignId: 'nobody’s' })).toEqual([400, 'BAD_MESSAGE']);
    expect(await refused({ campaignId: 'unknown' })).toEqual([404, 'NOT_FOUND']);
    expect((await work()).dials).toEqual([]);
    expect((await placed({ to: 'sip:anna@192.0.2.20' })).status).toBe('queued');
  });

  it('is for people, for themselves, and for programs; not for nodes', async () => {
    project.listen();
    const own = await post('/api/v1/calls', await userToken('user-1'), { to });
    expect(own.status).toBe(201);
    expect((await post('/api/v1/calls', await userToken('user-1'), { to, userId: 'user-2' })).status).toBe(
      403,
    );
    expect((await post('/api/v1/calls', tokens.node, { to, userId: 'user-1' })).status).toBe(403);
    expect((await post('/api/v1/calls', tokens.metrics, { to, userId: 'user-1' })).status).toBe(403);
    const { callId } = await own.json<{ callId: string }>();
    expect((await seen(callId, await userToken('user-1'))).code).toBe(200);
    for (const stranger of [await userToken('user-2'), tokens.node, tokens.metrics]) {
      expect((await seen(callId, stranger)).code).toBe(404);
      const cancel = await ask(
        `/api/v1/calls/${callId}`,
        { method: 'DELETE', headers: bearer(stranger) },
        dialling,
      );
      expect(cancel.status).toBe(404);
    }
    expect((await seen('none')).code).toBe(404);
  });

  it('is for campaigns of the user’s that are active', async () => {
    const db = database();
    await db.from('users').insert([{ id: 'dial-owner' }, { id: 'dial-stranger' }]);
    const row = { user_id: 'dial-owner', name: 'a' };
    await db.from('campaigns').insert([
      { id: 'dial-on', ...row, status: 'active' },
      { id: 'dial-off', ...row, status: 'paused' },
      { id: 'dial-other', ...row, user_id: 'dial-stranger', status: 'active' },
    ]);
    const status = async (campaignId: string) => (await place({ userId: 'dial-owner', campaignId })).status;
    expect([await status('dial-on'), await status('dial-off'), await status('dial-other')]).toEqual([
      201, 409, 403,
    ]);
    expect((await place({ campaignId: 'set' }, { CAMPAIGNS: '{"set":{}}' })).status).toBe(201);
  });

  it('is refused to who is blocked, and to who cannot pay', async () => {
    const db = database();
    const payer = { userId: 'dial-payer' };
    await db.from('users').insert({ id: payer.userId, blocked_at: new Date().toISOString() });
    expect((await place(payer)).status).toBe(403);
    await db.from('users').update({ blocked_at: null }).eq('id', payer.userId);
    const billing = { BILLING: 'true', PRICE_PER_SECOND: '0.01' };
    const poor = await place(payer, billing);
    expect([poor.status, await codeOf(poor)]).toEqual([402, 'INSUFFICIENT_FUNDS']);
    await db.rpc('top_up_user', { of_user: payer.userId, amount: 1, payment: crypto.randomUUID() });
    expect((await place(payer, billing)).status).toBe(201);
  });

  it('waits for no database that is silent', async () => {
    const response = await place({}, { SUPABASE_URL: 'http://127.0.0.1:9' });
    expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '5']);
  });
});

describe('DELETE /api/v1/calls/{callId}', () => {
  const cancel = (callId: string) =>
    ask(`/api/v1/calls/${callId}`, { method: 'DELETE', headers: bearer(tokens.service) }, dialling);

  it('takes a call out of the queue, and its log says so', async () => {
    const { callId } = await placed();
    expect(await (await cancel(callId)).json()).toMatchObject({ status: 'cancelled' });
    expect((await work()).dials).toEqual([]);
    expect(await told(callId)).toMatchObject({
      status: 'ended',
      end_reason: 'cancelled',
      dial: { queuedMs: null },
    });
  });

  it('has the node that rings hang up; an answered call is not given up', async () => {
    const [one, two] = [await placed(), await placed()];
    const { dials } = await work();
    for (const dial of dials) expect(await begin(dial)).toBe(204);
    const [ringing, answered] = [one, two].map(
      ({ callId }) => dials.find((dial) => dial.callId === callId)!,
    ) as [Work['dials'][0], Work['dials'][0]];
    expect(await (await cancel(ringing.callId)).json()).toMatchObject({ status: 'begun', cancelled: true });
    expect((await work()).cancelled).toEqual([ringing.callId]);
    expect((await work(tokens.otherNode)).cancelled).toEqual([]);
    await tell(ringing, { state: 'failed', cause: 'ORIGINATOR_CANCEL', sipStatus: 487 });
    expect((await work()).cancelled).toEqual([]);
    expect((await seen(ringing.callId)).body).toMatchObject({ status: 'cancelled' });
    await tell(answered, { state: 'answered' });
    const late = await cancel(answered.callId);
    expect([late.status, await codeOf(late)]).toEqual([409, 'ALREADY_STARTED']);
  });
});

describe('a node', () => {
  it('gets work only while it has reported itself up, and has room', async () => {
    for (let i = 0; i < 5; i++) await placed();
    const count = async (node: Promise<Settings>, free = 10) =>
      (await work(tokens.node, free, await node)).dials.length;
    expect(await count(freshNode(null))).toBe(0);
    expect(await count(freshNode({ state: 'draining' }))).toBe(0);
    expect(await count(freshNode({ at: Date.now() - 31_000 }))).toBe(0);
    expect(await count(freshNode({ calls: 100 }))).toBe(0);
    expect(await count(freshNode({ calls: 99 }))).toBe(1);
    expect(await count(freshNode(), 0)).toBe(0);
    expect(await count(freshNode({}, { dials: { atOnce: 2 } }))).toBe(2);
    expect(await count(freshNode({}, { dials: { perSecond: 1 } }))).toBe(1);
  });

  it('is told where the call of a user has to be who is kept in a jurisdiction', async () => {
    await placed();
    await placed({ userId: 'eu-user' });
    const { dials } = await work(tokens.node, 10, await freshNode());
    expect(dials.map(({ userId, region }) => [userId, region])).toEqual([
      ['user-1', undefined],
      ['eu-user', 'eu'],
    ]);
  });

  it('gets and begins those of its users alone, and none that another one has claimed', async () => {
    const { callId } = await placed();
    expect((await work(tokens.otherNode)).dials).toEqual([]);
    const [dial] = (await work()).dials as [Work['dials'][0]];
    expect(dial.callId).toBe(callId);
    expect(await begin(dial, tokens.otherNode)).toBe(409);
    expect(await tell(dial, { state: 'answered' }), 'it has not begun').toBe(404);
    expect(await begin({ ...dial, claim: 'guessed' })).toBe(409);
    expect(await begin(dial)).toBe(204);
    expect(await tell(dial, { state: 'answered' }, tokens.otherNode)).toBe(404);
    expect((await seen(callId)).body).toMatchObject({ status: 'begun' });
  });

  it('is the only one that gets work, and what it sends is checked', async () => {
    for (const token of [tokens.service, tokens.metrics]) expect((await askWork(token)).status).toBe(403);
    expect((await askWork('ach_node_none')).status).toBe(401);
    for (const path of ['work', 'dials/begin', 'dials/progress']) {
      for (const body of [
        {},
        { free: -1 },
        { callId: 'a/b', claim: 'c' },
        { callId: 'a', claim: 'c', state: 'gone' },
      ]) {
        expect((await post(`/api/v1/nodes/${path}`, tokens.node, body)).status).toBe(400);
      }
    }
    const end = { callId: 'a', claim: 'c', state: 'failed' };
    for (const wrong of [{ cause: 'a b' }, { sipStatus: 200 }, { q850: 128 }, { x: 1 }]) {
      expect((await post('/api/v1/nodes/dials/progress', tokens.node, { ...end, ...wrong })).status).toBe(
        400,
      );
    }
  });

  it('gets no more of a user than he may have at once; a call that failed makes room, one that is answered keeps its place', async () => {
    const userId = 'dial-many';
    await database().from('users').insert({ id: userId, max_concurrent_calls: 2 });
    const shown = new Map<string, string>();
    for (let i = 0; i < 3; i++) {
      const { callId, token } = await placed({ userId });
      shown.set(callId, token);
    }
    const node = await freshNode();
    const { dials } = await work(tokens.node, 10, node);
    expect(dials).toHaveLength(2);
    const [one, two] = dials as [Work['dials'][0], Work['dials'][0]];
    for (const dial of dials) expect(await begin(dial, tokens.node, node)).toBe(204);
    await tell(one, { state: 'answered' }, tokens.node, node);
    // Its WebSocket: the same call, and no third one.
    const protocols = { 'Sec-WebSocket-Protocol': `call, call-token.${shown.get(one.callId)}` };
    const client = await connect(`/ws/call-session?callId=${one.callId}`, protocols);
    client.send({ type: 'start_call', callId: one.callId, userId, metadata: {} });
    await client.untilStatus('Listening');
    await tell(two, { state: 'failed', sipStatus: 486 }, tokens.node, node);
    const user = bindings.USER_CALLS.get(bindings.USER_CALLS.idFromName(userId));
    await vi.waitFor(async () => {
      const held = await runInDurableObject(user, (_, { storage }) =>
        [...storage.kv.list({ prefix: 'lease/' })].map(([key]) => key),
      );
      expect(held).toHaveLength(1);
      expect(held[0]).not.toBe(`lease/${one.callId}/${DIALLED}`);
    });
    client.send({ type: 'end_call' });
    await client.closed;
  });
});

it.each([
  ['whose campaign was paused since', 'campaign not active', { status: 'paused' }, {}],
  ['whose user was blocked since', 'user blocked', {}, { blocked_at: new Date().toISOString() }],
])('a call %s is not dialled', async (_, reason, campaign, user) => {
  const userId = 'dial-owner';
  const campaignId = `dial-${reason.replaceAll(' ', '-')}`;
  const db = database();
  // Earlier tests may have left the account.
  await db.from('users').upsert({ id: userId, blocked_at: null });
  await db.from('campaigns').insert({ id: campaignId, user_id: userId, name: 'a', status: 'active' });
  const { callId } = await placed({ userId, campaignId });
  await db
    .from('campaigns')
    .update({ status: 'active', ...campaign })
    .eq('id', campaignId);
  await db
    .from('users')
    .update({ blocked_at: null, ...user })
    .eq('id', userId);
  const node = await freshNode();
  expect((await work(tokens.node, 10, node)).dials).toEqual([]);
  expect((await seen(callId)).body).toMatchObject({ status: 'failed', reason });
  expect(await told(callId)).toMatchObject({ status: 'failed', end_reason: reason });
  await db.from('users').update({ blocked_at: null }).eq('id', userId);
});

describe('a call that was placed and answered', () => {
  it('has what it was given along with its request, as any metadata; nobody else’s call has', async () => {
    const { callId } = await placed({ metadata: { orderId: 'A-17' } });
    const [dial] = (await work()).dials as [Work['dials'][0]];
    await begin(dial);
    await tell(dial, { state: 'answered' });
    const path = `/ws/call-session?callId=${callId}&dialled=true`;
    const client = await connect(path, bearer(tokens.node));
    client.send({ type: 'start_call', callId, userId: 'user-1', metadata: { node: 'fs-1' } });
    await client.untilStatus('Listening');
    client.send({ type: 'end_call' });
    await client.closed;
    await vi.waitFor(async () => {
      expect(await logged(callId)).toMatchObject({
        status: 'ended',
        metadata: { orderId: 'A-17', node: 'fs-1' },
      });
    }, 10_000);
    const other = await placed({ metadata: { orderId: 'A-18' } });
    const stranger = await connect(
      `/ws/call-session?callId=${other.callId}&dialled=true`,
      bearer(tokens.otherNode),
    );
    stranger.send({ type: 'start_call', callId: other.callId, userId: 'user-2', metadata: {} });
    await stranger.untilStatus('Listening');
    stranger.send({ type: 'end_call' });
    await stranger.closed;
    await vi.waitFor(async () => {
      expect(await logged(other.callId)).toMatchObject({ user_id: 'user-2', metadata: {} });
      expect((await logged(other.callId))?.metadata).not.toHaveProperty('orderId');
    }, 10_000);
  });
});

describe('the log of a call that was placed', () => {
  it('has how it was dialled also where it was answered, whichever of the two comes first', async () => {
    const { callId } = await placed();
    const [dial] = (await work()).dials as [Work['dials'][0]];
    await begin(dial);
    await tell(dial, { state: 'ringing' });
    await tell(dial, { state: 'answered' });
    await runDurableObjectAlarm(shard());
    expect(await logged(callId), 'the call writes its row itself').toBeNull();
    const row = { call_id: callId, user_id: 'user-1', start_time: new Date().toISOString() };
    expect((await database().from('call_logs').insert(row)).error).toBeNull();
    await vi.waitFor(async () => {
      await runDurableObjectAlarm(shard());
      expect(await logged(callId)).toMatchObject({
        ...{ status: 'active', end_reason: null },
        dial: { state: 'answered', reason: null, node: 'fs-1', ringMs: expect.any(Number) },
      });
    }, 10_000);
  });

  it('arrives once the database is back, and has the number only as it may be stored', async () => {
    const { callId } = await placed({}, {});
    const [dial] = (await work()).dials as [Work['dials'][0]];
    await begin(dial);
    const real = globalThis.fetch;
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      if (String(input instanceof Request ? input.url : input).endsWith('/rpc/dials_ended'))
        throw new TypeError('down');
      return await real(input, init);
    });
    await tell(dial, { state: 'failed', sipStatus: 603 });
    await runDurableObjectAlarm(shard());
    expect(await logged(callId)).toBeNull();
    vi.restoreAllMocks();
    await vi.waitFor(async () => {
      await runDurableObjectAlarm(shard());
      expect(await logged(callId)).toMatchObject({ end_reason: 'declined', status: 'failed' });
    }, 10_000);
    // The number is not kept here any longer.
    const kept = await runInDurableObject(shard(), (_, { storage }) =>
      storage.sql.exec('SELECT destination, told FROM dials').toArray(),
    );
    expect(kept).toEqual([{ destination: '', told: 1 }]);
  });
});
