import { describeError, log } from '../log.ts';
import type { SpeechStore } from '../providers/cached-speech.ts';

/** Ready audio in this isolate: some four minutes at 8 kHz. */
const MEMORY_BYTES = 4 * 1024 * 1024;
/** The contract's longest time for common replies. */
const TTL_SECONDS = 3_600;
/** A caller waits for this look-up, so it may not take longer than making the audio would. */
const LOOKUP_MS = 150;
/**
 * Requests to KV that a call may have open. They cannot be called off, and count among the six that an object may have waiting
 * for an answer (https://developers.cloudflare.com/workers/platform/limits/#simultaneous-open-connections): a KV that
 * hangs would keep the call from its providers.
 */
const MOST_OPEN = 2;

const memory = new Map<string, Int16Array>();
let memoryBytes = 0;

/** Ready audio in this isolate's memory, and behind it in `CACHE_KV` for all the others. */
export function speechStore(kv: KVNamespace): SpeechStore {
  let open = 0;
  /** Asks KV, unless it owes too many answers: then it is as if it had not answered. */
  const ask = async <T>(request: () => Promise<T>): Promise<T | null> => {
    if (open >= MOST_OPEN) return null;
    open++;
    try {
      return await request();
    } finally {
      open--;
    }
  };
  return {
    async get(key) {
      const near = memory.get(key);
      if (near !== undefined) {
        remember(key, near);
        return near;
      }
      let timer: ReturnType<typeof setTimeout> | undefined;
      try {
        const late = new Promise<null>((resolve) => {
          timer = setTimeout(resolve, LOOKUP_MS, null);
        });
        const name = await nameOf(key);
        const bytes = await Promise.race([ask(() => kv.get(name, 'arrayBuffer')), late]);
        if (bytes === null || bytes.byteLength === 0 || bytes.byteLength % 2 === 1) return null;
        const samples = new Int16Array(bytes);
        remember(key, samples);
        return samples;
      } catch (error) {
        log('warn', 'the speech cache could not be read', { error: describeError(error) });
        return null;
      } finally {
        clearTimeout(timer);
      }
    },
    put(key, samples, shared) {
      // What is in memory was written by this isolate already: KV takes one write a second and key.
      if (memory.has(key)) return;
      remember(key, samples);
      if (!shared) return;
      const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
      nameOf(key)
        .then((name) => ask(() => kv.put(name, bytes, { expirationTtl: TTL_SECONDS })))
        .catch((error: unknown) =>
          log('warn', 'the speech cache could not be written', { error: describeError(error) }),
        );
    },
  };
}

/** Names in KV have at most 512 bytes: the SHA-256 of the key. */
async function nameOf(key: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)));
  return `speech/${Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** Puts an entry last in line to be forgotten. */
function remember(key: string, samples: Int16Array): void {
  memoryBytes += samples.byteLength - (memory.get(key)?.byteLength ?? 0);
  memory.delete(key);
  memory.set(key, samples);
  for (const [oldest, audio] of memory) {
    if (memoryBytes <= MEMORY_BYTES) return;
    memory.delete(oldest);
    memoryBytes -= audio.byteLength;
  }
}
