/** A line that stood still delivers at once what it held: a socket may send so many seconds of messages ahead. */
const BURST_SECONDS = 15;

/** How many messages a socket may send: a token bucket, filled at the rate that it may keep up for long. */
export class MessageRate {
  readonly #perSecond: number;
  #tokens: number;
  #at: number;

  /** @param now milliseconds since the epoch; the bucket is full then. */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond * BURST_SECONDS;
    this.#at = now;
  }

  /** Counts a message. False: there are too many. */
  take(now: number): boolean {
    const filled = this.#tokens + ((now - this.#at) * this.#perSecond) / 1000;
    this.#tokens = Math.min(this.#perSecond * BURST_SECONDS, filled);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
