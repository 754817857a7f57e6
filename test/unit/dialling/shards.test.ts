import { describe, expect, it } from 'vitest';
import { shardsToAsk } from '../../../src/dialling/shards.ts';
import { seeded } from '../../support/random.ts';

describe('a node that asks for work', () => {
  it.each([1, 3, 4, 5, 8, 16, 256])('comes to each of %i shards, however often it asks', (shards) => {
    const random = seeded(shards);
    const found = new Map<number, number>();
    const times = shards * 100;
    for (let i = 0; i < times; i++) {
      const asked = shardsToAsk(shards, random);
      expect(new Set(asked).size).toBe(Math.min(4, shards));
      for (const shard of asked) found.set(shard, (found.get(shard) ?? 0) + 1);
    }
    expect([...found.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: shards }, (_, i) => i));
    const share = (times * Math.min(4, shards)) / shards;
    for (const times of found.values()) expect(times).toBeGreaterThan(share / 2);
  });
});
