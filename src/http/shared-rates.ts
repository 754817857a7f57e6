import { z } from 'zod';
import type { Clock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { type RateLimiter, type Report, WINDOW_MS } from './rate-limit.ts';

/** A key is written and read by an isolate at most so often: KV takes a second to show it anywhere, and up to a minute everywhere. */
const EXCHANGE_MS = 15_000;
/** And all keys together: under an attack from thousands of addresses KV costs no more than this, whatever it is asked. */
const BETWEEN_EXCHANGES_MS = 1_000;
/** Who uses less of the limit than this in one isolate is nobody to be told of: most clients never reach KV. */
const TELL_FROM = 0.1;
/** The contract's, and the shortest time that KV keeps anything for (https://developers.cloudflare.com/kv/api/write-key-value-pairs/). */
const RECORD_SECONDS = 60;
/** A list may show what is a minute old (https://developers.cloudflare.com/kv/api/list-keys/), of a record that lived for one. */
const MOST_AGE_MS = 2 * WINDOW_MS;
/** Of each of the two requests. Nobody waits for them. */
const KV_TIMEOUT_MS = 2_000;

const recordSchema = z.object({
  /** When it was written, milliseconds since the epoch. */
  at: z.number(),
  demand: z.number().min(0),
  blockedUntil: z.number().min(0),
});

/** What is used of `RATE_LIMIT_KV`. */
export interface RateStore {
  put(
    key: string,
    value: string,
    options: { expirationTtl: number; metadata: z.infer<typeof recordSchema> },
  ): Promise<void>;
  list(options: { prefix: string }): Promise<{ keys: { name: string; metadata?: unknown }[] }>;
}

export interface SharedRatesOptions {
  clock: Clock;
  limiter: RateLimiter;
  /** This isolate's own name: no two write one key. */
  isolate: string;
  /** What stands for an address in a key of KV: the address itself does not. */
  pseudonym(address: string): Promise<string>;
  onFailure(error: unknown): void;
}

/**
 * The sliding window's record and the blocks, in KV, for the isolates that serve the same address: each writes what it is asked under a
 * key of its own, `rate/{address}/{isolate}`, and adds up what the others have written. A record is its key's metadata, so that one list
 * reads them all.
 */
export class SharedRates {
  readonly #options: SharedRatesOptions;
  /** When each address was exchanged last; no more of them than a minute has exchanges. */
  readonly #exchanged = new Map<string, number>();
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(options: SharedRatesOptions) {
    this.#options = options;
  }

  /** Tells and hears of an address where it is time to. Null: it is not; else work that is not to be waited for. Never rejects. */
  exchange(store: RateStore, address: string, limit: number): Promise<void> | null {
    const { clock, limiter } = this.#options;
    const now = clock.now();
    if (now - this.#lastAt < BETWEEN_EXCHANGES_MS) return null;
    const lastOfAddress = this.#exchanged.get(address);
    if (lastOfAddress !== undefined && now - lastOfAddress < EXCHANGE_MS) return null;
    const report = limiter.report(address, now);
    if (report === null || (report.demand < TELL_FROM * limit && report.blockedUntil <= now)) return null;
    this.#lastAt = now;
    for (const [old, at] of this.#exchanged) if (now - at >= EXCHANGE_MS) this.#exchanged.delete(old);
    this.#exchanged.set(address, now);
    return this.#exchange(store, address, report, now).catch((error) => this.#options.onFailure(error));
  }

  async #exchange(store: RateStore, address: string, report: Report, now: number): Promise<void> {
    const { clock, limiter, isolate, pseudonym } = this.#options;
    const prefix = `rate/${await pseudonym(address)}/`;
    const own = prefix + isolate;
    const options = { expirationTtl: RECORD_SECONDS, metadata: { at: now, ...report } };
    const [told, listed] = await Promise.allSettled([
      within(clock, KV_TIMEOUT_MS, () => store.put(own, '', options)),
      within(clock, KV_TIMEOUT_MS, () => store.list({ prefix })),
    ]);
    if (listed.status === 'rejected') throw listed.reason;
    const others: Report = { demand: 0, blockedUntil: 0 };
    for (const { name, metadata } of listed.value.keys) {
      const record = recordSchema.safeParse(metadata);
      if (name === own || !record.success || now - record.data.at > MOST_AGE_MS) continue;
      others.demand += record.data.demand;
      // No isolate blocks for longer than a window.
      const until = Math.min(record.data.blockedUntil, now + WINDOW_MS);
      others.blockedUntil = Math.max(others.blockedUntil, until);
    }
    limiter.hear(address, others, now + 2 * EXCHANGE_MS);
    if (told.status === 'rejected') throw told.reason;
  }
}
