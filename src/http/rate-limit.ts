/** The contract's window. */
export const WINDOW_MS = 60_000;
/** Keys remembered at once: beyond it the ones seen longest ago are forgotten. Some 10 MB. */
const MOST_KEYS = 50_000;
/** Who sends so many times what is allowed gets nothing at all for a minute, by every isolate that hears of it. */
const BLOCK_AT = 10;
const BLOCK_MS = 60_000;

/** What became of one request. */
export interface Verdict {
  allowed: boolean;
  /** Requests that this isolate would still let pass now. */
  remaining: number;
  /** Seconds: of a request that was refused, until one may pass; else until the current minute is over. */
  resetSeconds: number;
}

/** What one isolate knows of a key, for the others. */
export interface Report {
  /** Requests in the last minute, refused ones included. */
  demand: number;
  /** Nothing passes until then, milliseconds since the epoch; 0: it is not blocked. */
  blockedUntil: number;
}

/** Requests in the current minute and in the one before. */
class SlidingCount {
  count = 0;
  previous = 0;

  turn(minutes: number): void {
    this.previous = minutes === 1 ? this.count : 0;
    this.count = 0;
  }

  /** In the last 60 s: of the minute before, the share that still lies in them. */
  estimate(elapsed: number): number {
    return this.count + this.previous * (1 - elapsed / WINDOW_MS);
  }
}

interface Entry {
  start: number;
  /** All requests, and those that passed. */
  asked: SlidingCount;
  passed: SlidingCount;
  /** What the other isolates were asked, together; used until `freshUntil`. */
  others: number;
  freshUntil: number;
  blockedUntil: number;
}

/**
 * Requests a minute and key, in this isolate: a sliding window, estimated from the current minute's count and the share of the last
 * minute's that still lies in the window. Where other isolates are asked for the same key (`hear`), this one lets pass what they leave of
 * the limit, or, where all together want more, its share of it by what it is asked (flow-proportional share: Raghavan et al., "Cloud
 * control with distributed rate limiting", SIGCOMM 2007): the shares add up to the limit, and nobody has to count exactly.
 */
export class RateLimiter {
  /** In the order of their last request. */
  readonly #entries = new Map<string, Entry>();

  /** Counts a request. */
  take(key: string, limit: number, now: number): Verdict {
    const entry = this.#entryAt(key, now);
    const elapsed = now - entry.start;
    entry.asked.count++;
    const demand = entry.asked.estimate(elapsed);
    const others = now < entry.freshUntil ? entry.others : 0;
    if (demand + others >= BLOCK_AT * limit) entry.blockedUntil = now + BLOCK_MS;
    if (now < entry.blockedUntil) {
      return { allowed: false, remaining: 0, resetSeconds: seconds(entry.blockedUntil - now) };
    }
    const room = Math.max(limit - others, (limit * demand) / (demand + others));
    const left = room - entry.passed.estimate(elapsed);
    if (left < 1) {
      return {
        allowed: false,
        remaining: 0,
        resetSeconds: seconds(untilOneMay(entry.passed, room, elapsed)),
      };
    }
    entry.passed.count++;
    return { allowed: true, remaining: Math.floor(left - 1), resetSeconds: seconds(WINDOW_MS - elapsed) };
  }

  /** What the others should know of the key; null: it has not been asked for. */
  report(key: string, now: number): Report | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#turnTo(entry, now);
    return { demand: entry.asked.estimate(now - entry.start), blockedUntil: entry.blockedUntil };
  }

  /** What the other isolates report of the key, to be used until `freshUntil`. */
  hear(key: string, others: Report, freshUntil: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.others = others.demand;
    entry.freshUntil = freshUntil;
    entry.blockedUntil = Math.max(entry.blockedUntil, others.blockedUntil);
  }

  /** Another place has refused the key: nothing passes here either for a while. */
  block(key: string, until: number): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.blockedUntil = Math.max(entry.blockedUntil, until);
  }

  #entryAt(key: string, now: number): Entry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const counts = { asked: new SlidingCount(), passed: new SlidingCount() };
      entry = { start: now, ...counts, others: 0, freshUntil: 0, blockedUntil: 0 };
    } else {
      this.#entries.delete(key);
      this.#turnTo(entry, now);
    }
    this.#entries.set(key, entry);
    if (this.#entries.size > MOST_KEYS) {
      const oldest = this.#entries.keys().next().value;
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    return entry;
  }

  #turnTo(entry: Entry, now: number): void {
    const minutes = Math.floor((now - entry.start) / WINDOW_MS);
    if (minutes <= 0) return;
    entry.start += minutes * WINDOW_MS;
    entry.asked.turn(minutes);
    entry.passed.turn(minutes);
  }
}

/** Milliseconds until one more request fits into `room`, if none passes meanwhile. */
function untilOneMay({ count, previous }: SlidingCount, room: number, elapsed: number): number {
  const most = room - 1;
  if (count <= most) return WINDOW_MS * (1 - (most - count) / previous) - elapsed;
  // Not before this minute is the one before; where nothing ever fits, when both are over.
  return WINDOW_MS - elapsed + WINDOW_MS * Math.min(1, 1 - most / count);
}

/** Whole seconds, at least one, that are not over too early. */
function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
