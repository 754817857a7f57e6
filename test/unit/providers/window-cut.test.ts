import { describe, expect, it } from 'vitest';
import { isSilent, quietestCut } from '../../../src/providers/window-cut.ts';

const rate = 8000;

/** A tone of one second with silence from `from` to `until`, in samples. */
function toneWithGap(from: number, until: number, level = 8000): Int16Array {
  return Int16Array.from({ length: rate }, (_, i) =>
    i >= from && i < until ? 0 : Math.round(level * Math.sin((2 * Math.PI * 200 * i) / rate)),
  );
}

describe('quietestCut', () => {
  it('cuts in the middle of the gap between two words', () => {
    const cut = quietestCut(toneWithGap(6000, 6400), rate);
    expect(cut).toBeGreaterThan(6000);
    expect(cut).toBeLessThan(6400);
  });

  it('leaves a gap in the first half alone, so that windows do not become short', () => {
    expect(quietestCut(toneWithGap(1000, 2000), rate)).toBeGreaterThanOrEqual(4000);
  });

  it('takes the last of equally quiet places', () => {
    expect(quietestCut(new Int16Array(rate), rate)).toBe(rate - 80);
  });

  it.each([0, 1, 2, 79, 80, 160, 161, 321])(
    'stays within a window of %i samples, and never stands still',
    (length) => {
      const cut = quietestCut(new Int16Array(length).fill(500), rate);
      expect(cut).toBeLessThanOrEqual(length);
      expect(cut).toBeGreaterThan(length === 0 ? -1 : 0);
    },
  );

  it('knows silence from the quietest speech', () => {
    expect(isSilent(new Int16Array(0), rate)).toBe(true);
    expect(isSilent(new Int16Array(rate).fill(20), rate)).toBe(true);
    const word = new Int16Array(rate);
    word.set(toneWithGap(0, 0, 100).subarray(0, 400), 7600);
    expect(isSilent(word, rate)).toBe(false);
  });
});
