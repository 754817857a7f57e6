import { describe, expect, it } from 'vitest';
import { EventualKv } from '../../../bench/rate-limit/eventual-kv.ts';
import { type RateScene, simulateRateLimit } from '../../../bench/rate-limit/simulation.ts';
import { RateLimiter } from '../../../src/http/rate-limit.ts';
import { type RateStore, SharedRates } from '../../../src/http/shared-rates.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seeded } from '../../support/random.ts';

const address = '192.0.2.1';

function isolate(clock: FakeClock, name: string) {
  const limiter = new RateLimiter();
  const failures: unknown[] = [];
  const rates = new SharedRates({
    clock,
    limiter,
    isolate: name,
    pseudonym: async (of) => `hash-of-${of}`,
    onFailure: (error) => failures.push(error),
  });
  /** How many of so many requests pass. */
  const ask = async (times: number, store: RateStore) => {
    let passed = 0;
    for (let i = 0; i < times; i++) {
      if (limiter.take(address, 100, clock.now()).allowed) passed++;
      await rates.exchange(store, address, 100);
    }
    return passed;
  };
  return { limiter, rates, failures, ask };
}

function setUp() {
  const clock = new FakeClock();
  const kv = new EventualKv({ now: () => clock.now(), random: seeded(1), locations: 1, propagationMs: 0 });
  return { clock, kv, store: kv.at(0), a: isolate(clock, 'a'), b: isolate(clock, 'b') };
}

describe('the record in KV', () => {
  it('makes isolates share one limit, and lives a minute', async () => {
    const { clock, store, a, b } = setUp();
    expect(await a.ask(80, store)).toBe(80);
    await clock.advance(15_000);
    // What `a` was asked in the last minute is known now.
    await a.ask(1, store);
    expect(await b.ask(60, store)).toBeLessThan(45);
    await clock.advance(130_000);
    expect(await b.ask(150, store)).toBe(100);
  });

  it('holds no address, and is written by each isolate under a key of its own', async () => {
    const { clock, store, a, b } = setUp();
    await a.ask(20, store);
    await clock.advance(1_000);
    await b.ask(20, store);
    const { keys } = await store.list({ prefix: '' });
    expect(keys.map(({ name }) => name)).toEqual([`rate/hash-of-${address}/a`, `rate/hash-of-${address}/b`]);
    expect(keys[0]?.metadata).toEqual({ at: expect.any(Number), demand: 10, blockedUntil: 0 });
  });

  it('is not touched for who asks little', async () => {
    const { kv, store, a } = setUp();
    await a.ask(9, store);
    expect([kv.puts, kv.lists]).toEqual([0, 0]);
  });

  it('costs no more than an exchange a second and isolate, however many addresses there are', async () => {
    const { clock, kv, store, a } = setUp();
    for (let second = 0; second < 10; second++) {
      for (let host = 0; host < 50; host++) {
        for (let i = 0; i < 20; i++) a.limiter.take(`198.51.100.${host}`, 100, clock.now());
        await a.rates.exchange(store, `198.51.100.${host}`, 100);
      }
      await clock.advance(1_000);
    }
    expect([kv.puts, kv.lists]).toEqual([10, 10]);
  });

  it('tells of a block, and no record makes one last', async () => {
    const { clock, store, a, b } = setUp();
    await a.ask(1_000, store);
    await clock.advance(15_000);
    await a.ask(1, store);
    await clock.advance(1_000);
    expect(await b.ask(20, store)).toBeLessThanOrEqual(10);
    expect(b.limiter.report(address, clock.now())?.blockedUntil).toBeGreaterThan(clock.now());
    const forged = { at: clock.now(), demand: 0, blockedUntil: 1e15 };
    await store.put(`rate/hash-of-${address}/c`, '', { expirationTtl: 60, metadata: forged });
    await clock.advance(15_000);
    await b.ask(20, store);
    expect(b.limiter.report(address, clock.now())?.blockedUntil).toBeLessThanOrEqual(clock.now() + 60_000);
  });

  it('leaves the isolate its own window where KV is down, hangs, or says nonsense', async () => {
    const { clock, a, b } = setUp();
    const down: RateStore = {
      put: () => Promise.reject(new Error('down')),
      list: () => Promise.reject(new Error('down')),
    };
    expect(await a.ask(150, down)).toBe(100);
    expect(a.failures).toHaveLength(1);
    const nonsense: RateStore = {
      put: async () => {},
      list: async () => ({ keys: [{ name: 'x' }, { name: 'y', metadata: { at: 0, demand: 'many' } }] }),
    };
    expect(await b.ask(150, nonsense)).toBe(100);
    const hanging: RateStore = { put: () => new Promise(() => {}), list: () => new Promise(() => {}) };
    const c = isolate(clock, 'c');
    for (let i = 0; i < 150; i++) c.limiter.take(address, 100, clock.now());
    const exchange = c.rates.exchange(hanging, address, 100);
    await clock.advance(2_000);
    await exchange;
    expect(c.failures).toHaveLength(1);
  });
});

/** What `npm run bench -- rate-limit` prints more of. */
describe('one address at many isolates over an eventually consistent KV', () => {
  const scene: RateScene = {
    locations: 5,
    isolatesPerLocation: 4,
    requestsPerMinute: 600,
    minutes: 6,
    limit: 100,
    propagationMs: 60_000,
    binding: true,
    kv: true,
    seed: 7,
  };

  it('stays within a sixth of the limit once KV has shown it everywhere; at first, within each location’s', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const outcome = await simulateRateLimit({ ...scene, seed });
      expect(outcome.worstLater).toBeLessThanOrEqual(117);
      expect(outcome.meanLater).toBeGreaterThan(80);
      expect(outcome.worstAtFirst).toBeLessThanOrEqual(5 * scene.limit);
      expect(outcome.mostWritesPerKeyAndSecond).toBe(1);
    }
  });

  it('passes all of it where nothing is shared', async () => {
    const outcome = await simulateRateLimit({ ...scene, binding: false, kv: false });
    expect(outcome.worstLater).toBeGreaterThan(550);
  });

  it('refuses hardly anybody who keeps to the limit', async () => {
    const outcome = await simulateRateLimit({ ...scene, requestsPerMinute: 80 });
    expect(outcome.meanLater).toBeGreaterThan(76);
  });
});
