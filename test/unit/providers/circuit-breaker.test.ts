import { beforeEach, describe, expect, it } from 'vitest';
import { CircuitBreaker, type CircuitSettings, Circuits } from '../../../src/providers/circuit-breaker.ts';
import { ProviderError, type ProviderFailure } from '../../../src/providers/ports.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let clock: FakeClock;
let chance: number;
beforeEach(() => {
  clock = new FakeClock();
  chance = 0.5;
});

const circuit = (settings: CircuitSettings = {}) =>
  new CircuitBreaker(settings, clock, { fraction: () => chance });
const error = (failure: ProviderFailure = 'unavailable', retryAfterMs?: number) =>
  new ProviderError('vendor/model', failure, failure, retryAfterMs === undefined ? {} : { retryAfterMs });

function fail(breaker: CircuitBreaker, times = 1, failure: ProviderFailure = 'unavailable'): void {
  for (let i = 0; i < times; i++) breaker.force().failed(error(failure));
}

/** Milliseconds until it is tried again. */
const closedFor = (breaker: CircuitBreaker) => breaker.openUntil - clock.now();

describe('a circuit', () => {
  it.each(['timeout', 'rate_limited', 'unavailable', 'malformed'] as const)(
    'opens after three failures in a row: %s',
    (failure) => {
      const breaker = circuit();
      fail(breaker, 2, failure);
      expect(breaker.state).toBe('closed');
      fail(breaker, 1, failure);
      expect(breaker.state).toBe('open');
      expect(breaker.begin()).toBeNull();
      expect(breaker.error).toMatchObject({ failure });
    },
  );

  it('does not open for failures with a success between them, or far from each other', async () => {
    const breaker = circuit();
    fail(breaker, 2);
    breaker.begin()!.succeeded();
    fail(breaker, 2);
    await clock.advance(30_001);
    fail(breaker, 2);
    expect(breaker.state).toBe('closed');
  });

  it('opens when half of the latest requests fail, though others succeed between them', () => {
    const breaker = circuit();
    for (let i = 0; i < 4; i++) {
      breaker.begin()!.succeeded();
      fail(breaker);
    }
    breaker.begin()!.succeeded();
    expect(breaker.state).toBe('closed');
    fail(breaker);
    expect(breaker.state).toBe('open');
  });

  it('forgets what lies behind the window', async () => {
    const breaker = circuit({ failuresInARow: 100 });
    fail(breaker, 9);
    await clock.advance(33_000);
    breaker.begin()!.succeeded();
    fail(breaker, 8);
    expect(breaker.state).toBe('closed');
    fail(breaker, 1);
    expect(breaker.state).toBe('open');
  });

  it('does not mind a busy vendor’s few failures', () => {
    const breaker = circuit();
    for (let i = 0; i < 500; i++) {
      breaker.begin()!.succeeded();
      if (i % 3 === 0) fail(breaker, 2);
    }
    expect(breaker.state).toBe('closed');
  });

  it('is not opened by requests that were wrong themselves', () => {
    const breaker = circuit();
    fail(breaker, 50, 'rejected');
    expect(breaker.state).toBe('closed');
  });

  it('is not opened by requests that were given up', () => {
    const breaker = circuit();
    for (let i = 0; i < 50; i++) breaker.begin()!.released();
    expect(breaker.state).toBe('closed');
  });

  it('opens at once for a minute when the key is refused', () => {
    const breaker = circuit();
    fail(breaker, 1, 'unauthorized');
    expect(closedFor(breaker)).toBe(60_000);
  });

  it('keeps nothing of the call that failed but its error’s own words', () => {
    const breaker = circuit();
    const cause = { request: 'of one call' };
    const details = { status: 429, retryAfterMs: 9, cause };
    breaker.begin()!.failed(new ProviderError('vendor/model', 'rate_limited', 'slow down', details));
    expect(breaker.error).toMatchObject({ message: 'slow down', status: 429, retryAfterMs: 9 });
    expect(breaker.error!.cause).toBeUndefined();
  });

  it('opens at once for as long as the vendor asks, but not for ever', () => {
    const breaker = circuit();
    breaker.begin()!.failed(error('rate_limited', 7_000));
    expect(closedFor(breaker)).toBe(7_000);
    const greedy = circuit();
    greedy.begin()!.failed(error('rate_limited', 86_400_000));
    expect(closedFor(greedy)).toBe(120_000);
  });

  it('lets exactly one probe through once its time is over, whose success closes it', async () => {
    const breaker = circuit();
    fail(breaker, 3);
    await clock.advance(4_999);
    expect(breaker.begin()).toBeNull();
    await clock.advance(1);
    expect(breaker.state).toBe('halfOpen');
    const probe = breaker.begin();
    expect(probe).not.toBeNull();
    expect(breaker.available).toBe(false);
    expect(breaker.begin()).toBeNull();
    probe!.succeeded();
    expect(breaker.state).toBe('closed');
    expect(breaker.error).toBeNull();
    fail(breaker, 2);
    expect(breaker.state).toBe('closed');
  });

  it('opens for longer each time that a probe fails, up to a bound', async () => {
    const breaker = circuit();
    fail(breaker, 3);
    const times: number[] = [];
    for (let i = 0; i < 8; i++) {
      times.push(closedFor(breaker));
      await clock.advance(closedFor(breaker));
      breaker.begin()!.failed(error());
    }
    expect(times).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 120_000, 120_000, 120_000]);
  });

  it('opens for a time with chance in it, and longer where it closed for a moment only', async () => {
    chance = 0;
    const early = circuit();
    fail(early, 3);
    expect(closedFor(early)).toBe(3_750);
    chance = 1;
    const late = circuit();
    fail(late, 3);
    expect(closedFor(late)).toBe(6_250);
    chance = 0.5;
    await clock.advance(6_250);
    late.begin()!.succeeded();
    fail(late, 3);
    expect(closedFor(late)).toBe(10_000);
    await clock.advance(10_000);
    late.begin()!.succeeded();
    await clock.advance(120_000);
    fail(late, 3);
    expect(closedFor(late)).toBe(5_000);
  });

  it('is probed by the next one where a probe was given up, or never came back', async () => {
    const breaker = circuit();
    fail(breaker, 3);
    await clock.advance(5_000);
    breaker.begin()!.released();
    const lost = breaker.begin();
    expect(lost).not.toBeNull();
    await clock.advance(29_999);
    expect(breaker.begin()).toBeNull();
    await clock.advance(1);
    const next = breaker.begin();
    expect(next).not.toBeNull();
    // The one that was thought lost says nothing any more.
    lost!.failed(error());
    expect(breaker.state).toBe('halfOpen');
    next!.succeeded();
    expect(breaker.state).toBe('closed');
  });

  it('is not moved by what began before it opened', async () => {
    const breaker = circuit();
    const before = breaker.begin()!;
    const alsoBefore = breaker.begin()!;
    fail(breaker, 3);
    before.succeeded();
    expect(breaker.state).toBe('open');
    await clock.advance(5_000);
    breaker.begin()!.succeeded();
    alsoBefore.failed(error('unauthorized'));
    expect(breaker.state).toBe('closed');
  });

  it('closes when a request that was made nevertheless succeeds, and is not kept open by one that fails', async () => {
    const breaker = circuit();
    fail(breaker, 3);
    const until = breaker.openUntil;
    fail(breaker, 5, 'unauthorized');
    expect(breaker.openUntil).toBe(until);
    breaker.force().succeeded();
    expect(breaker.state).toBe('closed');
  });

  it('counts one outcome of each request', () => {
    const breaker = circuit();
    const attempt = breaker.begin()!;
    for (let i = 0; i < 5; i++) attempt.failed(error());
    const other = breaker.begin()!;
    other.failed(error());
    other.succeeded();
    fail(breaker);
    expect(breaker.state).toBe('open');
  });
});

describe('the circuits of an isolate', () => {
  it('are one for each identity', () => {
    const circuits = new Circuits({}, clock);
    fail(circuits.of('a'), 3);
    expect(circuits.of('a').state).toBe('open');
    expect(circuits.of('b').state).toBe('closed');
  });

  it('do not grow without end: the one that was not asked for the longest is forgotten', () => {
    const circuits = new Circuits({}, clock);
    fail(circuits.of('used'), 3);
    fail(circuits.of('unused'), 3);
    for (let i = 0; i < 499; i++) {
      circuits.of(`other ${i}`);
      circuits.of('used');
    }
    expect(circuits.size).toBe(500);
    expect(circuits.of('used').state).toBe('open');
    expect(circuits.of('unused').state).toBe('closed');
  });
});
