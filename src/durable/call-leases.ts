/** What it needs of an object's `storage.kv`. */
export interface LeaseStore {
  list(options: { prefix: string }): Iterable<[string, unknown]>;
  put(key: string, until: number): void;
  delete(key: string): boolean;
}

const PREFIX = 'lease/';

/**
 * From so many calls on a user's leases are longer, and renewed less often, in proportion: 20,000 calls that renew each 45 s are 444 requests
 * a second, where an object that writes takes 200 to 500 (https://developers.cloudflare.com/durable-objects/platform/limits/). That a call
 * which was lost counts for longer is a place in thousands.
 */
const CALLS_PER_LEASE = 4_000;
/** So many times as long at most. */
const MOST_LEASES = 8;

/**
 * The calls of one user that are counted, each until its lease is over: a call that lives renews it, one that was lost does not. Kept in
 * the object's storage, so that the count survives it.
 */
export class CallLeases {
  readonly #store: LeaseStore;
  readonly #leaseMs: number;
  /** By call; until when, milliseconds since the epoch. */
  readonly #until = new Map<string, number>();
  /** None runs out before: to look through thousands with each call that begins took some 7 % of the object's time. */
  #soonest = Number.POSITIVE_INFINITY;

  constructor(store: LeaseStore, leaseMs: number) {
    this.#store = store;
    this.#leaseMs = leaseMs;
    for (const [key, until] of store.list({ prefix: PREFIX })) {
      if (typeof until !== 'number') continue;
      this.#until.set(key.slice(PREFIX.length), until);
      this.#soonest = Math.min(this.#soonest, until);
    }
  }

  /** Counts a call, unless there are `limit` others. False: there are. */
  take(call: string, limit: number, now: number): boolean {
    this.expire(now);
    if (!this.#until.has(call) && this.#until.size >= limit) return false;
    this.#set(call, now + this.#leaseMs);
    return true;
  }

  /**
   * A call that lives is counted, also where its lease was over and others came: then there are more than the limit for a while.
   * Returns the length of its lease, in milliseconds.
   */
  renew(call: string, now: number): number {
    const times = Math.min(MOST_LEASES, Math.max(1, Math.ceil(this.#until.size / CALLS_PER_LEASE)));
    this.#set(call, now + times * this.#leaseMs);
    return times * this.#leaseMs;
  }

  release(call: string): void {
    this.#store.delete(PREFIX + call);
    this.#until.delete(call);
  }

  expire(now: number): void {
    if (now < this.#soonest) return;
    this.#soonest = Number.POSITIVE_INFINITY;
    for (const [call, until] of this.#until) {
      if (until <= now) this.release(call);
      else this.#soonest = Math.min(this.#soonest, until);
    }
  }

  get count(): number {
    return this.#until.size;
  }

  #set(call: string, until: number): void {
    this.#store.put(PREFIX + call, until);
    this.#until.set(call, until);
    this.#soonest = Math.min(this.#soonest, until);
  }
}
