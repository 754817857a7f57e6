import type { ValueStore } from '../../src/durable/call-progress.ts';

/** An object's `storage.kv` in a map. As there, what is put is copied. */
export function mapKv(): ValueStore {
  const values = new Map<string, unknown>();
  return {
    get: <T>(key: string) => structuredClone(values.get(key)) as T | undefined,
    put: (key, value) => {
      values.set(key, structuredClone(value));
    },
    delete: (key) => values.delete(key),
  };
}
