import { OggOpusDecoder } from 'ogg-opus-decoder';
import { beforeAll, describe, expect, it } from 'vitest';
import { createOggOpusWriter, type OggOpusOptions } from '../../../src/audio/ogg-opus.ts';
import type { Opus } from '../../../src/audio/opus.ts';
import { opusForTests } from '../../support/opus.ts';

let opus: Opus;
beforeAll(async () => {
  opus = await opusForTests();
});

/** A voice-like sound: harmonics of 140 Hz, in bursts of 200 ms. */
function speech(samples: number, sampleRate = 8000): Int16Array {
  return Int16Array.from({ length: samples }, (_, n) => {
    const t = n / sampleRate;
    if (Math.floor(t * 5) % 2 === 1) return 0;
    let value = 0;
    for (let h = 1; h < 20; h++)
      value += Math.sin(2 * Math.PI * 140 * h * t) / (1 + Math.abs(h * 140 - 700) / 400);
    return Math.round(Math.max(-1, Math.min(1, value / 6)) * 12_000);
  });
}

/** Writes `samples` (interleaved) in blocks of `blockSamples` numbers. */
async function encode(
  options: OggOpusOptions,
  samples: Int16Array,
  blockSamples = 8000,
): Promise<Uint8Array> {
  const writer = createOggOpusWriter(opus, options);
  const pages: Uint8Array[] = [];
  for (let from = 0; from < samples.length; from += blockSamples) {
    pages.push(...(await writer.write(samples.subarray(from, from + blockSamples))));
  }
  pages.push(...(await writer.end()));
  writer.close();
  return Buffer.concat(pages);
}

/** By a second implementation, which shares no code with the first. At 48 kHz. */
async function decode(file: Uint8Array): Promise<Float32Array[]> {
  const decoder = new OggOpusDecoder();
  await decoder.ready;
  try {
    const { channelData, sampleRate, errors } = await decoder.decodeFile(file);
    expect(errors).toEqual([]);
    expect(sampleRate).toBe(48_000);
    return channelData;
  } finally {
    decoder.free();
  }
}

const level = (samples: Float32Array) =>
  Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);

/** Where `of` best matches `samples` (8 kHz), in samples at 48 kHz, within ± 20 ms. */
function offset(of: Float32Array, samples: Int16Array): number {
  let best = { at: 0, sum: Number.NEGATIVE_INFINITY };
  for (let at = -960; at <= 960; at += 6) {
    let sum = 0;
    for (let i = 1000; i < samples.length - 1000; i += 3) sum += samples[i]! * (of[i * 6 + at] ?? 0);
    if (sum > best.sum) best = { at, sum };
  }
  return best.at;
}

describe('an Ogg Opus file', () => {
  it.each([8_000 * 3, 8_000 * 3 + 17, 8_000 * 60])(
    'of %d samples is exactly as long when another library reads it, and in place',
    async (length) => {
      const samples = speech(length);
      const [channel, ...others] = await decode(await encode({ sampleRate: 8000, channels: 1 }, samples));
      expect(others).toEqual([]);
      expect(channel!.length).toBe(length * 6);
      expect(Math.abs(offset(channel!, samples.subarray(0, 8_000 * 3)))).toBeLessThanOrEqual(48);
    },
  );

  it('does not depend on how the samples are cut', async () => {
    const samples = speech(20_000);
    const whole = await encode({ sampleRate: 8000, channels: 1 }, samples, 20_000);
    const cut = await encode({ sampleRate: 8000, channels: 1 }, samples, 7);
    // Apart from the stream's serial number, which is random and in each page's checksum.
    expect(cut.length).toBe(whole.length);
    expect((await decode(cut))[0]).toEqual((await decode(whole))[0]);
  });

  it('keeps the channels apart and in place', async () => {
    const caller = speech(24_000);
    const both = new Int16Array(48_000);
    for (let i = 0; i < 24_000; i++) {
      both[2 * i] = i < 12_000 ? caller[i]! : 0;
      both[2 * i + 1] = i < 12_000 ? 0 : caller[i]!;
    }
    const [left, right] = await decode(await encode({ sampleRate: 8000, channels: 2 }, both));
    expect([left!.length, right!.length]).toEqual([144_000, 144_000]);
    // What leaks of a side into the other is 30 dB below it, 100 ms off the change: libopus codes both together.
    expect(level(right!.subarray(0, 67_000))).toBeLessThan(level(left!.subarray(0, 67_000)) / 31.6);
    expect(level(left!.subarray(77_000))).toBeLessThan(level(right!.subarray(77_000)) / 31.6);
  });

  it('is some eighth of the WAV', async () => {
    const samples = speech(8_000 * 60);
    const { length } = await encode({ sampleRate: 8000, channels: 1 }, samples);
    expect(length).toBeLessThan((samples.length * 2) / 7);
  });

  it.each([0, 1, 479])('of %d samples is a whole file', async (length) => {
    const file = Buffer.from(await encode({ sampleRate: 8000, channels: 1 }, speech(length)));
    expect(file.toString('latin1', 28, 36)).toBe('OpusHead');
    expect(file.includes('OpusTags')).toBe(true);
    const lastPage = file.lastIndexOf('OggS');
    // End of stream; the position is the pre-skip and the samples, at 48 kHz.
    expect(file[lastPage + 5]! & 4).toBe(4);
    expect(file.readBigUInt64LE(lastPage + 6)).toBe(BigInt(312 + length * 6));
    await decode(file);
  });

  it('costs the codec no memory once it is closed', async () => {
    const samples = speech(8_000);
    await encode({ sampleRate: 8000, channels: 2 }, samples);
    const before = opus.heapBytes;
    for (let i = 0; i < 400; i++) await encode({ sampleRate: 8000, channels: 2 }, samples.subarray(0, 1_000));
    expect(opus.heapBytes).toBe(before);
  });

  it('refuses a frame of another length, and anything once closed', () => {
    const encoder = opus.createEncoder({
      sampleRate: 8000,
      channels: 2,
      bitrate: 32_000,
      complexity: 3,
      frameSamples: 480,
    });
    expect(() => encoder.encode(new Int16Array(480))).toThrow(RangeError);
    expect(encoder.encode(new Int16Array(960)).length).toBeGreaterThan(0);
    encoder.close();
    encoder.close();
    expect(() => encoder.encode(new Int16Array(960))).toThrow('closed');
  });

  it('is not made of what libopus refuses', () => {
    const options = { sampleRate: 8000, channels: 1, complexity: 3, frameSamples: 480 } as const;
    expect(() => opus.createEncoder({ ...options, bitrate: -5 })).toThrow('libopus could not set 4002');
  });
});
