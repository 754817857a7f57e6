import { describe, expect, it } from 'vitest';
import { Resampler, resamplerRates } from '../../../src/audio/resample.ts';

const pairs = resamplerRates.flatMap((from) =>
  resamplerRates.filter((to) => to !== from).map((to) => [from, to] as const),
);

describe('Resampler', () => {
  it.each(pairs)('keeps what both rates can carry, in level and in time: %i to %i Hz', (from, to) => {
    const lower = Math.min(from, to);
    for (const share of [0.02, 0.25, 0.42]) {
      const output = convert(tone(from, share * lower, 0.3), from, to);
      const { level, phase } = measure(output, to, share * lower);
      expect(Math.abs(decibels(level))).toBeLessThan(0.5);
      // A delay of one sample of the lower rate at 0.02 of it would be 0.126 rad.
      expect(Math.abs(phase)).toBeLessThan(0.01);
    }
  });

  it.each(pairs.filter(([from, to]) => from > to))(
    'suppresses what would fold back by 60 dB: %i to %i Hz',
    (from, to) => {
      for (let share = 0.575; share * to < from / 2; share += 0.115) {
        const output = convert(tone(from, share * to, 0.2), from, to);
        expect(decibels(rms(output) / (amplitude / Math.SQRT2))).toBeLessThan(-60);
      }
    },
  );

  it.each(pairs.filter(([from, to]) => from < to))(
    'makes no images above its input: %i to %i Hz',
    (from, to) => {
      const frequency = 0.3 * from;
      const output = convert(tone(from, frequency, 0.3), from, to);
      for (let image = from - frequency; image < to / 2; image += from) {
        expect(decibels(measure(output, to, image).level)).toBeLessThan(-60);
      }
    },
  );

  it('passes 3.4 kHz and rejects 4.6 kHz from 24 to 8 kHz, as telephone speech needs', () => {
    const passed = measure(convert(tone(24_000, 3400, 0.3), 24_000, 8000), 8000, 3400).level;
    const rejected = measure(convert(tone(24_000, 4600, 0.3), 24_000, 8000), 8000, 3400).level;
    expect(Math.abs(decibels(passed))).toBeLessThan(0.5);
    expect(decibels(rejected)).toBeLessThan(-60);
  });

  it.each(pairs)('gives the same output however the input is cut: %i to %i Hz', (from, to) => {
    const random = seeded(from + to);
    const input = Int16Array.from({ length: 6000 }, () => Math.floor((random() * 2 - 1) * 32_768));
    const whole = convert(input, from, to);
    const resampler = new Resampler(from, to);
    const parts: number[] = [];
    for (let at = 0; at < input.length; ) {
      const length = Math.floor(random() ** 3 * 1500);
      parts.push(...resampler.push(input.subarray(at, at + length)));
      at += length;
    }
    parts.push(...resampler.flush());
    expect(Int16Array.from(parts)).toEqual(whole);
  });

  it('has the length of its input to rounding, also when that is hardly any', () => {
    for (const [from, to] of pairs) {
      for (const length of [0, 1, 2, 3, 7, 160, 441, 999]) {
        expect(convert(new Int16Array(length), from, to)).toHaveLength(Math.round((length * to) / from));
      }
    }
  });

  it('does not drift within an hour of 22.05 kHz', () => {
    const resampler = new Resampler(22_050, 8000);
    const minute = new Int16Array(22_050 * 60);
    let produced = 0;
    for (let i = 0; i < 60; i++) {
      produced += resampler.push(minute).length;
      const behind = (i + 1) * 60 * 8000 - produced;
      expect(behind).toBeGreaterThanOrEqual(0);
      expect(behind).toBeLessThanOrEqual(17);
    }
    expect(produced + resampler.flush().length).toBe(3600 * 8000);
  }, 30_000);

  it('keeps silence silent and a constant constant', () => {
    expect(convert(new Int16Array(1000), 24_000, 8000).every((sample) => sample === 0)).toBe(true);
    const level = convert(new Int16Array(4800).fill(12_345), 24_000, 8000).subarray(100, 1500);
    expect(new Set(level)).toEqual(new Set([12_345]));
  });

  it('saturates instead of wrapping at full scale', () => {
    const square = Int16Array.from({ length: 4800 }, (_, i) => (i % 48 < 24 ? 32_767 : -32_768));
    const output = convert(square, 24_000, 8000);
    for (let i = 32; i < output.length - 32; i++) {
      const phase = (i * 3) % 48;
      if (phase > 3 && phase < 21) expect(output[i]).toBeGreaterThan(20_000);
      if (phase > 27 && phase < 45) expect(output[i]).toBeLessThan(-20_000);
    }
    expect(Math.max(...output)).toBe(32_767);
  });

  it('starts afresh after flush', () => {
    const resampler = new Resampler(24_000, 8000);
    const input = tone(24_000, 440, 0.05);
    const first = [...resampler.push(input), ...resampler.flush()];
    expect([...resampler.push(input), ...resampler.flush()]).toEqual(first);
    expect(resampler.flush()).toHaveLength(0);
  });

  it('keeps no reference to its input where the rates are equal', () => {
    const input = Int16Array.of(1, 2, 3);
    const output = new Resampler(8000, 8000).push(input);
    input.fill(9);
    expect(output).toEqual(Int16Array.of(1, 2, 3));
  });

  it('refuses a rate it has no filter for', () => {
    for (const rate of [0, -8000, 8001, Number.NaN, 1e9]) {
      expect(() => new Resampler(rate, 8000)).toThrow(RangeError);
      expect(() => new Resampler(8000, rate)).toThrow(RangeError);
    }
  });
});

const amplitude = 20_000;

function tone(rate: number, frequency: number, seconds: number): Int16Array {
  return Int16Array.from({ length: Math.round(rate * seconds) }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * frequency * i) / rate)),
  );
}

function convert(input: Int16Array, from: number, to: number): Int16Array {
  const resampler = new Resampler(from, to);
  const begin = resampler.push(input);
  const end = resampler.flush();
  const output = new Int16Array(begin.length + end.length);
  output.set(begin);
  output.set(end, begin.length);
  return output;
}

/** Level of one frequency relative to `tone`, and its phase in radians, of the middle under a Hann window. */
function measure(samples: Int16Array, rate: number, frequency: number): { level: number; phase: number } {
  const edge = Math.round(rate * 0.02);
  let sine = 0;
  let cosine = 0;
  let weights = 0;
  const length = samples.length - 2 * edge;
  for (let i = 0; i < length; i++) {
    const weight = 1 - Math.cos((2 * Math.PI * i) / length);
    const angle = (2 * Math.PI * frequency * (i + edge)) / rate;
    sine += weight * samples[i + edge]! * Math.sin(angle);
    cosine += weight * samples[i + edge]! * Math.cos(angle);
    weights += weight;
  }
  return { level: (2 * Math.hypot(sine, cosine)) / weights / amplitude, phase: Math.atan2(cosine, sine) };
}

/** Of the middle: where a tone starts and ends, every frequency is present. */
function rms(samples: Int16Array): number {
  const edge = 40;
  let sum = 0;
  for (let i = edge; i < samples.length - edge; i++) sum += samples[i]! ** 2;
  return Math.sqrt(sum / (samples.length - 2 * edge));
}

function decibels(ratio: number): number {
  return 20 * Math.log10(Math.max(ratio, 1e-9));
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
