import { describe, expect, it } from 'vitest';
import { IsolatePermits, PERMIT_RENEW_MS, type PermitShards } from '../../../src/durable/isolate-permits.ts';
import { PERMIT_LEASE_MS } from '../../../src/durable/permit-shard.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type PermitScene, simulatePermits } from '../../support/permit-simulation.ts';

function setUp(shards: Partial<PermitShards> = {}) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const permits = new IsolatePermits(clock, { id: () => 'isolate', fraction: () => 0 });
  const reached: PermitShards = {
    ceiling: 1_000,
    most: 4,
    take: async (shard, _isolate, wanted) => {
      asked.push(`take ${wanted} of ${shard}`);
      return wanted;
    },
    hold: async (shard, _isolate, held) => {
      asked.push(`hold ${held} of ${shard}`);
    },
    give: async (shard, _isolate, given) => {
      asked.push(`give ${given} of ${shard}`);
    },
    ...shards,
  };
  const open = async (count: number) => {
    for (let i = 0; i < count; i++) {
      if (!(await permits.getFree(reached))) return false;
      permits.opened(`object-${permits.used}`, clock.now() + 360_000);
    }
    return true;
  };
  return { clock, permits, shards: reached, asked, open };
}

describe('permits', () => {
  it('are asked for in blocks, told of every half minute by one call for all, and given back', async () => {
    const { clock, permits, shards, asked, open } = setUp();
    await open(33);
    // A block is a quarter of the calls that there are, and eight at most.
    expect(asked.splice(0)).toEqual([
      ...['take 1 of 0', 'take 1 of 0', 'take 1 of 0', 'take 1 of 0', 'take 1 of 0', 'take 2 of 0'],
      ...[
        'take 2 of 0',
        'take 3 of 0',
        'take 3 of 0',
        'take 4 of 0',
        'take 5 of 0',
        'take 6 of 0',
        'take 8 of 0',
      ],
    ]);
    await permits.renew(shards);
    // Of five to spare four stay.
    expect(asked.splice(0)).toEqual(['hold 37 of 0']);
    expect(permits.renew(shards), 'another call has just done it').toBeNull();
    await clock.advance(PERMIT_RENEW_MS);
    await permits.renew(shards);
    expect(asked.splice(0)).toEqual(['hold 37 of 0']);
    for (let i = 0; i < 33; i++) await permits.closed(`object-${i}`, shards);
    expect(asked[0]).toBe('give 7 of 0');
    expect(
      asked.reduce((sum, what) => sum + Number(what.split(' ')[1]), 0),
      'all but one',
    ).toBe(36);
  });

  it('that nobody has are refused, and nobody is asked again for a second', async () => {
    const { clock, permits, shards, asked } = setUp({
      take: async (shard) => {
        asked.push(`take of ${shard}`);
        return 0;
      },
    });
    expect(await permits.getFree(shards)).toBe(false);
    expect(asked.splice(0)).toEqual(['take of 0', 'take of 1', 'take of 2', 'take of 3']);
    expect(await permits.getFree(shards)).toBe(false);
    expect(asked).toEqual([]);
    await clock.advance(1_000);
    await permits.getFree(shards);
    expect(asked).toHaveLength(4);
  });

  it('are not waited for for more than a second: calls begin without, and are told of with the next renewal', async () => {
    const { clock, permits, shards, asked } = setUp({ take: () => new Promise(() => {}) });
    const free = permits.getFree(shards);
    await clock.advance(1_000);
    expect(await free).toBe(true);
    permits.opened('object', clock.now() + 360_000);
    await permits.renew(shards);
    expect(asked).toEqual(['hold 1 of 0']);
  });

  it('lapse where nothing was heard of the shards, and calls that live are told of anew', async () => {
    const { clock, permits, shards, asked, open } = setUp();
    await open(3);
    await clock.advance(PERMIT_LEASE_MS);
    expect(permits.free).toBe(false);
    asked.splice(0);
    await permits.renew(shards);
    expect(asked).toEqual(['hold 3 of 0']);
  });

  it('of an object that never said that its call is over are free when the longest call is', async () => {
    const { clock, permits, shards, open } = setUp();
    await open(1);
    await clock.advance(360_000);
    await permits.renew(shards);
    expect(permits.used).toBe(0);
  });

  it('are no matter where there is no ceiling', async () => {
    const { asked, permits, shards } = setUp({ ceiling: 0 });
    expect(await permits.getFree(shards)).toBe(true);
    permits.opened('object', 1e15);
    expect(permits.renew(shards)).toBeNull();
    expect(permits.closed('object', shards)).toBeNull();
    expect(asked).toEqual([]);
  });
});

describe('the deployment’s ceiling', () => {
  const scene: PermitScene = {
    isolates: 40,
    shards: 8,
    ceiling: 2_000,
    // Some three thousand want to call at once.
    startsPerSecond: 50,
    callMs: 60_000,
    seconds: 200,
    crashChance: 0,
    lossChance: 0,
    restartChance: 0,
    seed: 1,
  };

  it('is never passed, and nobody is refused where an eighth of it is free', async () => {
    for (const seed of [1, 2]) {
      const outcome = await simulatePermits({ ...scene, seed });
      expect(outcome.mostLive).toBeLessThanOrEqual(2_000);
      expect(outcome.mostLive).toBeGreaterThan(1_900);
      expect(outcome.fewestAtRefusal).toBeGreaterThan(1_750);
      expect(outcome.heldAfterLease).toBe(0);
      // Of a thousand that an object takes.
      expect(outcome.mostRequests).toBeLessThan(200);
    }
  });

  it('is passed by a twentieth at most where isolates and shards crash and requests get lost; nothing leaks', async () => {
    const outcome = await simulatePermits({
      ...scene,
      crashChance: 0.001,
      lossChance: 0.02,
      restartChance: 0.01,
    });
    expect(outcome.mostLive).toBeLessThanOrEqual(2_100);
    // What crashed isolates held is missing until their leases are over.
    expect(outcome.fewestAtRefusal).toBeGreaterThan(1_400);
    expect(outcome.heldAfterLease).toBe(0);
  });

  it('is used up also where every isolate has one call', async () => {
    const lonely = { isolates: 1_000, ceiling: 1_000, startsPerSecond: 30, callMs: 60_000, seconds: 90 };
    const outcome = await simulatePermits({ ...scene, ...lonely });
    expect(outcome.mostLive).toBeLessThanOrEqual(1_000);
    expect(outcome.fewestAtRefusal).toBeGreaterThan(875);
    expect(outcome.heldAfterLease).toBe(0);
  });

  it('is kept where it is small', async () => {
    const few = { isolates: 10, shards: 16, ceiling: 20, startsPerSecond: 10, callMs: 10_000, seconds: 60 };
    const outcome = await simulatePermits({ ...scene, ...few });
    expect(outcome.mostLive).toBeLessThanOrEqual(20);
    expect(outcome.mostLive).toBeGreaterThan(15);
    expect(outcome.heldAfterLease).toBe(0);
  });
});
