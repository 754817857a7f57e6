import { describe, expect, it } from 'vitest';
import { KeptUtterance } from '../../../src/providers/chain-utterance.ts';
import { seeded } from '../../support/random.ts';

describe('an utterance that is kept', () => {
  it('is spoken again as it was, from the first sample that is kept, with its pauses, wherever it was cut', () => {
    const { fraction, whole, of } = seeded(7);
    // At the borders of its blocks, across several of them, and within one.
    const lengths = [160, 7_999, 8_000, 8_001, 16_000, 20_000];
    for (let round = 0; round < 100; round++) {
      const utterance = new KeptUtterance(0);
      const spoken: number[] = [];
      let start = 0;
      let pauses: number[] = [];
      for (let step = 0; step < 10; step++) {
        const chance = fraction();
        if (chance < 0.6) {
          const samples = Int16Array.from({ length: of(lengths) }, (_, i) => (spoken.length + i) % 9_973);
          utterance.push(samples);
          spoken.push(...samples);
          // Whoever has pushed it may write over it.
          samples.fill(-1);
        } else if (chance < 0.75) {
          utterance.pause();
          pauses.push(spoken.length);
        } else if (chance < 0.95) {
          const forgotten = chance < 0.8 ? utterance.kept : whole(utterance.kept + 1);
          utterance.forget(forgotten);
          start += forgotten;
        } else {
          utterance.clear();
          start = spoken.length;
          pauses = [];
        }
      }
      const again: number[] = [];
      const pausedAt: number[] = [];
      utterance.replay({
        events: noEvents(),
        push: (samples) => void again.push(...samples),
        pause: () => void pausedAt.push(start + again.length),
        endUtterance: () => 0,
        discardUtterance: () => {},
      });
      expect(again.length, `round ${round}`).toBe(spoken.length - start);
      expect(again.findIndex((sample, i) => sample !== spoken[start + i])).toBe(-1);
      expect(pausedAt).toEqual([...new Set(pauses)].filter((position) => position > start));
    }
  });
});

async function* noEvents(): AsyncGenerator<never> {}
