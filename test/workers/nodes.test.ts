import { reset } from 'cloudflare:test';
import { beforeEach, describe, expect, it } from 'vitest';
import { NODE_FORGOTTEN_MS } from '../../src/metrics/nodes.ts';
import { readCounts, writeHeartbeat } from '../../src/metrics/read.ts';
import { bearer, codeOf, guardedService } from './auth-support.ts';
import { bindings, database } from './support.ts';

const { ask, tokens } = await guardedService();
const heartbeat = {
  state: 'up',
  calls: 7,
  maxCalls: 1_200,
  callsPerSecond: 1,
  idleCpu: 90,
  loadAverage: 0.5,
  cores: 8,
};

const beat = (token: string | null, body: unknown = heartbeat) =>
  ask('/api/v1/nodes/heartbeat', {
    method: 'POST',
    headers: token === null ? {} : bearer(token),
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const health = async () => (await ask('/health', { headers: bearer(tokens.metrics) })).json();
const prometheus = async () =>
  (await ask('/metrics', { headers: { ...bearer(tokens.metrics), Accept: 'text/plain' } })).text();

beforeEach(() => reset());

describe('a node’s heartbeat', () => {
  it('tells the operator how many nodes take calls, and of each its load', async () => {
    expect(await health()).not.toHaveProperty('nodes');
    expect((await beat(tokens.node)).status).toBe(204);
    expect((await beat(tokens.otherNode, { ...heartbeat, state: 'draining' })).status).toBe(204);
    expect(await health()).toMatchObject({
      status: 'ok',
      nodes: { up: 1, draining: 1, failing: 0, silent: 0 },
    });
    expect(await prometheus()).toContain(
      'callhandler_node_up{node="fs-1"} 1\ncallhandler_node_up{node="fs-2"} 0\n',
    );
    // Not for strangers.
    expect(await (await ask('/health')).json()).not.toHaveProperty('nodes');
  });

  it('of the last node that goes turns the service degraded', async () => {
    await beat(tokens.node);
    await beat(tokens.node, { ...heartbeat, state: 'failing' });
    expect(await health()).toMatchObject({ status: 'degraded', nodes: { up: 0, failing: 1 } });
    await beat(tokens.node);
    expect(await health()).toMatchObject({ status: 'ok', nodes: { up: 1, failing: 0 } });
  });

  it('is nobody’s once its node is taken out of the settings: nobody is alerted of its silence', async () => {
    await beat(tokens.node);
    await beat(tokens.otherNode, { ...heartbeat, state: 'failing' });
    const settings = { tokens: ['0'.repeat(64)], users: '*' };
    const left = { NODES: JSON.stringify({ 'fs-1': settings }) };
    const answer = await ask('/health', { headers: bearer(tokens.metrics) }, left);
    expect(await answer.json()).toMatchObject({ nodes: { up: 1, draining: 0, failing: 0, silent: 0 } });
  });

  it('takes the place of the one before; nodes that are long gone are forgotten', async () => {
    const now = Date.now();
    const report = { ...heartbeat, state: 'up' as const };
    await writeHeartbeat(bindings, 1, { ...report, name: 'old', at: now - NODE_FORGOTTEN_MS - 1 });
    await writeHeartbeat(bindings, 1, { ...report, name: 'a', at: now - 10, calls: 1 });
    await writeHeartbeat(bindings, 1, { ...report, name: 'a', at: now, calls: 2 });
    const settings = { tokens: ['0'.repeat(64)], users: '*' };
    const env = { ...bindings, NODES: JSON.stringify({ a: settings, old: settings }) };
    expect((await readCounts(env, 1, now)).nodes).toEqual([{ ...report, name: 'a', at: now, calls: 2 }]);
  });

  it('is a node’s alone', async () => {
    expect((await beat(null)).status).toBe(401);
    for (const token of [tokens.service, tokens.metrics]) {
      const response = await beat(token);
      expect([response.status, await codeOf(response)]).toEqual([403, 'FORBIDDEN']);
    }
    expect(await health()).not.toHaveProperty('nodes');
  });

  it('is checked', async () => {
    for (const body of ['', '[', '{}', { ...heartbeat, calls: -1 }, { ...heartbeat, name: 'fs-2' }]) {
      expect((await beat(tokens.node, body)).status).toBe(400);
    }
    expect((await beat(tokens.node, 'x'.repeat(1_025))).status).toBe(413);
    expect(await health()).not.toHaveProperty('nodes');
  });
});

describe('how a call ended on the telephone network', () => {
  const hangup = { cause: 'NORMAL_CLEARING', q850: 16, by: 'recv_bye', seconds: 42 };
  const callId = (name: string) => `${name}-${crypto.randomUUID()}`;
  const tell = (token: string, body: object) =>
    ask('/api/v1/nodes/hangups', { method: 'POST', headers: bearer(token), body: JSON.stringify(body) });
  const logged = async (id: string) =>
    (await database().from('call_logs').select('hangup, end_reason').eq('call_id', id).single()).data;
  async function call(userId: string, campaign_id: string | null = null, node?: string): Promise<string> {
    const call_id = callId('call');
    const start_time = new Date(0).toISOString();
    const metadata = node === undefined ? {} : { sip: { node } };
    const row = { call_id, user_id: userId, campaign_id, start_time, metadata };
    expect((await database().from('call_logs').insert(row)).error).toBeNull();
    return call_id;
  }

  it('stands in the call’s row, told by the node that may call for its user; once', async () => {
    const id = await call('user-1', 'campaign-1');
    expect((await tell(tokens.node, { callId: id, ...hangup })).status).toBe(204);
    expect((await tell(tokens.node, { callId: id, ...hangup, cause: 'OTHER' })).status).toBe(204);
    expect(await logged(id)).toMatchObject({ hangup });
  });

  it('is told by the node that had the call, not by another one of the same user’s', async () => {
    const [own, other] = [
      await call('user-1', 'campaign-1', 'fs-1'),
      await call('user-1', 'campaign-1', 'fs-3'),
    ];
    expect((await tell(tokens.node, { callId: own, ...hangup })).status).toBe(204);
    expect(await logged(own)).toMatchObject({ hangup });
    expect((await tell(tokens.node, { callId: other, ...hangup })).status).toBe(404);
    expect(await logged(other)).toMatchObject({ hangup: null });
  });

  it('of somebody else’s call, or of none, is not written', async () => {
    for (const id of [await call('user-2'), await call('user-1', 'campaign-2')]) {
      const response = await tell(tokens.node, { callId: id, ...hangup });
      expect([response.status, await codeOf(response)]).toEqual([404, 'NOT_FOUND']);
      expect(await logged(id)).toMatchObject({ hangup: null });
    }
    expect((await tell(tokens.node, { callId: callId('none'), ...hangup })).status).toBe(404);
  });

  it('is a node’s to tell, and checked', async () => {
    const id = await call('user-1');
    expect((await tell(tokens.service, { callId: id, ...hangup })).status).toBe(403);
    for (const wrong of [
      { cause: 'a b' },
      { q850: 128 },
      { by: "'" },
      { seconds: -1 },
      { callId: 'a/b' },
      { x: 1 },
    ]) {
      expect((await tell(tokens.node, { callId: id, ...hangup, ...wrong })).status).toBe(400);
    }
    expect(await logged(id)).toMatchObject({ hangup: null });
  });

  it('waits for a database that does not answer, and says so', async () => {
    const down = { SUPABASE_URL: 'http://127.0.0.1:9' };
    const init = {
      method: 'POST',
      headers: bearer(tokens.node),
      body: JSON.stringify({ callId: 'x', ...hangup }),
    };
    expect((await ask('/api/v1/nodes/hangups', init, down)).status).toBe(503);
  });
});
