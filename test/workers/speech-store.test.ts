import { describe, expect, it, vi } from 'vitest';
import { speechStore } from '../../src/durable/speech-store.ts';
import { bindings } from './support.ts';

const audio = Int16Array.from({ length: 800 }, (_, i) => i);
let keys = 0;
const nextKey = () => `${'a long key '.repeat(60)}${++keys}`;

describe('the store of ready audio', () => {
  it('keeps audio in KV for other isolates', async () => {
    // The other files' calls have put their audio into the same KV.
    const listed = async () => (await bindings.CACHE_KV.list()).keys;
    const before = new Set((await listed()).map(({ name }) => name));
    const added = async () => (await listed()).filter(({ name }) => !before.has(name));
    speechStore(bindings.CACHE_KV).put(nextKey(), audio);
    const names = await vi.waitFor(async () => {
      const found = await added();
      expect(found.length).toBe(1);
      return found;
    });
    expect(names[0]?.name).toMatch(/^speech\/[0-9a-f]{64}$/);
    expect(names[0]?.expiration).toBeGreaterThan(Date.now() / 1000 + 3_000);
    expect(new Int16Array((await bindings.CACHE_KV.get(names[0]!.name, 'arrayBuffer'))!)).toEqual(audio);
  });

  it('writes each key once, however often it is put', async () => {
    const put = vi.fn(async () => {});
    const store = speechStore({ put } as unknown as KVNamespace);
    const key = nextKey();
    for (let i = 0; i < 10; i++) store.put(key, audio);
    expect(await store.get(key)).toEqual(audio);
    await vi.waitFor(() => expect(put).toHaveBeenCalledTimes(1));
  });

  it('finds nothing where KV is slow or fails, and does not keep the caller waiting', async () => {
    const slow = speechStore({ get: () => new Promise(() => {}) } as unknown as KVNamespace);
    expect(await slow.get(nextKey())).toBeNull();
    const broken = speechStore({ get: () => Promise.reject(new Error('down')) } as unknown as KVNamespace);
    expect(await broken.get(nextKey())).toBeNull();
    const odd = speechStore({ get: async () => new ArrayBuffer(3) } as unknown as KVNamespace);
    expect(await odd.get(nextKey())).toBeNull();
  });
});
