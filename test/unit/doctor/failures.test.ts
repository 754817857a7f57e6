import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../support/eavesdrop.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { completion, events, hang, jsonOf, OpenAiDouble, status } from '../../support/openai-double.ts';
import { freePort } from '../../support/ports.ts';
import { allOpenAi, row, run } from './support.ts';

let openAi: OpenAiDouble;
beforeEach(async () => {
  openAi = await OpenAiDouble.start();
});
afterEach(() => openAi.close());

describe('a provider that fails', () => {
  it.each([
    [401, 'unauthorized', 'OPENAI_API_KEY (from the environment)'],
    [403, 'unauthorized', 'OPENAI_API_KEY (from the environment)'],
    [404, 'rejected', 'LLM_MODEL, now gpt-6-luna'],
    [429, 'rate_limited', 'limits and billing'],
    [503, 'unavailable', 'OPENAI_BASE_URL (from the environment), now at 127.0.0.1'],
  ])('says what to do about a status of %i', async (code, failure, advice) => {
    const answers = Array.from({ length: 4 }, () => status(code, 'Incorrect API key provided: sk-se***et'));
    openAi.script('/chat/completions', ...answers);
    const settings = { ...allOpenAi(openAi), STT_PROVIDER: 'workers-ai', TTS_PROVIDER: 'workers-ai' };
    const examination = await run(settings);
    expect(row(examination, 'language model').outcome).toMatchObject({
      result: 'failed',
      failure,
      advice: expect.stringContaining(advice),
    });
    expect(examination.ok).toBe(false);
    if (failure === 'unauthorized') expect(JSON.stringify(examination)).not.toContain('sk-se***et');
  });

  it('names the first one’s key where a fall-back of the same vendor has none of its own', async () => {
    openAi.script('/chat/completions', events(completion(['OK'])), status(401));
    const settings = {
      LLM_API_KEY: 'own-key',
      LLM_BASE_URL: openAi.baseUrl,
      LLM_FALLBACK_MODEL: 'other',
      OPENAI_API_KEY: 'shared-key',
      STT_PROVIDER: 'workers-ai',
      TTS_PROVIDER: 'workers-ai',
    };
    const { outcome } = row(await run(settings), 'language model, fall-back');
    expect(outcome).toMatchObject({ advice: expect.stringContaining('Look at LLM_API_KEY ') });
    expect(openAi.requests.at(-1)!.headers.authorization).toBe('Bearer own-key');
  });

  it.each(['http', 'socket'])('says what broke a connection by %s', async (way) => {
    const settings =
      way === 'http'
        ? {
            ...allOpenAi(openAi),
            LLM_BASE_URL: `http://127.0.0.1:${await freePort()}/v1`,
            STT_PROVIDER: 'workers-ai',
          }
        : {
            OPENAI_API_KEY: 'k',
            OPENAI_BASE_URL: `http://127.0.0.1:${await freePort()}/v1`,
            STT_PROVIDER: 'openai-realtime',
            LLM_PROVIDER: 'workers-ai',
          };
    const examination = await run({ ...settings, TTS_PROVIDER: 'workers-ai' });
    expect(row(examination, way === 'http' ? 'language model' : 'speech to text').outcome).toMatchObject({
      failure: 'unavailable',
      message: expect.stringMatching(/\(ECONNREFUSED\)$/),
    });
  });

  it('gives a model that thinks first as many tokens as a call would', async () => {
    openAi.script('/chat/completions', events(completion([], 'length')), events(completion(['OK'])));
    const settings = { ...allOpenAi(openAi), STT_PROVIDER: 'workers-ai', TTS_PROVIDER: 'workers-ai' };
    const examination = await run({ ...settings, AGENT_MAX_OUTPUT_TOKENS: '250' });
    expect(row(examination, 'language model').outcome).toMatchObject({
      result: 'ok',
      note: 'said nothing within 16 tokens',
    });
    const chats = openAi.requests.filter(({ path }) => path === '/chat/completions');
    expect(chats.map((request) => jsonOf(request).max_completion_tokens)).toEqual([16, 250]);
  });

  it('gives up what does not end, and goes on with the next', async () => {
    openAi.script('/audio/transcriptions', hang());
    openAi.script('/chat/completions', events(completion(['OK'])));
    const clock = new FakeClock();
    const examining = run({ ...allOpenAi(openAi), TTS_PROVIDER: 'workers-ai' }, { clock, limitMs: 3_000 });
    await openAi.received(0);
    await clock.advance(3_000);
    // The list of models, then the language model.
    await until(() => openAi.requests.some(({ path }) => path === '/chat/completions'), 'the language model');
    const examination = await examining;
    expect(row(examination, 'speech to text').outcome).toMatchObject({
      result: 'failed',
      failure: 'timeout',
      message: 'openai/gpt-transcribe: no end within 3000 ms',
      afterMs: 3_000,
    });
    expect(row(examination, 'language model').outcome.result).toBe('ok');
    expect(clock.pending).toBe(0);
  });

  it('stops at once when it is told to', async () => {
    openAi.script('/audio/transcriptions', hang());
    const abort = new AbortController();
    const clock = new FakeClock();
    const examining = run(allOpenAi(openAi), { clock, signal: abort.signal });
    const request = await openAi.received(0);
    abort.abort(new Error('Ctrl-C'));
    await expect(examining).rejects.toThrow('Ctrl-C');
    await request.gone;
    expect(clock.pending).toBe(0);
  });
});
