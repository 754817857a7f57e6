import { describe, expect, it, vi } from 'vitest';
import { speechStore } from '../../src/durable/speech-store.ts';
import { bindings } from './support.ts';

const audio = Int16Array.from({ length: 777 }, (_, i) => i);
let keys = 0;
const nextKey = () => `${'a long key '.repeat(60)}${++keys}`;

describe('the store of ready audio', () => {
  it('keeps audio in KV for other isolates', async () => {
    speechStore(bindings.CACHE_KV).put(nextKey(), audio, true);
    // The other files' calls put their audio into the same KV: ours is found by what it holds.
    const bytes = new Uint8Array(audio.buffer);
    const entry = await vi.waitFor(async () => {
      for (const key of (await bindings.CACHE_KV.list()).keys) {
        const held = await bindings.CACHE_KV.get(key.name, 'arrayBuffer');
        if (held !== null && held.byteLength === bytes.length && new Uint8Array(held)[2] === bytes[2])
          return key;
      }
      throw new Error('it is not there');
    });
    expect(entry.name).toMatch(/^speech\/[0-9a-f]{64}$/);
    expect(entry.expiration).toBeGreaterThan(Date.now() / 1000 + 3_000);
    expect(new Int16Array((await bindings.CACHE_KV.get(entry.name, 'arrayBuffer'))!)).toEqual(audio);
  });

  it('writes each key once, however often it is put', async () => {
    const put = vi.fn(async () => {});
    const store = speechStore({ put } as unknown as KVNamespace);
    const key = nextKey();
    for (let i = 0; i < 10; i++) store.put(key, audio, true);
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
