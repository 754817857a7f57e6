import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodePcm16 } from '../../../src/audio/pcm.ts';
import { Resampler } from '../../../src/audio/resample.ts';
import {
  type OpenAiTextToSpeechSettings,
  openAiTextToSpeech,
} from '../../../src/providers/openai/text-to-speech.ts';
import type { TextToSpeechEvent } from '../../../src/providers/ports.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  body,
  hang,
  json,
  jsonOf,
  OpenAiDouble,
  refuse,
  status,
  stream,
} from '../../support/openai-double.ts';
import { Pauses } from '../../support/pauses.ts';

const path = '/audio/speech';
const provider = 'openai/gpt-4o-mini-tts';
const tone = Int16Array.from({ length: 7200 }, (_, i) =>
  Math.round(9000 * Math.sin((2 * Math.PI * 440 * i) / 24_000)),
);

let double: OpenAiDouble;
let clock: FakeClock;
let pauses: Pauses;
beforeEach(async () => {
  double = await OpenAiDouble.start();
  clock = new FakeClock();
  pauses = new Pauses();
});
afterEach(async () => {
  expect(double.unexpected).toEqual([]);
  expect(clock.pending).toBe(0);
  await double.close();
});

function voice(settings: Partial<OpenAiTextToSpeechSettings> = {}) {
  return openAiTextToSpeech(
    { apiKey: 'key', baseUrl: double.baseUrl, model: 'gpt-4o-mini-tts', ...settings },
    clock,
    pauses,
  );
}

const request = (sampleRate: 8000 | 16_000 = 8000) => ({ text: 'Hello there.', sampleRate, voice: 'alloy' });

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

const speak = (settings?: Partial<OpenAiTextToSpeechSettings>, sampleRate?: 8000 | 16_000) =>
  collect(voice(settings).speak(request(sampleRate), new AbortController().signal));

function resampled(from: number, to: number): Int16Array {
  const resampler = new Resampler(from, to);
  return Int16Array.from([...resampler.push(tone), ...resampler.flush()]);
}

describe('OpenAI text to speech', () => {
  it.each([8000, 16_000] as const)(
    'brings speech to the leg’s %i Hz, and counts its characters',
    async (rate) => {
      double.script(path, body(encodePcm16(tone), 'audio/pcm'));
      const { samples, usage, error } = await speak({}, rate);
      expect(error).toBeNull();
      expect(samples).toEqual(resampled(24_000, rate));
      expect(usage).toEqual([{ provider, characters: 12 }]);
      expect(jsonOf(double.requests[0]!)).toEqual({
        model: 'gpt-4o-mini-tts',
        input: 'Hello there.',
        voice: 'alloy',
        response_format: 'pcm',
      });
    },
  );

  it('puts samples together that arrive in halves', async () => {
    const bytes = encodePcm16(tone);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = [1, 3, 961, 2, 1501][pieces.length % 5]!;
      pieces.push(bytes.subarray(at, at + length));
      at += length;
    }
    double.script(path, stream(pieces, 'application/octet-stream'));
    expect((await speak()).samples).toEqual(resampled(24_000, 8000));
  });

  it('yields audio while more of it is on the way', async () => {
    double.script(path, stream([encodePcm16(tone)], 'audio/pcm', 'hang'));
    const abort = new AbortController();
    const kinds: string[] = [];
    for await (const event of voice().speak(request(), abort.signal)) {
      kinds.push(event.type);
      if (event.type === 'audio') abort.abort();
    }
    expect(kinds).toEqual(['usage', 'audio']);
    await (await double.received(0)).gone;
  });

  it('heeds the rate that the server states, and drops half a sample at the end', async () => {
    double.script(path, body(Buffer.concat([encodePcm16(tone), Buffer.of(1)]), 'audio/pcm; rate=16000'));
    expect((await speak()).samples).toEqual(resampled(16_000, 8000));
  });

  it('sends instructions and speed where they are set', async () => {
    double.script(path, body(encodePcm16(tone), 'audio/pcm'));
    await speak({ instructions: 'Calmly.', speed: 1.1 });
    expect(jsonOf(double.requests[0]!)).toMatchObject({ instructions: 'Calmly.', speed: 1.1 });
  });

  it.each([
    ['a page with status 200', body('<html>sign in</html>', 'text/html')],
    ['JSON with status 200', json({ error: 'no voice today' })],
    ['an mp3', body(new Uint8Array(4000), 'audio/mpeg')],
    ['a WAV file', body(new Uint8Array(4000), 'audio/wav')],
    ['a rate it cannot convert', body(new Uint8Array(4000), 'audio/pcm;rate=12345')],
    ['no audio', body(new Uint8Array(0), 'audio/pcm')],
    ['half a sample', body(new Uint8Array(1), 'audio/pcm')],
  ])('never plays %s: it is malformed', async (_, answer) => {
    double.script(path, answer);
    const { samples, error } = await speak();
    expect(samples).toHaveLength(0);
    expect(error).toMatchObject({ name: 'ProviderError', provider, failure: 'malformed' });
    expect(double.requests).toHaveLength(1);
  });

  it('retries, then speaks', async () => {
    double.script(
      path,
      status(429, 'later', { 'retry-after': '0' }),
      status(500),
      body(encodePcm16(tone), 'audio/pcm'),
    );
    const result = speak();
    for (const pause of [1, 2]) await pauses.pass(pause, clock);
    expect((await result).samples).toHaveLength(2400);
  });

  it('tells at once that it is to be left alone for longer than a caller can wait', async () => {
    double.script(path, status(429, 'later', { 'retry-after': '7' }));
    expect((await speak()).error).toMatchObject({ failure: 'rate_limited', retryAfterMs: 7_000 });
    expect(double.requests).toHaveLength(1);
  });

  it.each([
    [500, 'unavailable'],
    [401, 'unauthorized'],
    [400, 'rejected'],
    [429, 'rate_limited'],
  ])('fails with status %i as %s', async (code, failure) => {
    double.script(path, status(code));
    expect((await speak({ maxRetries: 0 })).error).toMatchObject({ failure, status: code });
  });

  it('is unavailable when the connection breaks, before the audio or in the middle of it', async () => {
    double.script(path, refuse(), stream([encodePcm16(tone)], 'audio/pcm', 'cut'));
    expect((await speak({ maxRetries: 0 })).error).toMatchObject({ failure: 'unavailable' });
    const { samples, error } = await speak({ maxRetries: 0 });
    expect(samples.length).toBeGreaterThan(2300);
    expect(error).toMatchObject({ name: 'ProviderError', failure: 'unavailable' });
  });

  it('times out when the server hangs', async () => {
    double.script(path, hang());
    const result = speak({ firstAudioMs: 700 });
    const received = await double.received(0);
    await clock.advance(700);
    expect((await result).error).toMatchObject({ failure: 'timeout' });
    await received.gone;
  });

  it('times out when the audio stops coming, but not while the consumer takes its time', async () => {
    double.script(path, stream([encodePcm16(tone)], 'audio/pcm', 'hang'));
    const iterator = voice({ idleMs: 400 })
      .speak(request(), new AbortController().signal)
      [Symbol.asyncIterator]();
    expect((await iterator.next()).value).toMatchObject({ type: 'usage' });
    await clock.advance(60_000);
    expect((await iterator.next()).value).toMatchObject({ type: 'audio' });
    await clock.advance(60_000);
    const settled = expect(iterator.next()).rejects.toMatchObject({ failure: 'timeout' });
    await clock.advance(400);
    await settled;
  });

  it('lets go of a page that never ends', async () => {
    double.script(path, stream(['<html>'], 'text/html', 'hang'));
    expect((await speak()).error).toMatchObject({ failure: 'malformed' });
    await (await double.received(0)).gone;
  });

  it('ends quietly when it is aborted before and during the wait', async () => {
    expect(await collect(voice().speak(request(), AbortSignal.abort()))).toMatchObject({
      usage: [],
      error: null,
    });
    double.script(path, hang());
    const abort = new AbortController();
    const result = collect(voice().speak(request(), abort.signal));
    const received = await double.received(0);
    abort.abort(new Error('interrupted'));
    expect(await result).toMatchObject({ usage: [], error: null });
    await received.gone;
  });
});
