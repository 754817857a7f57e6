import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeMulaw } from '../../../src/audio/g711.ts';
import { Resampler } from '../../../src/audio/resample.ts';
import {
  type OpenAiRealtimeTextToSpeechSettings,
  openAiRealtimeTextToSpeech,
} from '../../../src/providers/openai-realtime/text-to-speech.ts';
import { sameWords } from '../../../src/providers/openai-realtime/wording.ts';
import type {
  TextToSpeech,
  TextToSpeechEvent,
  TextToSpeechRequest,
  Usage,
} from '../../../src/providers/ports.ts';
import { eavesdrop, until } from '../../support/eavesdrop.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { type Answer, OpenAiRealtimeDouble } from '../../support/openai-realtime-double.ts';

const provider = 'openai/gpt-realtime-2.1-mini';

let double: OpenAiRealtimeDouble;
let clock: FakeClock;
let ear: ReturnType<typeof eavesdrop>;
let speech: TextToSpeech;
beforeEach(async () => {
  double = await OpenAiRealtimeDouble.start();
  clock = new FakeClock();
  ear = eavesdrop();
  make();
});
afterEach(async () => {
  speech.close?.();
  expect(clock.pending).toBe(0);
  await double.close();
});

function make(settings: Partial<OpenAiRealtimeTextToSpeechSettings> = {}) {
  speech = openAiRealtimeTextToSpeech(
    {
      apiKey: 'key',
      baseUrl: double.baseUrl,
      dial: ear.dial,
      silenceMs: Number.POSITIVE_INFINITY,
      ...settings,
    },
    clock,
    { fraction: () => 1 },
  );
}

async function restart(options: Parameters<typeof OpenAiRealtimeDouble.start>[0]) {
  await double.close();
  double = await OpenAiRealtimeDouble.start(options);
  make();
}

/** Speaks in the background. */
function speak(
  text: string,
  request: Partial<TextToSpeechRequest> = {},
  signal = new AbortController().signal,
) {
  const events: TextToSpeechEvent[] = [];
  const state = { events, error: null as unknown, over: false };
  void (async () => {
    try {
      for await (const event of speech.speak(
        { text, sampleRate: 8000, voice: 'marin', ...request },
        signal,
      )) {
        events.push(event);
      }
    } catch (error) {
      state.error = error;
    }
    state.over = true;
  })();
  return state;
}

const bytes = (length: number, from = 0) => Uint8Array.from({ length }, (_, i) => (i + from) % 127);
const said = (text: string, ...audio: Uint8Array[]): Answer => ({
  words: text.split(/(?<= )/),
  audio: audio.length === 0 ? [bytes(160)] : audio,
});
const heard = (type: string, times = 1) =>
  until(() => ear.heard.filter((other) => other === type).length >= times, `${type} (${times})`);
const creates = () => double.sessions.flatMap((session) => session.received('response.create'));
/** The μ-law of all the audio. */
function mulawOf(events: TextToSpeechEvent[]): Uint8Array {
  return Uint8Array.from(
    events.flatMap((event) => (event.type === 'audio' ? [...encodeMulaw(event.samples)] : [])),
  );
}

describe('OpenAI Realtime text to speech', () => {
  it('reads a sentence out of band, and passes its μ-law through byte for byte', async () => {
    double.answers.push(said('Good morning.', bytes(160), bytes(320, 50)));
    const sentence = speak('Good morning.', { language: 'en-GB' });
    await until(() => sentence.over);
    expect(sentence.error).toBeNull();
    expect(mulawOf(sentence.events)).toEqual(Uint8Array.from([...bytes(160), ...bytes(320, 50)]));
    expect(sentence.events.filter(({ type }) => type !== 'audio')).toEqual([
      { type: 'usage', usage: { provider, characters: 13 } },
      {
        type: 'usage',
        usage: {
          provider,
          inputTokens: 10,
          cachedInputTokens: 4,
          cachedAudioInputTokens: 1,
          audioInputTokens: 3,
          outputTokens: 20,
          audioOutputTokens: 18,
        },
      },
    ]);
    expect(double.last.connection.url.search).toBe('?model=gpt-realtime-2.1-mini');
    expect(double.last.config).toMatchObject({
      type: 'realtime',
      audio: { input: { turn_detection: null } },
    });
    const [create] = creates();
    expect(create?.response).toMatchObject({
      conversation: 'none',
      input: [],
      output_modalities: ['audio'],
      audio: { output: { format: { type: 'audio/pcmu' }, voice: 'marin' } },
      reasoning: { effort: 'minimal' },
    });
    expect(create?.response?.instructions).toContain('<text>Good morning.</text>');
    expect(create?.response?.instructions).toContain('en-GB');
  });

  it('brings 24 kHz PCM to a leg at 16 kHz, wherever the pieces are cut', async () => {
    const samples = Int16Array.from({ length: 2400 }, (_, i) => Math.round(9000 * Math.sin(i / 9)));
    const pcm = new Uint8Array(samples.buffer);
    double.answers.push(said('Yes.', pcm.slice(0, 1001), pcm.slice(1001, 1002), pcm.slice(1002)));
    const sentence = speak('Yes.', { sampleRate: 16_000 });
    await until(() => sentence.over);
    const got = sentence.events.flatMap((event) => (event.type === 'audio' ? [...event.samples] : []));
    const resampler = new Resampler(24_000, 16_000);
    expect(got).toEqual([...resampler.push(samples), ...resampler.flush()]);
    expect(creates()[0]?.response?.audio?.output?.format).toEqual({ type: 'audio/pcm', rate: 24_000 });
  });

  it('tells before the end what was said in place of the text', async () => {
    double.answers.push(said('Sure! Good morning.'));
    const sentence = speak('Good morning.');
    await until(() => sentence.over);
    expect(sentence.events.map(({ type }) => type)).toEqual(['usage', 'audio', 'wording', 'usage']);
    expect(sentence.events[2]).toEqual({ type: 'wording', text: 'Sure! Good morning.' });
  });

  it('speaks every sentence of a call over the one socket that was warmed', async () => {
    speech.warm?.({ voice: 'marin', sampleRate: 8000 });
    speech.warm?.({ voice: 'marin', sampleRate: 8000 });
    await heard('session.updated');
    for (const text of ['One.', 'Two.']) {
      double.answers.push(said(text));
      const sentence = speak(text);
      await until(() => sentence.over);
      expect(sentence.error).toBeNull();
    }
    expect(double.dials).toBe(1);
  });

  it('opens a socket for each voice, since a session’s voice is fixed by its first audio', async () => {
    for (const voice of ['marin', 'cedar', 'marin']) {
      const sentence = speak('Yes.', { voice });
      await until(() => sentence.over);
    }
    expect(double.dials).toBe(2);
    expect(double.sessions.map((session) => session.received('response.create').length)).toEqual([2, 1]);
  });

  it('keeps two sentences apart that are under way at once', async () => {
    double.answers.push(
      { ...said('First.', bytes(160)), holdAfter: 'audio' },
      said('Second.', bytes(160, 60)),
    );
    const first = speak('First.');
    await until(() => creates().length === 1);
    const second = speak('Second.');
    await until(() => second.over);
    expect(mulawOf(second.events)).toEqual(bytes(160, 60));
    expect(first.over).toBe(false);
    double.last.finish();
    await until(() => first.over);
    expect(mulawOf(first.events)).toEqual(bytes(160));
  });

  it.each([
    ['is told to whoever asked for it', true],
    ['is told with the next, where nobody wants to know', false],
  ])('never lets late audio of a cancelled sentence out in another one; its bill %s', async (_how, late) => {
    const abort = new AbortController();
    const bills: Usage[] = [];
    double.answers.push(
      { ...said('First.', bytes(160)), holdAfter: 'audio' },
      { ...said('Second.', bytes(160, 60)), holdAfter: 'audio' },
    );
    const wanted = late ? { onLateBill: (usage: Usage) => bills.push(usage) } : {};
    const first = speak('First.', wanted, abort.signal);
    await until(() => mulawOf(first.events).length === 160);
    const [response] = double.last.running;
    abort.abort();
    await until(() => first.over);
    expect(first.error).toBeNull();
    const second = speak('Second.');
    const ofFirst = { output_index: 0, content_index: 0, item_id: 'item_x' };
    double.last.send({
      type: 'response.output_audio.delta',
      response_id: response!,
      ...ofFirst,
      delta: Buffer.alloc(800).toString('base64'),
    });
    double.last.send({
      type: 'response.output_audio_transcript.delta',
      response_id: response!,
      ...ofFirst,
      delta: 'First.',
    });
    await until(() => creates().length === 2);
    await heard('response.done');
    double.last.finish();
    await until(() => second.over);
    expect(mulawOf(second.events)).toEqual(bytes(160, 60));
    expect(second.events.some(({ type }) => type === 'wording')).toBe(false);
    expect(double.last.received('response.cancel')).toMatchObject([{ response_id: response }]);
    expect(bills.map(({ outputTokens }) => outputTokens)).toEqual(late ? [20] : []);
    expect(second.events.filter(({ type }) => type === 'usage')).toHaveLength(late ? 2 : 3);
  });

  it('cancels a sentence that was left before the server had named its response', async () => {
    const abort = new AbortController();
    double.answers.push({ ...said('First.'), holdAfter: 'nothing' });
    const first = speak('First.', {}, abort.signal);
    await until(() => creates().length === 1);
    abort.abort();
    await until(() => first.over);
    expect(double.last.received('response.cancel')).toHaveLength(0);
    double.last.finish();
    await until(() => double.last.received('response.cancel').length === 1);
  });

  it('cancels a sentence whose consumer stops listening', async () => {
    double.answers.push({ ...said('First.'), holdAfter: 'audio' });
    for await (const event of speech.speak(
      { text: 'First.', sampleRate: 8000, voice: 'marin' },
      new AbortController().signal,
    )) {
      if (event.type === 'audio') break;
    }
    await until(() => double.last.received('response.cancel').length === 1);
  });

  it('asks for nothing once the signal has fired', async () => {
    const sentence = speak('No.', {}, AbortSignal.abort());
    await until(() => sentence.over);
    expect(double.dials).toBe(0);
  });
});

describe('OpenAI Realtime text to speech that fails', () => {
  it.each([
    ['fails', { status: 'failed', error: { type: 'server_error', message: 'overloaded' } }, 'unavailable'],
    [
      'is limited',
      { status: 'failed', error: { type: 'tokens', code: 'rate_limit_exceeded' } },
      'rate_limited',
    ],
    ['is cancelled by the server', { status: 'cancelled', reason: 'turn_detected' }, 'unavailable'],
    ['is empty', {}, 'malformed'],
    [
      'is refused for the load',
      { refused: { type: 'server_error', code: null, message: 'busy' } },
      'unavailable',
    ],
  ] as const)(
    'asks again for a response that %s, and gives up after three retries',
    async (_, answer, failure) => {
      for (let i = 0; i < 4; i++) double.answers.push(answer as Answer);
      const sentence = speak('Yes.');
      for (let i = 1; i < 4; i++) {
        await until(() => creates().length === i);
        await heard('refused' in answer ? 'error' : 'response.done', i);
        await settle();
        await clock.advance(100 * 2 ** (i - 1));
      }
      await until(() => sentence.over);
      expect(sentence.error).toMatchObject({ name: 'ProviderError', provider, failure });
      expect(creates()).toHaveLength(4);
    },
  );

  it('speaks at the second attempt', async () => {
    double.answers.push({ status: 'failed', error: { type: 'server_error' } }, said('Yes.'));
    const sentence = speak('Yes.');
    await heard('response.done');
    await clock.advance(100);
    await until(() => sentence.over);
    expect(sentence.error).toBeNull();
    expect(mulawOf(sentence.events)).toEqual(bytes(160));
  });

  it.each([
    [
      'an invalid request',
      { refused: { type: 'invalid_request_error', code: 'invalid_value', message: 'no such voice' } },
    ],
    ['a content filter', { status: 'incomplete', reason: 'content_filter' }],
  ] as const)('does not ask again after %s', async (_, answer) => {
    double.answers.push(answer as Answer);
    const sentence = speak('Yes.');
    await until(() => sentence.over);
    expect(sentence.error).toMatchObject({ failure: 'rejected' });
    expect(creates()).toHaveLength(1);
  });

  it('never asks again once audio was heard, and tells the words that were', async () => {
    double.answers.push({ ...said('Good '), status: 'failed', error: { type: 'server_error' } });
    const sentence = speak('Good morning.');
    await until(() => sentence.over);
    expect(sentence.error).toMatchObject({ failure: 'unavailable' });
    expect(sentence.events.find(({ type }) => type === 'wording')).toEqual({ type: 'wording', text: 'Good' });
    expect(creates()).toHaveLength(1);
  });

  it('takes a socket that says nothing for lost, and speaks over the next', async () => {
    double.answers.push({ holdAfter: 'nothing' }, said('Yes.'));
    const sentence = speak('Yes.');
    await until(() => creates().length === 1);
    await clock.advance(2_500);
    await clock.advance(200);
    await until(() => sentence.over);
    expect(sentence.error).toBeNull();
    expect(double.dials).toBe(2);
  });

  it('gives up at the deadline of the first audio', async () => {
    for (let i = 0; i < 5; i++) double.answers.push({ holdAfter: 'nothing' });
    const sentence = speak('Yes.');
    await until(() => creates().length === 1);
    await clock.advance(2_500);
    await clock.advance(200);
    await until(() => creates().length === 2);
    await clock.advance(2_300);
    await clock.advance(1_000);
    await until(() => sentence.over);
    expect(sentence.error).toMatchObject({ failure: 'timeout', provider });
  });

  it('gives up on audio that does not go on', async () => {
    double.answers.push({ ...said('Yes.'), holdAfter: 'audio' });
    const sentence = speak('Yes.');
    await until(() => mulawOf(sentence.events).length === 160);
    await clock.advance(5_000);
    await until(() => sentence.over);
    expect(sentence.error).toMatchObject({ failure: 'timeout' });
  });

  it('asks again on a new connection where the old one is cut before any audio', async () => {
    double.answers.push({ holdAfter: 'created' }, said('Yes.'));
    const sentence = speak('Yes.');
    await heard('response.created');
    double.last.connection.cut();
    await heard('(closed)');
    await clock.advance(200);
    await until(() => sentence.over);
    expect(sentence.error).toBeNull();
    expect(creates()).toHaveLength(2);
  });

  it('fails where the connection is cut in mid-sentence', async () => {
    double.answers.push({ ...said('Yes.'), holdAfter: 'audio' });
    const sentence = speak('Yes.');
    await until(() => mulawOf(sentence.events).length === 160);
    double.last.connection.cut();
    await until(() => sentence.over);
    expect(sentence.error).toMatchObject({ failure: 'unavailable' });
  });

  it.each([
    [401, 'unauthorized', 1],
    [429, 'rate_limited', 4],
    [503, 'unavailable', 4],
  ] as const)('answers a refusal with %i: %s, after %i dials and no more', async (status, failure, dials) => {
    await restart({ upgrade: () => status });
    const sentence = speak('Yes.');
    for (let i = 1; i < dials; i++) {
      await heard('(refused)', i);
      await clock.advance(200 * 2 ** (i - 1));
    }
    await until(() => sentence.over);
    expect(sentence.error).toMatchObject({ failure, status, provider });
    expect(String((sentence.error as Error).message)).not.toContain('key"');
    expect(double.dials).toBe(dials);
  });

  it.each([
    ['no base64', '%%%'],
    ['audio without end', Buffer.alloc(2_500_000, 1).toString('base64')],
  ])('never plays %s', async (_, delta) => {
    make({ maxRetries: 0 });
    double.answers.push({ holdAfter: 'created' });
    const sentence = speak('Yes.');
    await heard('response.created');
    const [response_id] = double.last.running;
    double.last.send({
      type: 'response.output_audio.delta',
      response_id: response_id!,
      item_id: 'item_x',
      output_index: 0,
      content_index: 0,
      delta,
    });
    await until(() => sentence.over);
    expect(sentence.error).toMatchObject({ failure: 'malformed' });
    expect(mulawOf(sentence.events)).toHaveLength(0);
  });

  it('renews its session between sentences', async () => {
    speech.warm?.({ voice: 'marin', sampleRate: 8000 });
    await heard('session.updated');
    await clock.advance(3_600_000 - 120_000);
    await heard('session.updated', 2);
    await double.sessions[0]!.connection.closed;
    const sentence = speak('Yes.');
    await until(() => sentence.over);
    expect(sentence.error).toBeNull();
    expect(double.sessions[1]!.received('response.create')).toHaveLength(1);
  });
});

describe('the wording of a sentence', () => {
  it.each([
    ['Good morning, Ada!', 'good morning ada'],
    ['Your e-mail?', 'Your email.'],
    ['«Ça va»', 'ça va'],
    ['你好。', '你 好'],
  ])('takes %j for %j', (a, b) => expect(sameWords(a, b)).toBe(true));
  it.each([
    ['Good morning.', 'Good evening.'],
    ['Call 5.', 'Call 6.'],
    ['Yes.', 'Yes. How can I help?'],
  ])('tells %j from %j', (a, b) => expect(sameWords(a, b)).toBe(false));
});
