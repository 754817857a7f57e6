import type { AiModels } from '@cloudflare/workers-types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeMulaw } from '../../../src/audio/g711.ts';
import { decodePcm16 } from '../../../src/audio/pcm.ts';
import type { TextToSpeechEvent } from '../../../src/providers/ports.ts';
import {
  type WorkersAiTextToSpeechSettings,
  workersAiTextToSpeech,
} from '../../../src/providers/workers-ai/text-to-speech.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { Pauses } from '../../support/pauses.ts';
import {
  type AiAnswer,
  failure,
  hang,
  json,
  stream,
  thrown,
  WorkersAiDouble,
} from '../../support/workers-ai-double.ts';

const aura = '@cf/deepgram/aura-2-en';
const provider = `workers-ai/${aura}`;
const bytes = Uint8Array.from({ length: 4800 }, (_, i) => (i * 7) & 0xff);
/** Cut within a sample, and within what tells a file from raw audio. */
const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 3), bytes.subarray(3, 2400), bytes.subarray(2400)];

let ai: WorkersAiDouble;
let clock: FakeClock;
let pauses: Pauses;
beforeEach(() => {
  ai = new WorkersAiDouble();
  clock = new FakeClock();
  pauses = new Pauses();
});
afterEach(async () => {
  await settle();
  expect(clock.pending).toBe(0);
  expect(ai.unexpected).toEqual([]);
});

const request = (sampleRate: 8000 | 16_000 = 8000) => ({ text: 'Hello.', sampleRate, voice: 'luna' });
const voice = (settings: Partial<WorkersAiTextToSpeechSettings> = {}) =>
  workersAiTextToSpeech({ ai, ...settings }, clock, pauses);

async function collect(speech: AsyncIterable<TextToSpeechEvent>) {
  const samples: number[] = [];
  const usage: unknown[] = [];
  try {
    for await (const event of speech) {
      if (event.type === 'audio') samples.push(...event.samples);
      else if (event.type === 'usage') usage.push(event.usage);
    }
    return { samples: Int16Array.from(samples), usage, error: null };
  } catch (error) {
    return { samples: Int16Array.from(samples), usage, error };
  }
}

const speak = (settings?: Partial<WorkersAiTextToSpeechSettings>) =>
  collect(voice(settings).speak(request(), new AbortController().signal));

describe('Aura-2 on Workers AI', () => {
  it.each([
    [8000, 'mulaw', decodeMulaw],
    [16_000, 'linear16', decodePcm16],
  ] as const)('speaks at %i Hz as %s, without conversion', async (rate, encoding, decode) => {
    ai.script(aura, stream(pieces, 'audio/mpeg'));
    const result = await collect(voice().speak(request(rate), new AbortController().signal));
    expect(result).toEqual({ samples: decode(bytes), usage: [{ provider, characters: 6 }], error: null });
    expect(ai.calls[0]!.inputs).toEqual({
      text: 'Hello.',
      speaker: 'luna',
      encoding,
      container: 'none',
      sample_rate: rate,
    } satisfies AiModels[typeof aura]['inputs']);
    expect(ai.calls[0]!.options).toMatchObject({ returnRawResponse: true, rejectIfBusy: true });
  });

  it('understands Deepgram’s names of its voices, and speaks Spanish with the Spanish model', async () => {
    ai.script(aura, stream(pieces, 'audio/mulaw'));
    ai.script('@cf/deepgram/aura-2-es', stream(pieces, 'audio/mulaw'));
    await speak({ voice: 'aura-2-thalia-en' });
    await collect(voice().speak({ ...request(), language: 'es-MX' }, new AbortController().signal));
    expect(ai.calls.map((call) => call.inputs.speaker)).toEqual(['thalia', 'luna']);
  });

  it('yields audio while more of it is on the way, and lets go of it when it is interrupted', async () => {
    let gone = () => {};
    const released = new Promise<void>((resolve) => {
      gone = resolve;
    });
    ai.script(aura, stream([bytes], 'audio/mulaw', 'hang', gone));
    const abort = new AbortController();
    const kinds: string[] = [];
    for await (const event of voice().speak(request(), abort.signal)) {
      kinds.push(event.type);
      if (event.type === 'audio') abort.abort();
    }
    expect(kinds).toEqual(['usage', 'audio']);
    await released;
  });

  it.each<[string, AiAnswer]>([
    ['JSON with status 200', json({ audio: 'AAAA' })],
    ['a page with status 200', stream(['<html>'], 'text/html', 'hang')],
    ['an MP3 file', stream([Uint8Array.of(0xff, 0xfb, 0x90), new Uint8Array(400)], 'audio/mpeg')],
    ['an MP3 file with a tag', stream(['ID3', new Uint8Array(400)], 'audio/mpeg')],
    ['a WAV file', stream(['RI', 'FF', new Uint8Array(400)], 'audio/wav')],
    ['no audio', stream([], 'audio/mulaw')],
  ])('never plays %s: it is malformed', async (_, answer) => {
    ai.script(aura, answer);
    expect(await speak()).toMatchObject({
      samples: { length: 0 },
      error: { name: 'ProviderError', provider, failure: 'malformed' },
    });
    expect(ai.calls).toHaveLength(1);
  });

  it('plays what is shorter than the start of a file', async () => {
    ai.script(aura, stream([bytes.subarray(0, 3)], 'audio/mulaw'));
    expect((await speak()).samples).toHaveLength(3);
  });

  it('tries again before the audio, whether the binding answers or throws', async () => {
    ai.script(aura, failure(429, 3040, 'busy'), thrown('3040: busy'), stream(pieces, 'audio/mulaw'));
    const result = speak();
    await pauses.pass(1, clock);
    await pauses.pass(2, clock);
    expect((await result).samples).toHaveLength(4800);
  });

  it('is rejected for a voice that the model does not have', async () => {
    ai.script(aura, failure(400, 5006, 'speaker: must be one of'));
    expect((await speak({ voice: 'alloy' })).error).toMatchObject({ failure: 'rejected', status: 400 });
  });

  it('is unavailable when it is cut in the middle of the audio, and does not say it twice', async () => {
    ai.script(aura, stream([bytes], 'audio/mulaw', 'cut'));
    expect(await speak()).toMatchObject({ samples: { length: 4800 }, error: { failure: 'unavailable' } });
    expect(ai.calls).toHaveLength(1);
  });

  it('times out when nothing comes, and when the audio stops coming', async () => {
    ai.script(aura, hang, stream([], 'audio/mulaw', 'hang'), stream([bytes], 'audio/mulaw', 'hang'));
    for (const number of [0, 1]) {
      const waiting = speak({ firstAudioMs: 600 });
      await ai.called(number);
      await clock.advance(600);
      expect(await waiting).toMatchObject({ usage: [], error: { failure: 'timeout' } });
    }
    const iterator = voice({ idleMs: 400 })
      .speak(request(), new AbortController().signal)
      [Symbol.asyncIterator]();
    await iterator.next();
    expect((await iterator.next()).value).toMatchObject({ type: 'audio' });
    await clock.advance(60_000);
    const settled = expect(iterator.next()).rejects.toMatchObject({ failure: 'timeout' });
    await clock.advance(400);
    await settled;
  });

  it('ends quietly when it is aborted before and during the wait', async () => {
    expect(await collect(voice().speak(request(), AbortSignal.abort()))).toMatchObject({
      usage: [],
      error: null,
    });
    expect(ai.calls).toEqual([]);
    ai.script(aura, hang);
    const abort = new AbortController();
    const result = collect(voice().speak(request(), abort.signal));
    await ai.called(0);
    abort.abort(new Error('interrupted'));
    expect(await result).toMatchObject({ usage: [], error: null });
  });
});
