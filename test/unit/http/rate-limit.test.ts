import { describe, expect, it } from 'vitest';
import { RateLimiter } from '../../../src/http/rate-limit.ts';

const minute = 60_000;

/** How many of `count` requests at `at` pass. */
function passed(limiter: RateLimiter, address: string, count: number, at: number, limit = 100): number {
  let passes = 0;
  for (let i = 0; i < count; i++) if (limiter.take(address, limit, at).allowed) passes++;
  return passes;
}

describe('the rate limit', () => {
  it('lets 100 requests a minute pass, and says how many are left', () => {
    const limiter = new RateLimiter();
    expect(limiter.take('a', 100, 0)).toEqual({ allowed: true, remaining: 99, resetSeconds: 60 });
    expect(passed(limiter, 'a', 149, 0)).toBe(99);
    expect(limiter.take('a', 100, 20_000)).toMatchObject({ allowed: false, remaining: 0 });
  });

  it.each([0, 1, 20_000, 59_999])('lets who comes back when told, after %d ms of the minute, pass', (at) => {
    const limiter = new RateLimiter();
    passed(limiter, 'a', 100, 0);
    const { allowed, resetSeconds } = limiter.take('a', 100, at);
    expect(allowed).toBe(false);
    expect(limiter.take('a', 100, at + resetSeconds * 1000 - 1_001).allowed).toBe(false);
    expect(limiter.take('a', 100, at + resetSeconds * 1000).allowed).toBe(true);
  });

  it('says within a minute when one request more fits', () => {
    const limiter = new RateLimiter();
    passed(limiter, 'a', 80, 0);
    passed(limiter, 'a', 40, minute);
    // 20 have passed, and of the 80 before as many count as there is room for: one leaves every 750 ms.
    expect(limiter.take('a', 100, minute)).toEqual({ allowed: false, remaining: 0, resetSeconds: 1 });
    expect(limiter.take('a', 100, minute + 1_000).allowed).toBe(true);
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

  it('remembers a bounded number of addresses', () => {
    const limiter = new RateLimiter();
    passed(limiter, 'first', 100, 0);
    for (let i = 0; i < 50_000; i++) limiter.take(`10.${i}`, 100, 1);
    // The oldest was forgotten, the newest was not.
    expect(limiter.take('first', 100, 2).allowed).toBe(true);
    passed(limiter, 'last', 100, 3);
    expect(limiter.take('last', 100, 4).allowed).toBe(false);
  });
});

describe('who asks other isolates too', () => {
  const others = { demand: 60, blockedUntil: 0 };

  it('has what they leave of the limit', () => {
    const limiter = new RateLimiter();
    limiter.take('a', 100, 0);
    limiter.hear('a', others, minute);
    expect(passed(limiter, 'a', 40, 1)).toBe(39);
  });

  it('has a share by what each is asked, where all together ask too much', () => {
    const limiter = new RateLimiter();
    limiter.take('a', 100, 0);
    limiter.hear('a', { demand: 300, blockedUntil: 0 }, minute);
    // A hundred asked here and three hundred elsewhere: a quarter of the limit is here.
    expect(passed(limiter, 'a', 99, 1)).toBe(24);
  });

  it('is forgotten when nothing more is heard of them', () => {
    const limiter = new RateLimiter();
    limiter.take('a', 100, 0);
    limiter.hear('a', { demand: 200, blockedUntil: 0 }, 30_000);
    expect(passed(limiter, 'a', 120, 30_000)).toBe(99);
  });

  it('is blocked whole at ten times the limit, and until a minute after it was so', () => {
    const limiter = new RateLimiter();
    limiter.take('a', 100, 0);
    limiter.hear('a', { demand: 998, blockedUntil: 0 }, minute);
    expect(limiter.take('a', 100, 1)).toMatchObject({ allowed: false });
    expect(limiter.take('a', 100, 10_000)).toEqual({ allowed: false, remaining: 0, resetSeconds: 60 });
    expect(limiter.report('a', 10_000)?.blockedUntil).toBe(70_000);
    // The others are not heard of any more, but what they have found stands.
    expect(limiter.take('a', 100, 69_999).allowed).toBe(false);
    expect(limiter.take('a', 100, 70_000).allowed).toBe(true);
  });

  it('is blocked where another isolate, or the location, has found so', () => {
    const limiter = new RateLimiter();
    limiter.take('a', 100, 0);
    limiter.hear('a', { demand: 0, blockedUntil: 5_000 }, minute);
    limiter.block('a', 9_000);
    expect(limiter.take('a', 100, 8_999)).toEqual({ allowed: false, remaining: 0, resetSeconds: 1 });
    expect(limiter.take('a', 100, 9_000).allowed).toBe(true);
  });
});
