import { runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { speechStore } from '../../src/durable/speech-store.ts';
import {
  ask,
  begin,
  connected,
  greeting,
  hangUp,
  nextId,
  objectOf,
  question,
  recordOf,
  untilDelivered,
} from './outage-support.ts';
import { scriptVendor } from './support.ts';

const never = () => new Promise<never>(() => {});
const broken = {
  hangs: never,
  'rejects each request': async () => {
    throw new Error('KV GET failed: 503 Service Unavailable');
  },
  throws: () => {
    throw new Error('KV GET failed: 503 Service Unavailable');
  },
};

const unhandled: unknown[] = [];
const note = (event: PromiseRejectionEvent) => unhandled.push(event.reason);

beforeEach(() => {
  unhandled.length = 0;
  addEventListener('unhandledrejection', note);
  // More than the isolate keeps ready: what other calls left there is forgotten.
  speechStore({} as KVNamespace).put('large', new Int16Array(3 * 1024 * 1024), false);
});
afterEach(() => {
  removeEventListener('unhandledrejection', note);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** In a call's object KV does that with each request; how many it was asked, and how many it owed at a time. */
async function breakKv(callId: string, behave: () => Promise<never>) {
  const seen = { asked: 0, open: 0, mostOpen: 0 };
  const request = async () => {
    seen.asked++;
    seen.mostOpen = Math.max(seen.mostOpen, ++seen.open);
    try {
      return await behave();
    } finally {
      seen.open--;
    }
  };
  const change = (task: (kv: object) => void) =>
    runInDurableObject(objectOf(callId), (instance) =>
      task((instance as unknown as { env: { CACHE_KV: object } }).env.CACHE_KV),
    );
  await change((kv) => Object.assign(kv, { get: request, put: request }));
  return {
    seen,
    mend: () =>
      change((kv) => {
        Reflect.deleteProperty(kv, 'get');
        Reflect.deleteProperty(kv, 'put');
      }),
  };
}

describe('a KV that does not answer', () => {
  it.each(['hangs', 'rejects each request', 'throws'] as const)(
    '(%s) costs the caller nothing but ready audio: it is made anew',
    async (how) => {
      const answer = 'We are at the old mill.';
      const vendor = scriptVendor({ transcripts: [question], answer });
      const callId = nextId();
      const client = await connected(callId);
      const { seen, mend } = await breakKv(callId, broken[how]);
      try {
        await begin(client, callId);
        expect(client.ofType('audio_response')[0]?.text).toBe(greeting);
        await ask(client);
        await hangUp(client);
        expect(vendor.spoken).toEqual(expect.arrayContaining([greeting, answer]));
        expect(client.ofType('error')).toEqual([]);
        expect(seen.asked).toBeGreaterThan(0);
        // Of the six connections that an object may have, four are left for the call's providers.
        expect(seen.mostOpen).toBeLessThanOrEqual(2);
        await untilDelivered(callId);
        const { row, failures } = await recordOf(callId);
        expect(row).toMatchObject({ status: 'ended', counts: { cacheHits: 0, failures: 0 } });
        expect(failures).toEqual([]);
        expect(unhandled).toEqual([]);
      } finally {
        await mend();
      }
    },
  );

  it('is waited for 150 ms, and not asked while it owes two answers', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const get = vi.fn(never);
    const store = speechStore({ get } as unknown as KVNamespace);
    let settled = 0;
    const lookUps = ['a', 'b', 'c'].map(async (key) => {
      expect(await store.get(key)).toBeNull();
      settled++;
    });
    // The third one, whichever that is.
    await Promise.race(lookUps);
    expect(settled).toBe(1);
    expect(get).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(149);
    expect(settled).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    await Promise.all(lookUps);
    expect(get).toHaveBeenCalledTimes(2);
  });
});
