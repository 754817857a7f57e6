import type { AiModels } from '@cloudflare/workers-types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeBase64 } from '../../../src/audio/base64.ts';
import { wavToMono } from '../../../src/audio/wav.ts';
import type { SpeechToTextEvent, SpeechToTextOptions } from '../../../src/providers/ports.ts';
import {
  type WorkersAiSpeechToTextSettings,
  workersAiSpeechToText,
} from '../../../src/providers/workers-ai/speech-to-text.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { Pauses } from '../../support/pauses.ts';
import {
  type AiAnswer,
  failure,
  hang,
  json,
  novaAnswer,
  stream,
  thrown,
  WorkersAiDouble,
  whisperAnswer,
} from '../../support/workers-ai-double.ts';

const whisper = '@cf/openai/whisper-large-v3-turbo';
const nova = '@cf/deepgram/nova-3';
const speech = Int16Array.from({ length: 4000 }, (_, i) =>
  Math.round(9000 * Math.sin((2 * Math.PI * 440 * i) / 8000)),
);

let ai: WorkersAiDouble;
let clock: FakeClock;
let pauses: Pauses;
let ending: AbortController;
beforeEach(() => {
  ai = new WorkersAiDouble();
  clock = new FakeClock();
  pauses = new Pauses();
  ending = new AbortController();
});
afterEach(async () => {
  ending.abort();
  await settle();
  expect(clock.pending).toBe(0);
  expect(ai.unexpected).toEqual([]);
});

/** The events up to the one that settles an utterance of `speech`. */
async function hear(
  settings: Partial<WorkersAiSpeechToTextSettings> = {},
  options: Partial<SpeechToTextOptions> = {},
): Promise<SpeechToTextEvent[]> {
  const session = workersAiSpeechToText({ ai, ...settings }, clock, pauses).open({
    sampleRate: 8000,
    signal: ending.signal,
    ...options,
  });
  session.push(speech);
  session.endUtterance();
  const heard: SpeechToTextEvent[] = [];
  for await (const event of session.events) {
    heard.push(event);
    if (event.type === 'final' || event.type === 'failed') break;
  }
  return heard;
}

async function failed(settings?: Partial<WorkersAiSpeechToTextSettings>) {
  const last = (await hear(settings)).at(-1);
  return last?.type === 'failed' ? last.error : null;
}

describe('Whisper on Workers AI', () => {
  it('transcribes an utterance as a base64 WAV file, and counts its seconds', async () => {
    ai.script(whisper, whisperAnswer('Hello there.'));
    const heard = await hear({}, { language: 'en-GB', keywords: ['Ada', 'Turing'] });
    expect(heard).toEqual([
      { type: 'usage', usage: { provider: `workers-ai/${whisper}`, audioSeconds: 1.5 } },
      { type: 'final', utterance: 0, text: 'Hello there.' },
    ]);
    const { audio, ...inputs } = ai.calls[0]!.inputs;
    expect(wavToMono(decodeBase64(String(audio))!)).toEqual({ sampleRate: 8000, samples: speech });
    expect(inputs).toEqual({
      task: 'transcribe',
      condition_on_previous_text: false,
      language: 'en',
      initial_prompt: 'Ada, Turing',
    } satisfies Omit<AiModels[typeof whisper]['inputs'], 'audio'>);
    expect(ai.calls[0]!.options).toMatchObject({ returnRawResponse: true, rejectIfBusy: true });
  });

  it('sends neither language nor prompt where there is none', async () => {
    ai.script(whisper, whisperAnswer(''));
    expect((await hear()).at(-1)).toEqual({ type: 'final', utterance: 0, text: '' });
    expect(Object.keys(ai.calls[0]!.inputs)).toEqual(['audio', 'task', 'condition_on_previous_text']);
  });

  it.each<[string, AiAnswer, string, number]>([
    ['no capacity', failure(429, 3040, 'Capacity temporarily exceeded'), 'rate_limited', 2],
    ['no capacity, thrown', thrown('3040: Capacity temporarily exceeded'), 'rate_limited', 2],
    [
      'a used-up allocation',
      failure(429, 3036, 'You have used up your daily free allocation'),
      'rate_limited',
      1,
    ],
    ['a used-up allocation, thrown', thrown('3036: You have used up'), 'rate_limited', 1],
    ['its own time-out', failure(408, 3007, 'Request timeout'), 'timeout', 2],
    ['an unknown model', failure(400, 5007, 'No such model'), 'rejected', 1],
    ['a paid model', failure(403, 5035, 'Upgrade'), 'unauthorized', 1],
    [
      'an account that is blocked, thrown',
      thrown('3023: Service unavailable for account'),
      'unauthorized',
      1,
    ],
    ['an unknown code, thrown', thrown('5999: No'), 'rejected', 1],
    ['an error of the server', failure(500, 0, 'Internal'), 'unavailable', 2],
    ['a page', () => new Response('<html>', { status: 502 }), 'unavailable', 2],
    ['a broken connection', thrown('Network connection lost.'), 'unavailable', 2],
  ])('fails for %s', async (_, answer, kind, attempts) => {
    ai.script(whisper, answer, answer);
    const result = failed({ maxRetries: 1 });
    if (attempts === 2) await pauses.pass(1, clock);
    expect(await result).toMatchObject({
      name: 'ProviderError',
      provider: `workers-ai/${whisper}`,
      failure: kind,
    });
    expect(ai.calls).toHaveLength(attempts);
  });

  it('tells at once that it is to be left alone for longer than a caller can wait', async () => {
    ai.script(whisper, failure(429, 3040, 'busy', { 'retry-after': '7' }));
    expect(await failed()).toMatchObject({ failure: 'rate_limited', status: 429, retryAfterMs: 7_000 });
    expect(ai.calls).toHaveLength(1);
  });

  it('tries again, then transcribes', async () => {
    ai.script(
      whisper,
      failure(429, 3040, 'busy', { 'retry-after': '1' }),
      thrown('reset'),
      whisperAnswer('Yes.'),
    );
    const result = hear();
    await pauses.begun(1);
    await clock.advance(999);
    expect(ai.calls).toHaveLength(1);
    await clock.advance(1);
    await pauses.pass(2, clock);
    expect((await result).at(-1)).toMatchObject({ text: 'Yes.' });
  });

  it.each<[string, AiAnswer]>([
    ['another object', json({ results: [] })],
    ['no JSON', stream(['<html>'], 'text/html')],
    ['a text without end', json({ text: 'x'.repeat(50_001) })],
  ])('calls %s malformed, and does not ask again', async (_, answer) => {
    ai.script(whisper, answer);
    expect(await failed()).toMatchObject({ failure: 'malformed' });
    expect(ai.calls).toHaveLength(1);
  });

  it('gives up a hung attempt for another one, though the binding heeds no signal', async () => {
    ai.script(whisper, hang, whisperAnswer('Yes.'));
    const result = hear({ timeoutMs: 700 });
    const call = await ai.called(0);
    await clock.advance(700);
    expect((call.options.signal as AbortSignal).aborted).toBe(true);
    await pauses.pass(1, clock);
    expect((await result).at(-1)).toMatchObject({ text: 'Yes.' });
  });

  it('times out where the answer is not whole in time', async () => {
    ai.script(whisper, stream(['{"text":'], 'application/json', 'hang'));
    const result = failed({ deadlineMs: 900 });
    await ai.called(0);
    await clock.advance(900);
    expect(await result).toMatchObject({ failure: 'timeout' });
  });

  it('yields nothing once the session has ended', async () => {
    ai.script(whisper, hang);
    const result = hear();
    await ai.called(0);
    ending.abort(new Error('hung up'));
    expect(await result).toEqual([]);
  });
});

describe('Deepgram’s Nova-3 on Workers AI', () => {
  it('is sent the WAV file as a stream, anew for each attempt', async () => {
    ai.script(nova, failure(429, 3040, 'busy'), novaAnswer('Hello there.'));
    const result = hear({ model: nova }, { language: 'en-GB', keywords: ['Ada'] });
    await pauses.pass(1, clock);
    expect(await result).toEqual([
      { type: 'usage', usage: { provider: `workers-ai/${nova}`, audioSeconds: 0.5 } },
      { type: 'final', utterance: 0, text: 'Hello there.' },
    ]);
    for (const { inputs, body } of ai.calls) {
      expect(inputs).toEqual({
        punctuate: true,
        smart_format: true,
        language: 'en-GB',
        keyterm: 'Ada',
      } satisfies Omit<AiModels[typeof nova]['inputs'], 'audio'>);
      expect(body?.contentType).toBe('audio/wav');
      expect(wavToMono(body!.bytes)).toEqual({ sampleRate: 8000, samples: speech });
    }
    expect(ai.calls).toHaveLength(2);
  });

  it('detects the language where none is given', async () => {
    ai.script(nova, novaAnswer(''));
    expect((await hear({ model: nova }, { keywords: ['a', 'b'] })).at(-1)).toMatchObject({ text: '' });
    expect(ai.calls[0]!.inputs).toEqual({ punctuate: true, smart_format: true, detect_language: true });
  });

  it('calls an answer without a channel malformed', async () => {
    ai.script(nova, json({ results: { channels: [] } }));
    expect(await failed({ model: nova })).toMatchObject({ failure: 'malformed' });
  });
});
