import type { Clock, Random } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { PERMIT_LEASE_MS } from './permit-shard.ts';

/** Permits are asked for and given back in blocks of so many at most. */
const BLOCK = 8;
/** And of this part of the calls that the isolate has: what lies about unused is in proportion to what is used. */
const BLOCK_PART = 1 / 4;
/** How often an isolate says what it holds. */
export const PERMIT_RENEW_MS = 30_000;
/** A shard's clock may differ, and its answer be on its way: permits lapse here before they do there. */
const MARGIN_MS = 10_000;
/** The longest wait for permits, before the socket is answered. */
const WAIT_MS = 1_000;
/** Shards that are asked before a call is refused. */
const MOST_ASKED = 4;
/** How long after that nobody is asked again. */
const FULL_MS = 1_000;

/** The shards of the deployment's ceiling, as one call's object reaches them. */
export interface PermitShards {
  /** 0: there is no ceiling. */
  ceiling: number;
  most: number;
  take(shard: number, isolate: string, wanted: number, share: number): Promise<number>;
  hold(shard: number, isolate: string, permits: number): Promise<void>;
  give(shard: number, isolate: string, permits: number): Promise<void>;
}

/**
 * What one isolate holds of the deployment's permits. Its calls take theirs here, without a request as long as the block lasts. Every
 * object asks for itself, since none may wait for a request of another's.
 *
 * The count is approximate by design: permits lie about unused (a block or two an isolate), and where no shard answers, calls begin
 * without. What lives is told to the shards with each renewal, so that they know of such calls then.
 */
export class IsolatePermits {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #isolate: string;
  /** By shard: what was granted, and until when. */
  readonly #grants = new Map<number, { permits: number; until: number }>();
  /** Objects with an open call, and until when that can be. */
  readonly #open = new Map<string, number>();
  /** Requests for permits under way. */
  #asking = 0;
  #fullUntil = Number.NEGATIVE_INFINITY;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #home: number | null = null;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#isolate = random.id();
  }

  /** Calls that are open. */
  get used(): number {
    return this.#open.size;
  }

  /** Whether there is a permit for one more call. */
  get free(): boolean {
    return this.#granted() > this.used;
  }

  /** Gets one. False: all shards that were asked have none. */
  async getFree(shards: PermitShards): Promise<boolean> {
    if (shards.ceiling === 0 || this.free) return true;
    if (this.#clock.now() < this.#fullUntil) return false;
    this.#asking++;
    try {
      return await within(this.#clock, WAIT_MS, () => this.#ask(shards));
    } catch {
      // Callers are answered though the counting is down.
      return true;
    } finally {
      this.#asking--;
    }
  }

  /** An object has begun a call, with a permit or without. It cannot last beyond `until`, milliseconds since the epoch. */
  opened(object: string, until: number): void {
    this.#open.set(object, until);
  }

  /** Its call is over, or lost with the instance that had it. The work is not to be waited for; null: there is none. */
  closed(object: string, shards: PermitShards): Promise<void> | null {
    this.#open.delete(object);
    const block = this.#block;
    if (this.#granted() - this.used < spareOf(block) + block) return null;
    const [largest] = [...this.#grants].sort(([, a], [, b]) => b.permits - a.permits);
    if (largest === undefined) return null;
    const [shard, grant] = largest;
    const given = Math.min(block, grant.permits);
    grant.permits -= given;
    return within(this.#clock, WAIT_MS, () => shards.give(shard, this.#isolate, given));
  }

  /** Called by each open call from time to time: the first for which it is due renews for all. Null: it is not due. */
  renew(shards: PermitShards): Promise<void> | null {
    const now = this.#clock.now();
    if (shards.ceiling === 0 || now - this.#renewedAt < PERMIT_RENEW_MS) return null;
    this.#renewedAt = now;
    // An object that was reset, and never came back, has not said that its call is over.
    for (const [object, until] of this.#open) if (until <= now) this.#open.delete(object);
    // While permits are on their way, what is held is not known; the next renewal does it.
    const debt = this.#asking > 0 ? 0 : Math.max(0, this.used - this.#granted());
    const home = this.#homeOf(shards);
    this.#dropSpare();
    if (debt > 0) this.#grants.set(home, { permits: this.#permitsAt(home) + debt, until: now });
    const held = [...this.#grants];
    return within(this.#clock, WAIT_MS, async () => {
      await Promise.all(
        held.map(async ([shard, grant]) => {
          grant.until = Math.max(grant.until, now + PERMIT_LEASE_MS - MARGIN_MS);
          await shards.hold(shard, this.#isolate, grant.permits);
        }),
      );
    });
  }

  get #block(): number {
    return Math.min(BLOCK, Math.max(1, Math.ceil(this.used * BLOCK_PART)));
  }

  /** What was not needed for a while is needed elsewhere: the renewal tells of it. */
  #dropSpare(): void {
    let excess = this.#granted() - this.used - spareOf(this.#block);
    for (const grant of this.#grants.values()) {
      const dropped = Math.min(Math.max(0, excess), grant.permits);
      grant.permits -= dropped;
      excess -= dropped;
    }
  }

  async #ask(shards: PermitShards): Promise<boolean> {
    const count = shardCount(shards);
    const home = this.#homeOf(shards);
    const wanted = this.#asking > 1 ? 1 : this.#block;
    // Where the first one has none, any other may have some.
    const stride = 1 + 2 * Math.floor((this.#random.fraction() * count) / 2);
    for (let tried = 0; tried < Math.min(MOST_ASKED, count); tried++) {
      const shard = (home + tried * stride) % count;
      const asked = this.#clock.now();
      const granted = await shards.take(shard, this.#isolate, wanted, shareOf(shard, shards));
      if (granted > 0) {
        const until = asked + PERMIT_LEASE_MS - MARGIN_MS;
        this.#grants.set(shard, { permits: this.#permitsAt(shard) + granted, until });
        // The next block is asked for where there is one.
        this.#home = shard;
        return true;
      }
      if (this.free) return true;
    }
    this.#home = null;
    this.#fullUntil = this.#clock.now() + FULL_MS;
    return false;
  }

  #homeOf(shards: PermitShards): number {
    this.#home ??= Math.floor(this.#random.fraction() * shardCount(shards));
    return this.#home % shardCount(shards);
  }

  #permitsAt(shard: number): number {
    return this.#grants.get(shard)?.permits ?? 0;
  }

  /** What is granted and has not lapsed. */
  #granted(): number {
    const now = this.#clock.now();
    let sum = 0;
    for (const [shard, { permits, until }] of this.#grants) {
      if (until > now) sum += permits;
      else this.#grants.delete(shard);
    }
    return sum;
  }
}

/** What an isolate keeps beyond its calls, so that it does not ask for what it has just given back. */
function spareOf(block: number): number {
  return Math.floor(block / 2);
}

/** A small ceiling has fewer shards: what one of them holds would else be out of the others' reach. */
function shardCount({ ceiling, most }: PermitShards): number {
  return Math.max(1, Math.min(most, Math.floor(ceiling / (8 * BLOCK))));
}

/** The shares add up to the ceiling. */
function shareOf(shard: number, shards: PermitShards): number {
  const count = shardCount(shards);
  return Math.floor(shards.ceiling / count) + (shard < shards.ceiling % count ? 1 : 0);
}
