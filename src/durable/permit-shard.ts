import type { LeaseStore } from './call-leases.ts';

const PREFIX = 'isolate/';

/** What it needs of an object's `storage.kv`. */
export type PermitStore = Omit<LeaseStore, 'put'> & { put(key: string, grant: Grant): void };

/** Permits that an isolate holds, used or not. */
export interface Grant {
  permits: number;
  /** Milliseconds since the epoch. */
  until: number;
}

/** How long the permits of an isolate are its own of which nothing is heard: two renewals may get lost between two that arrive. */
export const PERMIT_LEASE_MS = 90_000;
/**
 * What is free would do so often for all isolates that hold some: near the ceiling the blocks shrink, since permits that lie about in one
 * isolate are calls refused in another.
 */
const ROUNDS = 2;

/** One share of the deployment's permits, and which isolate holds how many of it. A crashed isolate's are free when its lease is over. */
export class PermitShard {
  readonly #store: PermitStore;
  readonly #grants = new Map<string, Grant>();
  #held = 0;
  /** None runs out before: where all is full, hundreds of isolates ask in a second. */
  #soonest = Number.POSITIVE_INFINITY;

  constructor(store: PermitStore) {
    this.#store = store;
    for (const [key, grant] of store.list({ prefix: PREFIX })) {
      this.#grants.set(key.slice(PREFIX.length), grant as Grant);
      this.#held += (grant as Grant).permits;
      this.#soonest = Math.min(this.#soonest, (grant as Grant).until);
    }
  }

  /** Permits that isolates hold. */
  get held(): number {
    return this.#held;
  }

  /** Gives an isolate up to `wanted` more permits, of `share` that there are. Returns how many. */
  take(isolate: string, wanted: number, share: number, now: number): number {
    this.expire(now);
    const free = share - this.#held;
    if (free <= 0) return 0;
    const granted = Math.min(wanted, Math.max(1, Math.floor(free / (ROUNDS * (this.#grants.size + 1)))));
    this.#set(isolate, this.#permitsOf(isolate) + granted, now);
    return granted;
  }

  /** The isolate lives and holds so many: calls that live are counted, also beyond the share. */
  hold(isolate: string, permits: number, now: number): void {
    this.#set(isolate, permits, now);
  }

  give(isolate: string, permits: number, now: number): void {
    this.#set(isolate, Math.max(0, this.#permitsOf(isolate) - permits), now);
  }

  expire(now: number): void {
    if (now < this.#soonest) return;
    this.#soonest = Number.POSITIVE_INFINITY;
    for (const [isolate, { until }] of this.#grants) {
      if (until <= now) this.#set(isolate, 0, now);
      else this.#soonest = Math.min(this.#soonest, until);
    }
  }

  #permitsOf(isolate: string): number {
    return this.#grants.get(isolate)?.permits ?? 0;
  }

  #set(isolate: string, permits: number, now: number): void {
    this.#held += permits - this.#permitsOf(isolate);
    if (permits === 0) {
      this.#store.delete(PREFIX + isolate);
      this.#grants.delete(isolate);
      return;
    }
    const grant = { permits, until: now + PERMIT_LEASE_MS };
    this.#store.put(PREFIX + isolate, grant);
    this.#grants.set(isolate, grant);
    this.#soonest = Math.min(this.#soonest, grant.until);
  }
}
