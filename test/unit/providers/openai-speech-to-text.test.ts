import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wavToMono } from '../../../src/audio/wav.ts';
import {
  type OpenAiSpeechToTextSettings,
  openAiSpeechToText,
} from '../../../src/providers/openai/speech-to-text.ts';
import type { SpeechToTextEvent, SpeechToTextOptions } from '../../../src/providers/ports.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  after,
  body,
  formOf,
  hang,
  json,
  OpenAiDouble,
  refuse,
  status,
  stream,
} from '../../support/openai-double.ts';
import { Pauses } from '../../support/pauses.ts';

const path = '/audio/transcriptions';
const provider = 'openai/gpt-transcribe';
const second = Int16Array.from({ length: 8000 }, (_, i) => ((i * 7919) % 8009) - 4004);

let double: OpenAiDouble;
let clock: FakeClock;
let pauses: Pauses;
let abort: AbortController;
beforeEach(async () => {
  double = await OpenAiDouble.start();
  clock = new FakeClock();
  pauses = new Pauses();
  abort = new AbortController();
});
afterEach(async () => {
  abort.abort();
  expect(double.unexpected).toEqual([]);
  await double.close();
});

function open(
  settings: Partial<OpenAiSpeechToTextSettings> = {},
  options: Partial<SpeechToTextOptions> = {},
) {
  return openAiSpeechToText(
    { apiKey: 'key', baseUrl: double.baseUrl, model: 'gpt-transcribe', ...settings },
    clock,
    pauses,
  ).open({ sampleRate: 8000, signal: abort.signal, ...options });
}

/** Events up to the first `final` or `failed`. */
async function outcome(events: AsyncIterable<SpeechToTextEvent>): Promise<SpeechToTextEvent[]> {
  const seen: SpeechToTextEvent[] = [];
  for await (const event of events) {
    seen.push(event);
    if (event.type === 'final' || event.type === 'failed') break;
  }
  return seen;
}

/** The same events go on after it. */
async function* upToFinal(events: AsyncIterable<SpeechToTextEvent>) {
  const iterator = events[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await iterator.next();
    if (done === true) return;
    yield value;
    if (value.type === 'final') return;
  }
}

async function transcribeOne(settings?: Partial<OpenAiSpeechToTextSettings>) {
  const session = open(settings);
  session.push(second);
  session.endUtterance();
  return outcome(session.events);
}

describe('OpenAI speech to text', () => {
  it('sends an utterance as a WAV file of the leg’s rate, with the language without its region', async () => {
    double.script(path, json({ text: ' Hello. ', usage: { type: 'duration', seconds: 2 } }));
    const session = open({ prompt: 'Pizza, Calzone' }, { sampleRate: 16_000, language: 'pt-BR' });
    session.push(second);
    session.endUtterance();
    expect(await outcome(session.events)).toEqual([
      { type: 'usage', usage: { provider, audioSeconds: 2 } },
      { type: 'final', utterance: 0, text: 'Hello.' },
    ]);
    const form = await formOf(double.requests[0]!);
    const file = form.get('file') as unknown as File;
    expect([
      form.get('model'),
      form.get('language'),
      form.get('response_format'),
      form.get('prompt'),
    ]).toEqual(['gpt-transcribe', 'pt', 'json', 'Pizza, Calzone']);
    expect([file.name, file.type]).toEqual(['speech.wav', 'audio/wav']);
    expect(wavToMono(new Uint8Array(await file.arrayBuffer()))).toEqual({
      sampleRate: 16_000,
      samples: second,
    });
  });

  it('tells words to expect: as keywords to the model that takes them, in the prompt to others', async () => {
    double.script(path, json({ text: 'a' }), json({ text: 'b' }));
    const keywords = ['Calzone', ' <Acme> '];
    for (const model of ['gpt-transcribe', 'whisper-1']) {
      const session = open({ model, prompt: 'A pizzeria.' }, { keywords });
      session.push(second);
      session.endUtterance();
      await outcome(session.events);
    }
    const [one, other] = await Promise.all(double.requests.map(formOf));
    expect([one!.getAll('keywords[]'), one!.get('prompt')]).toEqual([['Calzone', 'Acme'], 'A pizzeria.']);
    expect([other!.has('keywords[]'), other!.get('prompt')]).toEqual([false, 'A pizzeria. Calzone, Acme']);
  });

  it('tells the language that was heard once, and none where one was given', async () => {
    const heard = (code: string) => json({ text: 'Oui.', languages: code === '' ? [] : [{ code }] });
    double.script(path, heard('fr'), heard('fr'), heard(''), heard('en'), heard('fr'));
    const languages = async (options: Partial<SpeechToTextOptions>, utterances: number) => {
      const session = open({}, options);
      const told: string[] = [];
      for (let i = 0; i < utterances; i++) {
        session.push(second);
        session.endUtterance();
        for await (const event of upToFinal(session.events))
          if (event.type === 'language') told.push(event.language);
      }
      return told;
    };
    expect(await languages({}, 4)).toEqual(['fr', 'en']);
    expect(await languages({ language: 'de' }, 1)).toEqual([]);
  });

  it('leaves the language to the model where none is set, and counts tokens or seconds as the vendor does', async () => {
    double.script(
      path,
      json({ text: 'a', usage: { type: 'tokens', input_tokens: 10, output_tokens: 2, total_tokens: 12 } }),
      json({ text: 'b' }),
      json({ text: 'c', usage: 'free' }),
    );
    expect((await transcribeOne({ model: 'whisper-1' }))[0]).toEqual({
      type: 'usage',
      usage: { provider: 'openai/whisper-1', audioSeconds: 1, inputTokens: 10, outputTokens: 2 },
    });
    expect((await transcribeOne())[0]).toEqual({ type: 'usage', usage: { provider, audioSeconds: 1 } });
    expect((await transcribeOne())[0]).toEqual({ type: 'usage', usage: { provider, audioSeconds: 1 } });
    const form = await formOf(double.requests[0]!);
    expect([form.get('model'), form.has('language'), form.has('prompt')]).toEqual([
      'whisper-1',
      false,
      false,
    ]);
  });

  it('transcribes long speech while the caller still talks', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    double.script(path, json({ text: 'I want to.' }), after(gate, json({ text: 'Book a table.' })));
    const session = open({ bufferMs: 1000 });
    session.push(second);
    session.pause();
    session.push(second.subarray(0, 160));
    const received = await double.received(0);
    expect(received.path).toBe(path);
    const events = session.events[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ type: 'usage' });
    expect((await events.next()).value).toEqual({ type: 'interim', utterance: 0, text: 'I want to.' });
    session.endUtterance();
    release();
    expect((await events.next()).value).toMatchObject({ type: 'usage' });
    expect((await events.next()).value).toEqual({
      type: 'final',
      utterance: 0,
      text: 'I want to book a table.',
    });
  });

  it('retries what may pass: too many requests, a failing server, a broken connection', async () => {
    double.script(
      path,
      status(429, 'later', { 'retry-after': '0' }),
      status(502),
      refuse(),
      json({ text: 'ok' }),
    );
    const result = transcribeOne();
    for (const pause of [1, 2, 3]) await pauses.pass(pause, clock);
    expect((await result).at(-1)).toEqual({ type: 'final', utterance: 0, text: 'ok' });
    expect(double.requests).toHaveLength(4);
    // The whole file again, each time.
    expect(new Set(double.requests.map((request) => request.body.length)).size).toBe(1);
  });

  it('tells at once that it is to be left alone for longer than a caller can wait', async () => {
    double.script(path, status(429, 'later', { 'retry-after': '7' }));
    const error = { failure: 'rate_limited', retryAfterMs: 7_000 };
    expect(await transcribeOne()).toMatchObject([{ type: 'failed', error }]);
    expect(double.requests).toHaveLength(1);
  });

  it.each([
    ['a failing server', status(500), 'unavailable', 500],
    ['too many requests', status(429), 'rate_limited', 429],
    ['a wrong key', status(401), 'unauthorized', 401],
    ['an unknown model', status(404), 'rejected', 404],
    ['a file that is too large', status(413), 'rejected', 413],
    ['a broken connection', refuse(), 'unavailable', undefined],
    [
      'an answer that breaks off',
      stream(['{"text": "Hel'], 'application/json', 'cut'),
      'unavailable',
      undefined,
    ],
    ['a page with status 200', body('<html>', 'text/html'), 'malformed', undefined],
    ['broken JSON', body('{"text": ', 'application/json'), 'malformed', undefined],
    ['no text', json({ words: [] }), 'malformed', undefined],
    ['null', json(null), 'malformed', undefined],
    ['a text without end', json({ text: 'x'.repeat(50_001) }), 'malformed', undefined],
  ] as const)('fails on %s', async (_, answer, failure, code) => {
    double.script(path, answer);
    const [event, ...rest] = await transcribeOne({ maxRetries: 0 });
    expect(rest).toEqual([]);
    expect(event).toMatchObject({
      type: 'failed',
      utterance: 0,
      error: { name: 'ProviderError', provider, failure },
    });
    expect(event).toHaveProperty('error.status', code);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['before the head', hang()],
    ['within the body', stream(['{"text": "Hel'], 'application/json', 'hang')],
  ])('times out when the vendor hangs %s, and lets go of it', async (_, answer) => {
    double.script(path, answer);
    const result = transcribeOne({ deadlineMs: 900 });
    const received = await double.received(0);
    await clock.advance(900);
    expect((await result).at(-1)).toMatchObject({ type: 'failed', error: { failure: 'timeout' } });
    await received.gone;
  });

  it('aborts its requests with the session and with what is discarded', async () => {
    double.script(path, hang(), hang());
    const session = open({ bufferMs: 500 });
    session.push(second.subarray(0, 4160));
    const dropped = await double.received(0);
    session.discardUtterance();
    await dropped.gone;
    session.push(second.subarray(0, 2000));
    session.endUtterance();
    const last = await double.received(1);
    abort.abort();
    await last.gone;
    expect(await outcome(session.events)).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
