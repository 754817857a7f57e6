import { expect, test } from 'vitest';
import {
  decodeAudio,
  encodeAudio,
  samplesToWav,
  voicedSpan,
  wavToSamples,
} from '../../../tools/caller/audio.ts';
import { Mouth } from '../../../tools/caller/mouth.ts';

const tone = (samples: number, amplitude: number) =>
  Int16Array.from({ length: samples }, (_, i) => Math.round(amplitude * Math.sin(i * 0.5)));

function after(silence: number, voiced: Int16Array, trailing: Int16Array): Int16Array {
  const all = new Int16Array(silence + voiced.length + trailing.length);
  all.set(voiced, silence);
  all.set(trailing, silence + voiced.length);
  return all;
}

test('the last voiced sample is found before the hiss that a synthesiser leaves behind', () => {
  const samples = after(800, tone(4000, 8000), tone(1600, 20));
  expect(voicedSpan(samples, 8000)).toEqual({ start: 800, end: 4800 });
});

test('silence has no voiced span', () => {
  expect(voicedSpan(new Int16Array(8000), 8000)).toBeNull();
  expect(voicedSpan(new Int16Array(0), 8000)).toBeNull();
});

test.each(['mulaw', 'alaw', 'l16'] as const)('%s survives the way to the wire and back', (encoding) => {
  const samples = tone(160, 8000);
  const back = decodeAudio(encodeAudio(samples, encoding), encoding);
  const worst = Math.max(...samples.map((sample, i) => Math.abs(sample - back[i]!)));
  expect(back).toHaveLength(160);
  expect(worst).toBeLessThanOrEqual(encoding === 'l16' ? 0 : 256);
});

test('a recording of another rate is converted, not played too fast', () => {
  const wav = samplesToWav(tone(16_000, 8000), 16_000);
  expect(wavToSamples(wav, 8000)).toHaveLength(8000);
  expect(wavToSamples(wav, 16_000)).toEqual(tone(16_000, 8000));
});

test('an utterance goes out in whole frames, and silence around it', () => {
  const mouth = new Mouth(8000, 20);
  let done = 0;
  expect(mouth.next().samples).toEqual(new Int16Array(160));
  mouth.say(new Int16Array(200).fill(5), 200, () => {
    done += 1;
  });
  expect(mouth.queuedSamples).toBe(320);
  const first = mouth.next();
  expect(first).toMatchObject({ voicedEndedMsAgo: null, done: null });
  const second = mouth.next();
  expect([...second.samples.subarray(38, 42)]).toEqual([5, 5, 0, 0]);
  // 40 samples of speech and 120 of silence: the last voiced one is 15 ms old when the frame is complete.
  expect(second.voicedEndedMsAgo).toBe(15);
  second.done?.();
  expect(done).toBe(1);
  expect(mouth.next().samples).toEqual(new Int16Array(160));
  expect(mouth.queuedSamples).toBe(0);
});

test('two utterances follow one another, each from a frame of its own', () => {
  const mouth = new Mouth(8000, 20);
  mouth.say(new Int16Array(10).fill(1), 10, () => {});
  mouth.say(new Int16Array(10).fill(2), 10, () => {});
  expect(mouth.queuedSamples).toBe(320);
  expect(mouth.next().samples[0]).toBe(1);
  expect(mouth.next().samples[0]).toBe(2);
});
