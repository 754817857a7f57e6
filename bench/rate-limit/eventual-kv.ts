import type { RateStore } from '../../src/http/shared-rates.ts';
import type { seeded } from '../../test/support/random.ts';

type Random = ReturnType<typeof seeded>;

interface Version {
  at: number;
  expires: number;
  metadata: unknown;
  /** When each location sees it, milliseconds since the epoch. */
  visible: readonly number[];
}

/**
 * A KV namespace as its documentation describes it: a write is seen at once in the location where it was made, and anywhere else up to a
 * minute later (here: uniformly distributed). Counts what it is asked.
 */
export class EventualKv {
  readonly #now: () => number;
  readonly #random: Random;
  readonly #locations: number;
  readonly #propagationMs: number;
  readonly #versions = new Map<string, Version[]>();
  readonly #writes = new Map<string, number>();
  puts = 0;
  lists = 0;
  /** Of any key, in any one second of the clock's. */
  mostWritesPerKeyAndSecond = 0;

  constructor(options: { now: () => number; random: Random; locations: number; propagationMs: number }) {
    this.#now = options.now;
    this.#random = options.random;
    this.#locations = options.locations;
    this.#propagationMs = options.propagationMs;
  }

  /** The namespace as one location sees it. */
  at(location: number): RateStore {
    return {
      put: async (key, _value, { expirationTtl, metadata }) => {
        const now = this.#now();
        this.puts++;
        this.#countWrite(key, now);
        const visible = Array.from({ length: this.#locations }, (_, other) =>
          other === location ? now : now + this.#random.fraction() * this.#propagationMs,
        );
        const versions = (this.#versions.get(key) ?? []).filter(({ expires }) => expires > now - 120_000);
        versions.push({ at: now, expires: now + expirationTtl * 1000, metadata, visible });
        this.#versions.set(key, versions);
      },
      list: async ({ prefix }) => {
        const now = this.#now();
        this.lists++;
        const keys: { name: string; metadata?: unknown }[] = [];
        for (const [name, versions] of this.#versions) {
          if (!name.startsWith(prefix)) continue;
          // The newest that has arrived here.
          const seen = versions.findLast(({ visible }) => visible[location]! <= now);
          if (seen !== undefined && seen.expires > now) keys.push({ name, metadata: seen.metadata });
        }
        return { keys };
      },
    };
  }

  #countWrite(key: string, now: number): void {
    // A write within the second before this one is the second in it.
    const last = this.#writes.get(key);
    const close = last !== undefined && now - last < 1_000 ? 2 : 1;
    this.mostWritesPerKeyAndSecond = Math.max(this.mostWritesPerKeyAndSecond, close);
    this.#writes.set(key, now);
  }
}
