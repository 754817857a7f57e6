import { describe, expect, it } from 'vitest';
import { checkSide } from '../../chaos/recording-check.ts';
import { sayNumber } from '../../chaos/voice.ts';

const pause = (ms: number) => new Int16Array(ms * 8);
const join = (...parts: Int16Array[]) => Int16Array.from(parts.flatMap((part) => [...part]));
const line = join(
  pause(300),
  sayNumber(12),
  pause(900),
  sayNumber(13),
  pause(1_200),
  sayNumber(14),
  pause(700),
);
const always = () => true;

/** The line from `ms` on comes so much later. */
function delayed(ms: number, byMs: number): Int16Array {
  return join(line.subarray(0, ms * 8), pause(byMs), line.subarray(ms * 8));
}

describe('the check of a recording against the line', () => {
  it('finds all of a recording that is whole, wherever it stands', () => {
    for (const recording of [line, delayed(0, 120)]) {
      const { frames, missingMs, unlikeMs } = checkSide(line, recording, always);
      expect(frames).toBeGreaterThan(100);
      expect([missingMs, unlikeMs]).toEqual([[], []]);
    }
  });

  it('tells which frames are not there', () => {
    const recording = line.slice();
    const from = (300 + 400) * 8;
    recording.fill(0, from, from + 5 * 160);
    const { missingMs, unlikeMs } = checkSide(line, recording, always);
    // What follows is a pause of the sentence.
    expect(missingMs).toEqual([700, 720, 740]);
    expect(unlikeMs).toEqual([]);
    expect(checkSide(line, recording, (ms) => ms < 700 || ms >= 800).missingMs).toEqual([]);
  });

  it('finds frames before a gap of the line within a syllable', () => {
    // The earpiece ran dry for 60 ms: the line has it, the recording does not.
    const at = (300 + 100) * 8;
    const heard = join(line.subarray(0, at), pause(60), line.subarray(at));
    const { missingMs, unlikeMs } = checkSide(heard, line, always);
    expect([missingMs, unlikeMs]).toEqual([[], []]);
  });

  it('tells which frames are others', () => {
    const recording = line.slice();
    for (let i = 700 * 8; i < 760 * 8; i++) recording[i] = 6_000 * (i % 3 === 0 ? 1 : -1);
    const { missingMs, unlikeMs } = checkSide(line, recording, always);
    expect(missingMs).toEqual([]);
    expect(unlikeMs).toEqual([700, 720, 740]);
  });

  it('tells from where on a side comes later', () => {
    const secondAt = 300 + sayNumber(12).length / 8 + 600;
    const { lags, missingMs } = checkSide(line, delayed(secondAt, 900), always);
    expect(missingMs).toEqual([]);
    expect(new Set(lags.map(({ atMs, lagMs }) => (atMs < secondAt ? 'before ' : 'after ') + lagMs))).toEqual(
      new Set(['before 0', 'after 900']),
    );
  });
});
