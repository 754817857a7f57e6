/** What it needs of an object's `storage.kv`. */
export interface LeaseStore {
  list(options: { prefix: string }): Iterable<[string, unknown]>;
  put(key: string, until: number): void;
  delete(key: string): boolean;
}

const PREFIX = 'lease/';

/**
 * The calls of one user that are counted, each until its lease is over: a call that lives renews it, one that was lost does not. Kept in
 * the object's storage, so that the count survives it.
 */
export class CallLeases {
  readonly #store: LeaseStore;
  readonly #leaseMs: number;
  /** By call; until when, milliseconds since the epoch. */
  readonly #until = new Map<string, number>();

  constructor(store: LeaseStore, leaseMs: number) {
    this.#store = store;
    this.#leaseMs = leaseMs;
    for (const [key, until] of store.list({ prefix: PREFIX })) {
      if (typeof until === 'number') this.#until.set(key.slice(PREFIX.length), until);
    }
  }

  /** Counts a call, unless there are `limit` others. False: there are. */
  take(call: string, limit: number, now: number): boolean {
    this.expire(now);
    if (!this.#until.has(call) && this.#until.size >= limit) return false;
    this.renew(call, now);
    return true;
  }

  /** A call that lives is counted, also where its lease was over and others came: then there are more than the limit for a while. */
  renew(call: string, now: number): void {
    const until = now + this.#leaseMs;
    this.#store.put(PREFIX + call, until);
    this.#until.set(call, until);
  }

  release(call: string): void {
    this.#store.delete(PREFIX + call);
    this.#until.delete(call);
  }

  expire(now: number): void {
    for (const [call, until] of this.#until) if (until <= now) this.release(call);
  }

  get count(): number {
    return this.#until.size;
  }
}
