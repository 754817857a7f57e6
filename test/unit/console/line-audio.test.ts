import { describe, expect, it } from 'vitest';
import { LineAudio, type LineFrame } from '../../../src/console/audio/line-audio.ts';

/** A browser whose audio thread asks for blocks of 128 samples. */
function line(contextRate: number, lineRate: 8000 | 16000) {
  const frames: LineFrame[] = [];
  const marks: string[] = [];
  const it = new LineAudio({
    contextRate,
    lineRate,
    onFrame: (frame) => frames.push(frame),
    onMark: (name) => marks.push(name),
  });
  let at = 0;
  /** Runs for `ms` with a microphone that hears `input`; what the loudspeaker plays. */
  const run = (ms: number, input: ((seconds: number) => number) | null = () => 0) => {
    const played: number[] = [];
    for (const until = at + (ms * contextRate) / 1000; at < until; at += 128) {
      const block =
        input === null ? null : Float32Array.from({ length: 128 }, (_, i) => input((at + i) / contextRate));
      const out = new Float32Array(128).fill(Number.NaN);
      it.process(block, out);
      played.push(...out);
    }
    return played;
  };
  return { it, frames, marks, run };
}

const tone = (hz: number, amplitude: number) => (seconds: number) =>
  amplitude * Math.sin(2 * Math.PI * hz * seconds);
const loudest = (samples: Iterable<number>) => Math.max(...[...samples].map(Math.abs));
/** Times that the sign changes from minus to plus. */
const cycles = (samples: ArrayLike<number>) => {
  let count = 0;
  for (let i = 1; i < samples.length; i++) if (samples[i - 1]! < 0 && samples[i]! >= 0) count++;
  return count;
};

describe.each([
  [48_000, 16_000],
  [44_100, 16_000],
  [48_000, 8_000],
  [44_100, 8_000],
] as const)('the line at a browser’s %d Hz and a telephone’s %d Hz', (contextRate, lineRate) => {
  it('cuts the microphone into frames of 20 ms, of the same tone', () => {
    const { frames, run } = line(contextRate, lineRate);
    run(1_000, tone(500, 0.5));
    expect(frames.length).toBeGreaterThanOrEqual(49);
    expect(frames.length).toBeLessThanOrEqual(51);
    for (const { sent, heard } of frames) {
      expect(sent.length).toBe(lineRate / 50);
      expect(heard.length).toBe(lineRate / 50);
    }
    const all = frames.flatMap(({ sent }) => [...sent]);
    expect(Math.abs(cycles(all) - frames.length * 10)).toBeLessThanOrEqual(1);
    expect(loudest(all.slice(lineRate / 10)) / 32768).toBeCloseTo(0.5, 1);
  });

  it('plays the agent at the browser’s rate, and reports it as heard in the frames of the same time', () => {
    const { it: audio, frames, run } = line(contextRate, lineRate);
    run(200);
    audio.play(
      Int16Array.from({ length: lineRate }, (_, i) => 16_384 * Math.sin((2 * Math.PI * 500 * i) / lineRate)),
    );
    const played = run(1_000);
    run(100);
    expect(Math.abs(cycles(played) - 500)).toBeLessThanOrEqual(12);
    expect(loudest(played)).toBeCloseTo(0.5, 1);
    const first = frames.findIndex(({ heard }) => loudest(heard) > 0);
    expect(first).toBeGreaterThanOrEqual(9);
    expect(first).toBeLessThanOrEqual(12);
    expect(frames.filter(({ heard }) => loudest(heard) > 0).length).toBeGreaterThanOrEqual(50);
  });

  it('falls silent within 3 ms of a clear, and has then heard no more than was played', () => {
    const { it: audio, frames, marks, run } = line(contextRate, lineRate);
    audio.play(new Int16Array(lineRate).fill(10_000));
    audio.mark('end');
    run(300);
    audio.clear();
    const after = run(500);
    const faded = Math.ceil(contextRate * 0.004);
    // The converter's own tail of a millisecond or two is all that is left.
    expect(loudest(after.slice(faded + contextRate / 200))).toBeLessThan(0.01);
    expect(marks).toEqual([]);
    const heard = frames.flatMap((frame) => [...frame.heard]).filter((sample) => sample !== 0).length;
    expect(Math.abs(heard / lineRate - 0.3)).toBeLessThanOrEqual(0.01);
  });

  it('keeps both sides in step after many clears', () => {
    const { it: audio, frames, run } = line(contextRate, lineRate);
    for (let i = 0; i < 40; i++) {
      audio.play(new Int16Array(lineRate / 5).fill(5_000));
      run(50);
      audio.clear();
    }
    run(100);
    const before = frames.length;
    audio.play(new Int16Array(lineRate / 50).fill(9_000));
    run(200);
    const at = frames.findIndex(({ heard }, i) => i >= before && loudest(heard) === 9_000);
    expect(at - before).toBeGreaterThanOrEqual(0);
    expect(at - before).toBeLessThanOrEqual(2);
  });
});

describe('a microphone', () => {
  it('that is muted, or not there, sends silence in time', () => {
    const { it: audio, frames, run } = line(48_000, 16_000);
    audio.muted = true;
    run(200, tone(500, 0.8));
    audio.muted = false;
    run(200, null);
    expect(frames.length).toBeGreaterThanOrEqual(19);
    expect(loudest(frames.flatMap(({ sent }) => [...sent]))).toBe(0);
  });

  it('that is too loud is clipped, not wrapped around', () => {
    const { frames, run } = line(16_000, 16_000);
    run(100, () => 1.7);
    expect([...frames[2]!.sent].every((sample) => sample === 32_767)).toBe(true);
  });
});
