import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { Resampler } from '../../../src/audio/resample.ts';
import { loadVoiceActivity, type VoiceActivityFactory } from '../../../src/audio/voice-activity.ts';
import { wavToMono } from '../../../src/audio/wav.ts';
import {
  compileModule,
  compileVoiceActivityModule,
  voiceActivityForNode,
} from '../../support/voice-activity.ts';

let factory: VoiceActivityFactory;
beforeAll(async () => {
  factory = await voiceActivityForNode();
});

describe('voice activity', () => {
  it('finds no voice in silence, nor in a soft hum', () => {
    const detector = factory.create({ sampleRate: 8000 });
    const hum = Int16Array.from({ length: 160 }, (_, i) =>
      Math.round(60 * Math.sin((2 * Math.PI * 50 * i) / 8000)),
    );
    for (let i = 0; i < 200; i++) {
      expect(detector.isVoiced(new Int16Array(160))).toBe(false);
      expect(detector.isVoiced(hum)).toBe(false);
    }
    detector.close();
  });

  it.each([8000, 16_000] as const)('finds a man’s speech and its pauses at %i Hz', async (sampleRate) => {
    const speech = await humanSpeech(sampleRate);
    for (const milliseconds of [10, 20, 30]) {
      const detector = factory.create({ sampleRate });
      const frames = voicedFrames(speech, detector, (sampleRate * milliseconds) / 1000);
      detector.close();
      const share = frames.filter(Boolean).length / frames.length;
      expect(share).toBeGreaterThan(0.5);
      expect(share).toBeLessThan(0.95);
    }
  });

  it('keeps two calls apart, and reset is as good as new', async () => {
    const speech = await humanSpeech(8000);
    const alone = factory.create({ sampleRate: 8000 });
    const expected = voicedFrames(speech, alone, 160);
    const disturbed = factory.create({ sampleRate: 8000 });
    const other = factory.create({ sampleRate: 16_000, mode: 0 });
    const noise = Int16Array.from({ length: 320 }, (_, i) => ((i * 7919) % 20_011) - 10_000);
    const heard: boolean[] = [];
    for (let at = 0; at + 160 <= speech.length; at += 160) {
      other.isVoiced(noise);
      heard.push(disturbed.isVoiced(speech.subarray(at, at + 160)));
    }
    expect(heard).toEqual(expected);
    disturbed.reset();
    expect(voicedFrames(speech, disturbed, 160)).toEqual(expected);
    for (const detector of [alone, disturbed, other]) detector.close();
  });

  it('refuses a frame of any other length, before it could overrun the heap', () => {
    const detector = factory.create({ sampleRate: 8000 });
    for (const length of [0, 1, 79, 81, 159, 161, 320, 480, 100_000]) {
      expect(() => detector.isVoiced(new Int16Array(length))).toThrow(RangeError);
    }
    detector.close();
  });

  it('refuses a rate or mode it has not', () => {
    for (const options of [
      { sampleRate: 11_025 },
      { sampleRate: 8000, mode: 4 },
      { sampleRate: 8000, mode: -1 },
    ]) {
      expect(() => factory.create(options as never)).toThrow(RangeError);
    }
  });

  it('throws once closed, and may be closed twice', () => {
    const detector = factory.create({ sampleRate: 8000 });
    detector.close();
    detector.close();
    expect(() => detector.isVoiced(new Int16Array(160))).toThrow('closed');
    expect(() => detector.reset()).toThrow('closed');
  });

  it('does not leak: 20,000 calls, and as many refused ones, leave the heap as it was', () => {
    const live = Array.from({ length: 10 }, () => factory.create({ sampleRate: 16_000 }));
    const before = factory.heapBytes;
    for (let i = 0; i < 20_000; i++) {
      const detector = factory.create({ sampleRate: i % 2 === 0 ? 8000 : 16_000 });
      detector.isVoiced(new Int16Array(i % 2 === 0 ? 240 : 480));
      detector.close();
      expect(() => factory.create({ sampleRate: 8000, mode: 9 as never })).toThrow();
    }
    expect(factory.heapBytes).toBe(before);
    for (const detector of live) detector.close();
    // The counterproof: what is not closed does grow the heap.
    const kept = Array.from({ length: 500 }, () => factory.create({ sampleRate: 16_000 }));
    for (let i = 0; i < 40 && factory.heapBytes === before; i++) {
      for (let n = 0; n < 500; n++) kept.push(factory.create({ sampleRate: 16_000 }));
    }
    expect(factory.heapBytes).toBeGreaterThan(before);
    // A heap that grew has moved: detectors from before must still hear.
    expect(kept[0]!.isVoiced(new Int16Array(320))).toBe(false);
    for (const detector of kept) detector.close();
  });

  it('fails to load, rather than waiting for ever, if the module is another one', async () => {
    const empty = await compileModule(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    await expect(loadVoiceActivity(empty)).rejects.toThrow();
    await expect(loadVoiceActivity(await compileVoiceActivityModule())).resolves.toBeDefined();
  });
});

/** The clip inside npm's `nodejs-whisper`: eleven seconds of J. F. Kennedy at 16 kHz. */
async function humanSpeech(sampleRate: 8000 | 16_000): Promise<Int16Array> {
  const path = fileURLToPath(import.meta.resolve('nodejs-whisper/package.json'));
  const clip = join(dirname(path), 'cpp/whisper.cpp/bindings/go/samples/jfk.wav');
  const wav = wavToMono(await readFile(clip));
  const resampler = new Resampler(wav.sampleRate, sampleRate);
  return Int16Array.from([...resampler.push(wav.samples), ...resampler.flush()]);
}

function voicedFrames(
  samples: Int16Array,
  detector: { isVoiced(frame: Int16Array): boolean },
  length: number,
): boolean[] {
  const voiced: boolean[] = [];
  for (let at = 0; at + length <= samples.length; at += length) {
    voiced.push(detector.isVoiced(samples.subarray(at, at + length)));
  }
  return voiced;
}
