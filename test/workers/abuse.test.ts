import {
  createExecutionContext,
  listDurableObjectIds,
  reset,
  runInDurableObject,
  waitOnExecutionContext,
} from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CallSessionDO } from '../../src/CallSessionDO.ts';
import { anonymous } from '../../src/call/principal.ts';
import { closeCodes, errorCodes } from '../../src/dialects/native-messages.ts';
import type { Env } from '../../src/env.ts';
import { writeLegRequest } from '../../src/http/leg-request.ts';
import { router } from '../../src/router.ts';
import { malformed, tooLarge } from '../support/malformed-messages.ts';
import { seeded } from '../support/random.ts';
import { bindings, scriptVendor, TestClient } from './support.ts';

beforeEach(() => reset());
afterEach(() => vi.restoreAllMocks());

const newId = (what: string) => `${what}-${crypto.randomUUID()}`;

/** An object with settings of its own. Everything that is done with its socket happens in there. */
async function inObject(
  settings: Record<string, string>,
  act: (open: () => Promise<Response>, callId: string) => Promise<void>,
): Promise<void> {
  const callId = newId('abuse');
  const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
  await runInDurableObject(stub, async (_, state) => {
    const object = new CallSessionDO(state, { ...bindings, ...settings } as Env);
    const open = () => {
      const request = new Request('http://service.test/', { headers: { Upgrade: 'websocket' } });
      return object.fetch(
        writeLegRequest(request, { callId, dialect: 'call-session', bound: true, principal: anonymous }),
      );
    };
    await act(open, callId);
  });
}

/** Calls and sockets that this isolate counts as open: with one place more, another socket is taken. */
async function openInIsolate(): Promise<number> {
  for (let open = 0; ; open++) {
    let taken = false;
    await inObject({ MAX_CONCURRENT_CALLS_PER_WORKER: String(open + 1) }, async (connect) => {
      const { webSocket } = await connect();
      taken = webSocket !== null;
      if (webSocket !== null) await closed(TestClient.on(webSocket));
    });
    if (taken) return open;
  }
}

/** Those of other tests may end meanwhile. */
let openBefore = 0;
beforeEach(async () => {
  openBefore = await openInIsolate();
});
const untilNothingIsLeft = () =>
  vi.waitFor(async () => expect(await openInIsolate()).toBeLessThanOrEqual(openBefore), {
    timeout: 10_000,
    interval: 100,
  });

async function closed(client: TestClient): Promise<void> {
  client.close();
  await client.until((c) => c.closed !== null, 'the close');
}

describe('malformed messages', () => {
  const MESSAGES = 100_000;
  /** As many errors as a leg may make. */
  const A_SOCKET = 100;
  const AT_ONCE = 10;
  /** Of so many sockets one has a call, and its messages come into that. */
  const CALL_OF = 100;

  it('100,000 of them, seeded: each socket gets typed errors, its close code, and leaves nothing', async () => {
    scriptVendor();
    const codes = new Map<string, number>();
    const closes = new Map<number, number>();
    let sent = 0;
    const objectsBefore = (await listDurableObjectIds(bindings.CALL_SESSION)).length;
    const attack = async (seed: number) => {
      const random = seeded(seed);
      const inCall = seed % CALL_OF === 0;
      const client = await TestClient.connect(
        inCall ? undefined : `/ws/call-session?callId=lane-${seed % AT_ONCE}`,
      );
      if (inCall) {
        const transport = random.of(['json', 'binary'] as const);
        client.send({
          type: 'start_call',
          callId: newId('fuzz'),
          userId: newId('user'),
          audio: { transport },
        });
        await client.untilStatus('The call has started');
      }
      for (let i = 0; i < A_SOCKET; i++) {
        client.send(random.whole(500) === 0 ? tooLarge(random) : malformed(random));
        sent++;
      }
      // Some were in order after all, by chance; a socket that makes no more errors is closed by its own wish.
      client.send({ type: 'end_call' });
      await client.until((c) => c.closed !== null, `the close of ${seed}`);
      for (const { code } of client.ofType('error')) codes.set(code, (codes.get(code) ?? 0) + 1);
      closes.set(client.closed!.code, (closes.get(client.closed!.code) ?? 0) + 1);
    };
    for (let seed = 0; seed < MESSAGES / A_SOCKET; seed += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => attack(seed + i)));
    }
    expect(sent).toBe(MESSAGES);
    for (const code of codes.keys()) expect(errorCodes).toContain(code);
    expect([...codes.keys()].sort()).toEqual(['BAD_AUDIO', 'BAD_MESSAGE', 'NOT_STARTED', 'TOO_LARGE']);
    expect([...codes.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0.95 * MESSAGES);
    for (const code of closes.keys()) expect([closeCodes.ended, closeCodes.badMessages]).toContain(code);
    // An attack leaves no objects behind: each call that it began has two, its own and that of its id, until it is delivered.
    const calls = MESSAGES / A_SOCKET / CALL_OF;
    const objects = (await listDurableObjectIds(bindings.CALL_SESSION)).length;
    expect(objects - objectsBefore).toBeLessThanOrEqual(2 * calls + AT_ONCE);
    await untilNothingIsLeft();
  }, 240_000);
});

describe('a stranger', () => {
  it('with a thousand sockets has as many as an address may ask for, and they leave nothing', async () => {
    const context = createExecutionContext();
    const settings = { ...bindings, RATE_LIMIT_PER_IP: '100', RATE_LIMITER: undefined };
    const headers = { Upgrade: 'websocket', 'CF-Connecting-IP': '127.0.0.66' };
    const sockets: TestClient[] = [];
    const statuses = new Map<number, number>();
    for (let i = 0; i < 1_000; i++) {
      const { status, webSocket } = await router.request('/ws/call-session', { headers }, settings, context);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (webSocket !== null) sockets.push(TestClient.on(webSocket));
    }
    expect(Object.fromEntries(statuses)).toEqual({ 101: 100, 429: 900 });
    await Promise.all(sockets.map(closed));
    await waitOnExecutionContext(context);
    await untilNothingIsLeft();
  });

  it('with a hundred sockets for one call id has nine of them, the first and the newest', async () => {
    await inObject({}, async (open) => {
      const clients: TestClient[] = [];
      for (let i = 0; i < 100; i++) clients.push(TestClient.on((await open()).webSocket!));
      const turnedAway = clients.slice(1, 92);
      await Promise.all(turnedAway.map((client) => client.until((c) => c.closed !== null, 'the close')));
      for (const client of turnedAway) {
        expect(client.ofType('error').map(({ code }) => code)).toEqual(['TOO_MANY_CALLS']);
        expect(client.closed?.code).toBe(closeCodes.refused);
      }
      const standing = [clients[0]!, ...clients.slice(92)];
      expect(standing.map((client) => client.closed)).toEqual(Array(9).fill(null));
      await Promise.all(standing.map(closed));
    });
  });

  it('that knows a call id and not its token makes five errors, marks among them, and is out', async () => {
    await inObject({}, async (open) => {
      const owner = TestClient.on((await open()).webSocket!);
      const stranger = TestClient.on((await open()).webSocket!);
      for (let i = 0; i < 50; i++) stranger.send({ type: 'mark', name: 'm' });
      await stranger.until((c) => c.closed !== null, 'the close');
      // The last one is said again, as the reason.
      expect(stranger.ofType('error').map(({ code }) => code)).toEqual(Array(6).fill('NOT_STARTED'));
      expect(stranger.closed?.code).toBe(closeCodes.badMessages);
      expect(owner.closed).toBeNull();
      await closed(owner);
    });
  });

  it('gets 503 and when to come back, before the upgrade, where the isolate has as many calls as it takes', async () => {
    const settings = { MAX_CONCURRENT_CALLS_PER_WORKER: String(openBefore + 1) };
    await inObject(settings, async (open) => {
      const client = TestClient.on((await open()).webSocket!);
      await inObject(settings, async (openAnother) => {
        const refused = await openAnother();
        expect([refused.status, refused.webSocket]).toEqual([503, null]);
        expect(refused.headers.get('Retry-After')).toBe('5');
        expect(await refused.json()).toMatchObject({ error: { code: 'TOO_MANY_CALLS' } });
      });
      await closed(client);
    });
    await untilNothingIsLeft();
  });
});

describe('a slow client', () => {
  it('that never starts a call is closed when its time is over', async () => {
    await inObject({ START_TIMEOUT: '200' }, async (open) => {
      const client = TestClient.on((await open()).webSocket!);
      await client.until((c) => c.closed !== null, 'the close');
      expect(client.ofType('error').map(({ code }) => code)).toEqual(['TIMEOUT']);
      expect(client.closed?.code).toBe(closeCodes.timeout);
    });
    await untilNothingIsLeft();
  });

  it('that trickles instead is closed at the same time', async () => {
    await inObject({ START_TIMEOUT: '300' }, async (open) => {
      const client = TestClient.on((await open()).webSocket!);
      const trickle = setInterval(() => client.send({ type: 'mark', name: 'here' }), 20);
      await client.until((c) => c.closed !== null, 'the close');
      clearInterval(trickle);
      expect(client.closed?.code).toBe(closeCodes.timeout);
    });
  });

  it('that trickles in a call, an empty mark at a time, has it for the longest time of a call and no longer', async () => {
    scriptVendor();
    await inObject({ WEBSOCKET_TIMEOUT: '1000' }, async (open, callId) => {
      const client = TestClient.on((await open()).webSocket!);
      client.send({ type: 'start_call', callId, userId: newId('user') });
      const trickle = setInterval(() => client.send({ type: 'mark', name: 'here' }), 20);
      await client.until((c) => c.closed !== null, 'the close');
      clearInterval(trickle);
      expect(client.closed).toEqual({ code: closeCodes.timeout, reason: 'time limit' });
    });
  });
});

describe('a client that sends faster than real time', () => {
  it('is buffered to the bound, then closed', async () => {
    scriptVendor();
    await inObject({ MAX_AUDIO_AHEAD: '2000' }, async (open, callId) => {
      const client = TestClient.on((await open()).webSocket!);
      client.send({ type: 'start_call', callId, userId: newId('user') });
      await client.untilStatus('The call has started');
      client.audio(1_500, false);
      client.send({ type: 'mark', name: 'still there' });
      client.audio(60_000, false);
      await client.until((c) => c.closed !== null, 'the close');
      expect(client.ofType('error').map(({ code }) => code)).toEqual(['TOO_FAST']);
      expect(client.closed).toEqual({ code: closeCodes.tooFast, reason: 'too fast' });
    });
    await untilNothingIsLeft();
  });

  it('is closed for the number of its messages too, whatever they hold', async () => {
    await inObject({ MAX_MESSAGES_PER_SECOND: '10' }, async (open) => {
      const client = TestClient.on((await open()).webSocket!);
      for (let i = 0; i < 2_000; i++) client.send({ type: 'mark', name: 'm' });
      await client.until((c) => c.closed !== null, 'the close');
      expect(client.ofType('error').map(({ code }) => code)).toEqual(['TOO_FAST']);
      expect(client.closed?.code).toBe(closeCodes.tooFast);
    });
  });
});
