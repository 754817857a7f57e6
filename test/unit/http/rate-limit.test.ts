import { describe, expect, it } from 'vitest';
import { RateLimiter } from '../../../src/http/rate-limit.ts';

const minute = 60_000;

/** How many of `count` requests at `at` pass. */
function passed(limiter: RateLimiter, address: string, count: number, at: number, limit = 100): number {
  let passes = 0;
  for (let i = 0; i < count; i++) if (limiter.take(address, limit, at) === null) passes++;
  return passes;
}

describe('the rate limit', () => {
  it('lets 100 requests a minute pass and says when the next may', () => {
    const limiter = new RateLimiter();
    expect(passed(limiter, 'a', 150, 0)).toBe(100);
    expect(limiter.take('a', 100, 20_000)).toBe(40);
  });

  it('counts each address for itself', () => {
    const limiter = new RateLimiter();
    passed(limiter, 'a', 150, 0);
    expect(passed(limiter, 'b', 10, 0)).toBe(10);
  });

  it('does not let twice the limit pass at the turn of a minute', () => {
    const limiter = new RateLimiter();
    limiter.take('a', 100, 0);
    expect(passed(limiter, 'a', 200, minute - 1)).toBe(99);
    expect(passed(limiter, 'a', 200, minute + 1)).toBeLessThanOrEqual(1);
    expect(passed(limiter, 'a', 200, minute * 1.5)).toBeGreaterThan(45);
  });

  it('forgets an address that was quiet for two minutes', () => {
    const limiter = new RateLimiter();
    passed(limiter, 'a', 150, 0);
    expect(passed(limiter, 'a', 150, 2 * minute)).toBe(100);
  });

  it('is off at 0', () => {
    expect(passed(new RateLimiter(), 'a', 1000, 0, 0)).toBe(1000);
  });

  it('remembers a bounded number of addresses', () => {
    const limiter = new RateLimiter();
    passed(limiter, 'first', 100, 0);
    for (let i = 0; i < 50_000; i++) limiter.take(`10.${i}`, 100, 1);
    // The oldest was forgotten, the newest was not.
    expect(limiter.take('first', 100, 2)).toBeNull();
    passed(limiter, 'last', 100, 3);
    expect(limiter.take('last', 100, 4)).not.toBeNull();
  });
});
