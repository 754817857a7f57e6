import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeMulaw } from '../../../src/audio/g711.ts';
import { decodePcm16 } from '../../../src/audio/pcm.ts';
import type { ElevenLabsSettings } from '../../../src/providers/elevenlabs/settings.ts';
import { elevenLabsTextToSpeech } from '../../../src/providers/elevenlabs/text-to-speech.ts';
import type { TextToSpeech, TextToSpeechEvent } from '../../../src/providers/ports.ts';
import {
  ElevenLabsDouble,
  failure,
  hang,
  refuse,
  type Sentence,
  speechOf,
  stream,
} from '../../support/elevenlabs-double.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { Pauses } from '../../support/pauses.ts';
import { dialFromNode } from '../../support/socket-double.ts';

const provider = 'elevenlabs/eleven_flash_v2_5';
let double: ElevenLabsDouble;
let clock: FakeClock;
let voices: TextToSpeech[];
let pauses: Pauses;
beforeEach(async () => {
  double = await ElevenLabsDouble.start();
  clock = new FakeClock();
  voices = [];
  pauses = new Pauses();
});
afterEach(async () => {
  for (const voice of voices) voice.close?.();
  await settle();
  expect(clock.pending).toBe(0);
  await double.close();
});

function voice(settings: Partial<ElevenLabsSettings> = {}): TextToSpeech {
  const made = elevenLabsTextToSpeech(
    { apiKey: 'secret-key', baseUrl: double.baseUrl, dial: dialFromNode, ...settings },
    clock,
    pauses,
  );
  voices.push(made);
  return made;
}

const request = (text = 'Hello.', sampleRate: 8000 | 16_000 = 8000) => ({
  text,
  sampleRate,
  voice: 'rachel',
});
const never = () => new AbortController().signal;

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

const speak = (settings?: Partial<ElevenLabsSettings>) => collect(voice(settings).speak(request(), never()));
const mulaw = (text: string) => decodeMulaw(speechOf(text, 'ulaw_8000'));

/** Answers nothing: the test does. */
const held = () => {};

describe('ElevenLabs over its multi-context socket', () => {
  it.each([
    [8000, 'ulaw_8000', decodeMulaw],
    [16_000, 'pcm_16000', decodePcm16],
  ] as const)(
    'speaks at %i Hz as %s, without conversion, and counts the characters',
    async (rate, format, decode) => {
      const { samples, usage, error } = await collect(voice().speak(request('Hello.', rate), never()));
      expect(error).toBeNull();
      expect(samples).toEqual(decode(speechOf('Hello.', format)));
      expect(usage).toEqual([{ provider, characters: 6 }]);
      const [socket] = double.sockets;
      expect(Object.fromEntries(socket!.query)).toEqual({
        model_id: 'eleven_flash_v2_5',
        output_format: format,
        inactivity_timeout: '180',
      });
      expect(socket).toMatchObject({ voice: 'rachel', headers: { 'xi-api-key': 'secret-key' } });
      expect(double.requests).toEqual([]);
    },
  );

  it('passes the language as ISO 639-1, except to a model that refuses it', async () => {
    await collect(voice().speak({ ...request(), language: 'de-AT' }, never()));
    await collect(
      voice({ model: 'eleven_multilingual_v2' }).speak({ ...request(), language: 'de' }, never()),
    );
    expect(double.sockets.map((socket) => socket.query.get('language_code'))).toEqual(['de', null]);
  });

  it('speaks with its own voice where one is set', async () => {
    await speak({ voice: 'a/b' });
    expect(double.sockets[0]!.voice).toBe('a/b');
  });

  it('speaks all sentences of a call over one socket, each in a context of its own', async () => {
    const speaker = voice();
    for (const text of ['One.', 'Two.', 'Three.']) {
      expect((await collect(speaker.speak(request(text), never()))).samples).toEqual(mulaw(text));
    }
    expect(double.sockets).toHaveLength(1);
    expect(new Set(double.sentences.map((sentence) => sentence.contextId)).size).toBe(3);
  });

  it('keeps two sentences apart that are spoken at once', async () => {
    double.sentenceScript.push(held, held);
    const speaker = voice();
    const first = collect(speaker.speak(request('One.'), never()));
    const second = collect(speaker.speak(request('Two.'), never()));
    await double.until(() => double.sentences.length === 2);
    const [one, two] = double.sentences as [Sentence, Sentence];
    for (const sentence of [two, one, two, one])
      sentence.audio(new Uint8Array(80).fill(sentence.text.charCodeAt(0)));
    two.final();
    one.final();
    expect((await first).samples).toEqual(decodeMulaw(new Uint8Array(160).fill('O'.charCodeAt(0))));
    expect((await second).samples).toEqual(decodeMulaw(new Uint8Array(160).fill('T'.charCodeAt(0))));
  });

  it('yields audio while more of it is on the way', async () => {
    double.sentenceScript.push((sentence) => sentence.audio(new Uint8Array(160)));
    const iterator = voice().speak(request(), never())[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toMatchObject({ type: 'usage' });
    expect((await iterator.next()).value).toMatchObject({ type: 'audio' });
    await iterator.return?.();
  });

  it('never lets audio of an interrupted sentence into the next one', async () => {
    double.sentenceScript.push((sentence) => sentence.audio(new Uint8Array(160).fill(1)), held);
    const speaker = voice();
    const abort = new AbortController();
    const kinds: string[] = [];
    for await (const event of speaker.speak(request('Interrupted.'), abort.signal)) {
      kinds.push(event.type);
      if (event.type === 'audio') abort.abort(new Error('barge-in'));
    }
    expect(kinds).toEqual(['usage', 'audio']);

    const next = collect(speaker.speak(request('Next.'), never()));
    await double.until(() => double.sentences.length === 2);
    const [interrupted, answer] = double.sentences as [Sentence, Sentence];
    interrupted.audio(new Uint8Array(160).fill(2));
    answer.audio(new Uint8Array(80).fill(3));
    interrupted.audio(new Uint8Array(160).fill(4));
    interrupted.final();
    answer.audio(new Uint8Array(80).fill(3));
    answer.final();
    expect(await next).toMatchObject({ samples: decodeMulaw(new Uint8Array(160).fill(3)), error: null });
    expect(double.sockets).toHaveLength(1);
    expect(interrupted.socket.received.filter((message) => message.close_context)).toHaveLength(2);
  });

  it('opens no context for a sentence that is interrupted before there is a socket', async () => {
    const abort = new AbortController();
    const speaker = voice();
    const first = collect(speaker.speak(request('Interrupted.'), abort.signal));
    abort.abort();
    expect(await first).toMatchObject({ usage: [], error: null });
    expect((await collect(speaker.speak(request('Next.'), never()))).samples).toEqual(mulaw('Next.'));
    expect(double.sentences.map((sentence) => sentence.text)).toEqual(['Next.']);
    expect(double.sockets).toHaveLength(1);
  });

  it('survives more interruptions than a socket has contexts', async () => {
    const speaker = voice();
    for (let i = 0; i < 12; i++) {
      double.sentenceScript.push((sentence) => sentence.audio(new Uint8Array(160)));
      for await (const event of speaker.speak(request(`${i}.`), never())) if (event.type === 'audio') break;
    }
    expect((await collect(speaker.speak(request('Last.'), never()))).samples).toEqual(mulaw('Last.'));
    const errors = double.sockets
      .flatMap((socket) => socket.sent)
      .filter((message) => 'error' in (message as object));
    expect(errors).toEqual([]);
    expect(double.sockets).toHaveLength(3);
    await double.sockets[0]!.closed;
    await double.sockets[1]!.closed;
  });

  it('ends quietly when it is aborted before and during the wait', async () => {
    expect(await collect(voice().speak(request(), AbortSignal.abort()))).toMatchObject({
      usage: [],
      error: null,
    });
    expect(double.sockets).toEqual([]);
    double.sentenceScript.push(held);
    const abort = new AbortController();
    const result = collect(voice().speak(request(), abort.signal));
    await double.until(() => double.sentences.length === 1);
    abort.abort(new Error('interrupted'));
    expect(await result).toMatchObject({ usage: [], error: null });
  });

  it.each([
    ['quota_exceeded', 'rate_limited', 1],
    ['invalid_api_key', 'unauthorized', 1],
    ['detected_unusual_activity', 'unauthorized', 1],
    ['voice_id_does_not_exist', 'rejected', 1],
    ['a_code_of_tomorrow', 'rejected', 1],
    ['too_many_concurrent_requests', 'rate_limited', 2],
    ['input_timeout_exceeded', 'unavailable', 2],
  ])('fails with the error %s as %s after %i attempts', async (code, kind, attempts) => {
    for (let i = 0; i < attempts; i++) double.sentenceScript.push(({ socket }) => socket.fail(code, 'No.'));
    const result = speak({ maxRetries: 1 });
    if (attempts === 2) await pauses.pass(1, clock);
    expect((await result).error).toMatchObject({ name: 'ProviderError', provider, failure: kind });
    expect(double.sentences).toHaveLength(attempts);
  });

  it('understands a used-up quota that only the close frame tells of', async () => {
    double.sentenceScript.push(({ socket }) =>
      socket.close(1008, 'This request exceeds your quota of 10000.'),
    );
    expect((await speak()).error).toMatchObject({ failure: 'rate_limited' });
    expect(double.sentences).toHaveLength(1);
  });

  it('does not fail for the error of a context that was interrupted', async () => {
    double.sentenceScript.push((sentence) => sentence.audio(new Uint8Array(160)), held);
    const speaker = voice();
    for await (const event of speaker.speak(request('One.'), never())) if (event.type === 'audio') break;
    const next = collect(speaker.speak(request('Two.'), never()));
    await double.until(() => double.sentences.length === 2);
    const [one, two] = double.sentences as [Sentence, Sentence];
    one.socket.send({ message: 'No.', error: 'internal_error', code: 1011, contextId: one.contextId });
    two.audio(new Uint8Array(160));
    two.final();
    expect(await next).toMatchObject({ error: null, samples: { length: 160 } });
  });

  it('speaks over a new socket when one is cut before the audio', async () => {
    double.sentenceScript.push(({ socket }) => socket.cut());
    const result = speak();
    await pauses.pass(1, clock);
    expect(await result).toMatchObject({ samples: mulaw('Hello.'), error: null });
    expect(double.sockets).toHaveLength(2);
  });

  it('is unavailable when it is cut in the middle of the audio, and does not say it twice', async () => {
    double.sentenceScript.push((sentence) => {
      sentence.audio(new Uint8Array(160));
      sentence.socket.close(1011, 'internal');
    });
    expect(await speak()).toMatchObject({
      samples: { length: 160 },
      usage: [{ provider, characters: 6 }],
      error: { name: 'ProviderError', failure: 'unavailable' },
    });
    expect(double.sentences).toHaveLength(1);
  });

  it('drops a socket that is silent: the next attempt has another one', async () => {
    double.sentenceScript.push(held);
    const result = speak({ attemptMs: 700 });
    await double.until(() => double.sentences.length === 1);
    await clock.advance(700);
    await pauses.pass(1, clock);
    expect(await result).toMatchObject({ samples: mulaw('Hello.'), error: null });
    expect(double.sockets).toHaveLength(2);
    await double.sockets[0]!.closed;
  });

  it('times out when no attempt brings audio', async () => {
    double.sentenceScript.push(held);
    const result = speak({ attemptMs: 900, firstAudioMs: 700 });
    await double.until(() => double.sentences.length === 1);
    await clock.advance(700);
    expect((await result).error).toMatchObject({ name: 'ProviderError', failure: 'timeout' });
  });

  it('times out when the audio stops coming, but not while the consumer takes its time', async () => {
    double.sentenceScript.push((sentence) => sentence.audio(new Uint8Array(160)));
    const iterator = voice({ idleMs: 400 }).speak(request(), never())[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toMatchObject({ type: 'usage' });
    await clock.advance(60_000);
    expect((await iterator.next()).value).toMatchObject({ type: 'audio' });
    await clock.advance(60_000);
    const settled = expect(iterator.next()).rejects.toMatchObject({ failure: 'timeout' });
    await clock.advance(400);
    await settled;
  });

  it.each<[string, (sentence: Sentence) => void]>([
    ['a message that is no JSON', ({ socket }) => socket.send('<html>')],
    ['a message of another protocol', ({ socket }) => socket.send('{"audio":[1,2]}')],
    ['audio that is no base64', ({ socket, contextId }) => socket.send({ audio: '*#!', contextId })],
    ['an end without audio', (sentence) => sentence.final()],
  ])('calls %s malformed, and does not ask again', async (_, answer) => {
    double.sentenceScript.push(answer);
    expect(await speak()).toMatchObject({
      samples: { length: 0 },
      error: { name: 'ProviderError', failure: 'malformed' },
    });
    expect(double.sentences).toHaveLength(1);
  });

  it('stops a server that speaks without end', async () => {
    double.sentenceScript.push((sentence) => {
      for (let i = 0; i < 3; i++) sentence.audio(new Uint8Array(2_500_000));
    });
    let samples = 0;
    const speech = async () => {
      for await (const event of voice().speak(request(), never())) {
        if (event.type === 'audio') samples += event.samples.length;
      }
    };
    await expect(speech()).rejects.toMatchObject({ failure: 'malformed' });
    expect(samples).toBe(2_500_000);
  });

  describe('and its connections', () => {
    const warmFor = { voice: 'rachel', sampleRate: 8000 } as const;

    it('has a socket open before the first sentence, and closes it after the call', async () => {
      const speaker = voice();
      speaker.warm?.(warmFor);
      await double.until(() => double.sockets.length === 1);
      await collect(speaker.speak(request(), never()));
      expect(double.sockets).toHaveLength(1);
      speaker.close?.();
      expect(await double.sockets[0]!.closed).toBe(1000);
      expect(clock.pending).toBe(0);
    });

    it('renews a socket before the vendor’s limit of inactivity', async () => {
      const speaker = voice();
      await collect(speaker.speak(request('One.'), never()));
      await clock.advance(170_000);
      await double.until(() => double.sockets.length === 2);
      expect(await double.sockets[0]!.closed).toBe(1000);
      await collect(speaker.speak(request('Two.'), never()));
      expect(double.sockets).toHaveLength(2);
      expect(double.sentences.map((sentence) => sentence.socket)).toEqual(double.sockets);
    });

    it('opens another socket when the vendor closes an idle one, but not in a circle', async () => {
      const speaker = voice();
      speaker.warm?.(warmFor);
      await double.until(() => double.sockets.length === 1);
      await collect(speaker.speak(request('One.'), never()));
      await clock.advance(60_000);
      double.sockets[0]!.fail('input_timeout_exceeded', 'Have not received a new text input');
      await double.until(() => double.sockets.length === 2);
      double.sockets[1]!.close(1008, 'session limit');
      await double.sockets[1]!.closed;
      // A third one would be there before that of another call.
      await collect(voice().speak(request('Another call.'), never()));
      expect(double.sockets).toHaveLength(3);
      expect((await collect(speaker.speak(request('Two.'), never()))).samples).toEqual(mulaw('Two.'));
      expect(double.sockets).toHaveLength(4);
    });

    it('has a socket for each voice and language, and lets go of the oldest', async () => {
      const speaker = voice();
      for (const name of ['a', 'b', 'a', 'c', 'd', 'a']) {
        await collect(speaker.speak({ ...request(), voice: name }, never()));
      }
      expect(double.sockets.map((socket) => socket.voice)).toEqual(['a', 'b', 'c', 'd']);
      await double.sockets[1]!.closed;
    });
  });
});

describe('ElevenLabs over HTTP', () => {
  const http = { transport: 'http' } as const;

  it.each([
    [8000, 'ulaw_8000', decodeMulaw],
    [16_000, 'pcm_16000', decodePcm16],
  ] as const)('streams at %i Hz as %s where it is configured so', async (rate, format, decode) => {
    const speaker = voice({ ...http, voiceSettings: { stability: 0.4, speed: 1.1 }, enableLogging: false });
    const { samples, usage, error } = await collect(
      speaker.speak({ ...request('Hello.', rate), language: 'en-US' }, never()),
    );
    expect(error).toBeNull();
    expect(samples).toEqual(decode(speechOf('Hello.', format)));
    expect(usage).toEqual([{ provider, characters: 6 }]);
    expect(double.requests[0]!.body).toEqual({
      text: 'Hello.',
      model_id: 'eleven_flash_v2_5',
      language_code: 'en',
      voice_settings: { stability: 0.4, speed: 1.1 },
    });
    expect(Object.fromEntries(double.requests[0]!.query)).toEqual({
      output_format: format,
      enable_logging: 'false',
    });
    expect(double.sockets).toEqual([]);
  });

  it('is the way when no socket can be had, and stays it for a minute', async () => {
    double.upgrades.push(503);
    const speaker = voice();
    expect((await collect(speaker.speak(request('One.'), never()))).samples).toEqual(mulaw('One.'));
    expect((await collect(speaker.speak(request('Two.'), never()))).samples).toEqual(mulaw('Two.'));
    expect(double.requests).toHaveLength(2);
    expect(double.upgrades).toEqual([]);
    expect(double.sockets).toEqual([]);
    await clock.advance(60_000);
    await collect(speaker.speak(request('Three.'), never()));
    expect(double.sentences.map((sentence) => sentence.text)).toEqual(['Three.']);
  });

  it('is the way when the upgrade hangs', async () => {
    double.upgrades.push('hang');
    const result = speak({ connectMs: 600 });
    await double.until(() => double.upgrades.length === 0);
    await clock.advance(600);
    expect(await result).toMatchObject({ samples: mulaw('Hello.'), error: null });
    expect(double.requests).toHaveLength(1);
  });

  it('does not try what is refused to the key', async () => {
    double.upgrades.push(401);
    const { error } = await speak();
    expect(error).toMatchObject({ failure: 'unauthorized', status: 401 });
    expect(String(error)).not.toContain('secret');
    expect(double.requests).toEqual([]);
  });

  it.each([
    [401, 'quota_exceeded', 'rate_limited', 1],
    [401, 'invalid_api_key', 'unauthorized', 1],
    [403, 'missing_permissions', 'unauthorized', 1],
    [404, 'voice_not_found', 'rejected', 1],
    [400, 'max_character_limit_exceeded', 'rejected', 1],
    [402, 'payment_required', 'rate_limited', 1],
    [429, 'concurrent_limit_exceeded', 'rate_limited', 2],
    [429, 'system_busy', 'rate_limited', 2],
    [409, 'conflict', 'rejected', 2],
    [503, 'internal', 'unavailable', 2],
  ])('fails with status %i %s as %s after %i attempts', async (status, code, kind, attempts) => {
    for (let i = 0; i < attempts; i++) double.httpScript.push(failure(status, code, 'No: secret-key'));
    const result = speak({ ...http, maxRetries: 1 });
    if (attempts === 2) await pauses.pass(1, clock);
    const { error } = await result;
    expect(error).toMatchObject({ name: 'ProviderError', provider, failure: kind, status });
    if (kind === 'unauthorized') expect(String(error)).not.toContain('secret');
    expect(double.requests).toHaveLength(attempts);
  });

  it('waits as long as it is told to, and no longer than a caller can', async () => {
    double.httpScript.push(failure(429, 'rate_limit_exceeded', 'later', { 'retry-after': '2' }));
    const patient = speak(http);
    await pauses.begun(1);
    await clock.advance(1_999);
    // A request that was made by now would be there before that of another call.
    await speak(http);
    expect(double.requests).toHaveLength(2);
    await clock.advance(1);
    expect((await patient).error).toBeNull();
    expect(double.requests).toHaveLength(3);

    double.httpScript.push(failure(429, 'rate_limit_exceeded', 'later', { 'retry-after': '7' }));
    expect((await speak(http)).error).toMatchObject({ failure: 'rate_limited', retryAfterMs: 7_000 });
    expect(double.requests).toHaveLength(4);
  });

  it('tries again when the connection breaks before the audio, not in the middle of it', async () => {
    double.httpScript.push(refuse, stream([], 'cut'), stream([new Uint8Array(160)], 'cut'));
    const result = speak(http);
    await pauses.pass(1, clock);
    await pauses.pass(2, clock);
    expect(await result).toMatchObject({ samples: { length: 160 }, error: { failure: 'unavailable' } });
    expect(double.requests).toHaveLength(3);
  });

  it.each([
    ['a page with status 200', stream(['<html>'], 'hang', 'text/html')],
    ['JSON with status 200', stream(['{}'], 'complete', 'application/json')],
    ['an mp3', stream([new Uint8Array(4000)], 'complete', 'audio/mpeg')],
    ['no audio', stream([])],
  ])('never plays %s: it is malformed', async (_, answer) => {
    double.httpScript.push(answer);
    expect(await speak(http)).toMatchObject({
      samples: { length: 0 },
      error: { name: 'ProviderError', failure: 'malformed' },
    });
    expect(double.requests).toHaveLength(1);
  });

  it('gives up a server that hangs, and lets go of it', async () => {
    double.httpScript.push(hang, hang);
    const result = speak({ ...http, attemptMs: 500, maxRetries: 1 });
    for (const attempt of [1, 2]) {
      await double.until(() => double.requests.length === attempt);
      await clock.advance(500);
      await double.requests[attempt - 1]!.gone;
      if (attempt === 1) await pauses.pass(1, clock);
    }
    expect((await result).error).toMatchObject({ failure: 'timeout' });
  });

  it('lets go of the request when it is interrupted', async () => {
    double.httpScript.push(stream([new Uint8Array(160)], 'hang'));
    const abort = new AbortController();
    for await (const event of voice(http).speak(request(), abort.signal)) {
      if (event.type === 'audio') abort.abort();
    }
    await double.requests[0]!.gone;
  });
});
