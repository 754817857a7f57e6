/** The contract's window. */
const WINDOW_MS = 60_000;
/** Addresses remembered at once: beyond it the ones seen longest ago are forgotten. Some 10 MB. */
const MOST_ADDRESSES = 50_000;

interface Window {
  start: number;
  count: number;
  /** Requests of the window before. */
  previous: number;
}

/**
 * Requests a minute and address, in this isolate: a sliding window, estimated from the current minute's count and
 * the share of the last minute's that still lies in the window.
 */
export class RateLimiter {
  /** In the order of their last request. */
  readonly #windows = new Map<string, Window>();

  /** Counts a request. Null: it may pass; else the seconds after which the next one may. `limit` 0: no limit. */
  take(address: string, limit: number, now: number): number | null {
    if (limit === 0) return null;
    const window = this.#windowAt(address, now);
    const elapsed = now - window.start;
    const inWindow = window.count + window.previous * (1 - elapsed / WINDOW_MS);
    if (inWindow >= limit) return Math.max(1, Math.ceil((WINDOW_MS - elapsed) / 1000));
    window.count++;
    return null;
  }

  #windowAt(address: string, now: number): Window {
    const last = this.#windows.get(address);
    let window = last ?? { start: now, count: 0, previous: 0 };
    const passed = Math.floor((now - window.start) / WINDOW_MS);
    if (passed > 0) {
      window = {
        start: window.start + passed * WINDOW_MS,
        count: 0,
        previous: passed === 1 ? window.count : 0,
      };
    }
    this.#windows.delete(address);
    this.#windows.set(address, window);
    if (this.#windows.size > MOST_ADDRESSES) {
      const oldest = this.#windows.keys().next().value;
      if (oldest !== undefined) this.#windows.delete(oldest);
    }
    return window;
  }
}
