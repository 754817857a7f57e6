import { describe, expect, it } from 'vitest';
import type { AudioChunk } from '../../../src/call/journal.ts';
import { recordingKey } from '../../../src/durable/recordings/format.ts';
import {
  blockSamples,
  mixSides,
  recordingSamples,
  type Spool,
  spooledAudio,
} from '../../../src/durable/recordings/spooled-audio.ts';

const filled = (value: number, length: number) => new Int16Array(length).fill(value);

/** A spool of chunks; those that are not there were left out by a crash. */
function spoolOf(chunks: AudioChunk[]): Spool {
  const byIndex = new Map(chunks.map((chunk) => [chunk.index, chunk]));
  const last = Math.max(-1, ...byIndex.keys());
  return {
    audioExtent: (chunkSamples) => ({
      chunks: last + 1,
      samples: last < 0 ? 0 : last * chunkSamples + byIndex.get(last)!.length,
    }),
    audioChunk: (index) => byIndex.get(index) ?? null,
  };
}

function all(spool: Spool, call: { chunkSamples: number; sampleRate: 8000 | 16000 }, channels: 1 | 2) {
  const blocks = [...spooledAudio(spool, call, channels)];
  expect(Math.max(...blocks.map((block) => block.length))).toBeLessThanOrEqual(blockSamples * channels);
  return Int16Array.from(blocks.flatMap((block) => [...block]));
}

describe('the audio of a spool', () => {
  const call = { chunkSamples: 16_000, sampleRate: 8000 } as const;
  const spool = spoolOf([
    { index: 0, length: 16_000, caller: filled(100, 16_000), agent: null },
    { index: 2, length: 16_000, caller: filled(100, 16_000), agent: filled(20, 16_000) },
    { index: 3, length: 500, caller: null, agent: filled(7, 500) },
  ]);

  it('is both sides in one channel, with silence where a crash left a chunk out', () => {
    const samples = all(spool, call, 1);
    expect(samples.length).toBe(48_500);
    expect(recordingSamples(spool, call)).toBe(48_500);
    expect([samples[0], samples[15_999], samples[16_000], samples[31_999]]).toEqual([100, 100, 0, 0]);
    expect([samples[32_000], samples[47_999], samples[48_000], samples[48_499]]).toEqual([120, 120, 7, 7]);
  });

  it('is the caller left and the agent right', () => {
    const samples = all(spool, call, 2);
    const at = (sample: number) => [samples[2 * sample], samples[2 * sample + 1]];
    expect(samples.length).toBe(97_000);
    expect([at(0), at(16_000), at(32_000), at(48_499)]).toEqual([
      [100, 0],
      [0, 0],
      [100, 20],
      [0, 7],
    ]);
  });

  it('does not depend on the length of the chunks, also where it is longer than a block', () => {
    const caller = Int16Array.from({ length: 70_001 }, (_, i) => Math.round(9_000 * Math.sin(i / 7)));
    const cut = (chunkSamples: number) => {
      const chunks: AudioChunk[] = [];
      for (let from = 0; from < caller.length; from += chunkSamples) {
        const part = caller.subarray(from, from + chunkSamples);
        chunks.push({ index: from / chunkSamples, length: part.length, caller: part, agent: null });
      }
      return all(spoolOf(chunks), { chunkSamples, sampleRate: 16_000 }, 2);
    };
    const whole = cut(960_000);
    expect(whole.length).toBe(2 * Math.round(70_001 / 2));
    expect(cut(3_200)).toEqual(whole);
    expect(cut(32_000)).toEqual(whole);
  });

  it('of a 16 kHz leg is 8 kHz', () => {
    const tone = Int16Array.from({ length: 96_000 }, (_, i) => 8_000 * Math.sin((i * Math.PI) / 20));
    const chunks = [0, 1, 2].map((index) => {
      const part = tone.subarray(index * 32_000, (index + 1) * 32_000);
      return { index, length: 32_000, caller: part, agent: null };
    });
    const samples = all(spoolOf(chunks), { chunkSamples: 32_000, sampleRate: 16_000 }, 1);
    expect(samples.length).toBe(48_000);
    const middle = samples.subarray(16_000, 32_000);
    expect(Math.max(...middle)).toBeGreaterThan(7_500);
    // 400 Hz: a rising zero crossing every 20 samples.
    const crossings = middle.filter((sample, i) => i > 0 && sample >= 0 && middle[i - 1]! < 0).length;
    expect(Math.abs(crossings - 800)).toBeLessThanOrEqual(1);
  });

  it('is nothing where nothing was spooled', () => {
    expect(all(spoolOf([]), call, 2).length).toBe(0);
  });

  it('does not wrap round where both sides are loud', () => {
    expect([...mixSides(filled(30_000, 2), filled(30_000, 2))]).toEqual([32_767, 32_767]);
    expect([...mixSides(filled(-30_000, 2), Int16Array.of(-30_000, 0))]).toEqual([-32_768, -30_000]);
  });
});

describe('the key of a recording', () => {
  it('is that of the contract: the row, the day of the start in UTC, the kind of file', () => {
    const start = Date.UTC(2026, 10, 1, 23, 59, 59);
    expect(recordingKey('call-1', start, 'wav')).toBe('recordings/2026/11/01/call-1.wav');
    expect(recordingKey('call-1', start, 'mulaw-wav')).toBe('recordings/2026/11/01/call-1.wav');
    expect(recordingKey(`call-1.${start}`, start, 'ogg-opus')).toBe(
      `recordings/2026/11/01/call-1.${start}.opus`,
    );
  });
});
