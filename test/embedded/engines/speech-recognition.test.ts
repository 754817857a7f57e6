import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeMulaw } from '../../../src/audio/g711.ts';
import { wavToMono } from '../../../src/audio/wav.ts';
import { humanClips } from '../../support/human-clips.ts';
import { pooledWordErrors, wordErrors } from '../../support/word-errors.ts';
import { resampled, throughTelephone, useEngines, wavFile } from './support.ts';

const server = useEngines();

/** Someone's real speech at 16 kHz, and how much of it is misheard in a file made of it. */
function humanSpeech(): { samples: Int16Array; misheard: (text: string) => number } {
  const clip = humanClips().find(({ name }) => name === 'jfk');
  if (clip === undefined) throw new Error('no clip jfk');
  const { samples } = wavToMono(readFileSync(clip.path));
  return { samples, misheard: (text) => wordErrors(clip.reference, text).rate };
}

async function transcribe(file: File): Promise<string> {
  return (await server.client().audio.transcriptions.create({ file, model: 'gpt-transcribe' })).text;
}

async function speech(input: string): Promise<Int16Array> {
  const response = await server
    .client()
    .audio.speech.create({ model: 'tts-1', voice: 'alloy', input, response_format: 'pcm' });
  return new Int16Array(await response.arrayBuffer());
}

test('human speech at telephone quality has at most 20 % word errors', async () => {
  const results = [];
  for (const clip of humanClips()) {
    const { samples, sampleRate } = wavToMono(readFileSync(clip.path));
    const text = await transcribe(wavFile(throughTelephone(samples, sampleRate), 8000));
    const errors = wordErrors(clip.reference, text);
    console.log(`${clip.name}: ${errors.errors} of ${errors.words} words wrong: ${text}`);
    results.push(errors);
  }
  const pooled = pooledWordErrors(results);
  console.log(`pooled: ${pooled.errors} of ${pooled.words} words, ${(100 * pooled.rate).toFixed(1)} %`);
  expect(pooled.words).toBeGreaterThan(20);
  expect(pooled.rate).toBeLessThanOrEqual(0.2);
});

test('what the synthesiser says is recognised', async () => {
  const said = [
    'We are open from nine until five.',
    'How much does it cost to repair a puncture?',
    'You can cancel your booking free of charge until the day before.',
  ];
  const heard = [];
  for (const text of said) {
    const pcm = throughTelephone(await speech(text), 24_000);
    heard.push(wordErrors(text, await transcribe(wavFile(pcm, 8000))));
  }
  expect(pooledWordErrors(heard).rate).toBeLessThanOrEqual(0.15);
});

test.each([8000, 16_000, 22_050, 24_000, 44_100, 48_000])('audio of %i Hz is understood', async (rate) => {
  const { samples, misheard } = humanSpeech();
  expect(misheard(await transcribe(wavFile(resampled(samples, 16_000, rate), rate)))).toBeLessThan(0.1);
});

test('stereo with the speech on one side is understood', async () => {
  const { samples, misheard } = humanSpeech();
  const stereo = new Int16Array(2 * samples.length);
  for (const [i, sample] of samples.entries()) stereo[2 * i + 1] = sample;
  expect(misheard(await transcribe(wavFile(stereo, 16_000, 2)))).toBeLessThan(0.1);
});

test('a μ-law file is understood', async () => {
  const { samples, misheard } = humanSpeech();
  const audio = encodeMulaw(resampled(samples, 16_000, 8000));
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + audio.length, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(7, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(8000, 24);
  header.writeUInt32LE(8000, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('data', 36);
  header.writeUInt32LE(audio.length, 40);
  const file = new File([header, audio as Uint8Array<ArrayBuffer>], 'mulaw.wav');
  expect(misheard(await transcribe(file))).toBeLessThan(0.1);
});

test('silence, a quiet hiss and a tone are no words', async () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31 - 0.5;
  };
  const seconds = (make: (i: number) => number) => Int16Array.from({ length: 16_000 }, (_, i) => make(i));
  for (const samples of [
    seconds(() => 0),
    seconds(() => 20 * random()),
    seconds(() => 600 * random()),
    seconds((i) => 3000 * Math.sin((2 * Math.PI * 440 * i) / 8000)),
  ]) {
    expect(await transcribe(wavFile(samples, 8000))).toBe('');
  }
});

test('speech longer than the model can hear at once is transcribed to its end', async () => {
  const spoken = 'The workshop repairs bicycles of every kind, and most of them are ready in two days.';
  const once = await speech(spoken);
  const times = Math.ceil((40 * 24_000) / once.length);
  const long = new Int16Array(times * once.length);
  for (let i = 0; i < times; i++) long.set(once, i * once.length);
  expect(long.length / 24_000).toBeGreaterThan(30);
  const text = await transcribe(wavFile(long, 24_000));
  expect(wordErrors(Array(times).fill(spoken).join(' '), text).rate).toBeLessThan(0.2);
});
