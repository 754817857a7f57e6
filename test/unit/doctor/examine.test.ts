import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/config.ts';
import {
  AnthropicDouble,
  events as claudeEvents,
  json as claudeJson,
  message,
} from '../../support/anthropic-double.ts';
import * as bedrock from '../../support/bedrock-double.ts';
import { deepgramDouble } from '../../support/deepgram-double.ts';
import { ElevenLabsDouble } from '../../support/elevenlabs-double.ts';
import {
  body,
  completion,
  events,
  formOf,
  json,
  jsonOf,
  OpenAiDouble,
  status,
} from '../../support/openai-double.ts';
import { OpenAiRealtimeDouble } from '../../support/openai-realtime-double.ts';
import { allOpenAi, ok, row, run } from './support.ts';

let openAi: OpenAiDouble;
const close: (() => unknown)[] = [];
beforeEach(async () => {
  openAi = await OpenAiDouble.start();
  close.push(() => openAi.close());
});
afterEach(async () => {
  for (const each of close.splice(0)) await each();
});

async function started<D extends { close(): unknown }>(starting: Promise<D>): Promise<D> {
  const double = await starting;
  close.push(() => double.close());
  return double;
}

const speech = () => body(new Uint8Array(4_800), 'audio/pcm');

describe('the doctor', () => {
  it('asks each port one tiny request, with what the call would send', async () => {
    openAi.script('/audio/transcriptions', json({ text: '' }));
    openAi.script('/chat/completions', events(completion(['OK', '.'])));
    openAi.script('/audio/speech', speech());
    openAi.script('/models', json({ data: [] }));
    const seen: string[] = [];
    const settings = {
      ...allOpenAi(openAi),
      TTS_VOICE: 'echo',
      AGENT_LANGUAGE: 'de-AT',
      STT_RUN_AHEAD: 'true',
    };
    const examination = await run(settings);
    for (const { title, outcome } of examination.rows) seen.push(`${title}: ${outcome.result}`);
    expect(seen).toEqual(['speech to text: ok', 'language model: ok', 'text to speech: ok']);
    expect(row(examination, 'speech to text').outcome).toEqual({ ...ok, firstMs: null });
    expect(row(examination, 'language model').outcome).toEqual(ok);
    const [heard, , asked, spoken] = openAi.requests;
    const form = await formOf(heard!);
    // 44 bytes of header, and half a second of 8 kHz.
    expect([form.get('language'), (form.get('file') as File).size]).toEqual(['de', 44 + 8_000]);
    expect(jsonOf(asked!)).toMatchObject({
      messages: [{ role: 'user', content: 'Say OK.' }],
      max_completion_tokens: 16,
    });
    expect(jsonOf(spoken!)).toMatchObject({ input: 'Hello.', voice: 'echo' });
    // The list of models once, though three ports share it.
    expect(openAi.requests.map(({ path }) => path)).toEqual([
      '/audio/transcriptions',
      '/models',
      '/chat/completions',
      '/audio/speech',
    ]);
    expect(openAi.unexpected).toEqual([]);
    // The providers work; the database has not been named.
    expect(examination).toMatchObject({
      ok: false,
      missing: ['SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY'],
      database: { result: 'missing' },
    });
  });

  it('does not miss what is stored with Cloudflare, and cannot try it', async () => {
    const names = ['OPENAI_API_KEY', 'SUPABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY'];
    const examination = await run({}, { stored: names });
    expect(examination).toMatchObject({ ok: true, missing: [] });
    expect(examination.rows.map(({ outcome }) => outcome.result)).toEqual(['untried', 'untried', 'untried']);
    expect(await run({}, { stored: names.slice(1) })).toMatchObject({
      ok: false,
      missing: ['OPENAI_API_KEY'],
    });
    const findings = [{ what: 'nodes', result: 'failed', says: 'none is up', mend: 'bin/healthy' }] as const;
    expect(await run({}, { stored: names, findings })).toMatchObject({ ok: false, findings });
    expect(openAi.requests).toEqual([]);
  });

  it('is content where the providers and the database work', async () => {
    openAi.script('/audio/transcriptions', json({ text: 'x' }));
    openAi.script('/chat/completions', events(completion(['OK'])));
    openAi.script('/audio/speech', speech());
    openAi.script('/rest/v1/call_logs?select=call_id&limit=1', json([]));
    const rows: string[] = [];
    const examination = await run(
      { ...allOpenAi(openAi), SUPABASE_URL: openAi.baseUrl, SUPABASE_SERVICE_ROLE_KEY: 'sb_secret_1' },
      { onRow: ({ title }) => rows.push(title) },
    );
    expect(examination).toMatchObject({ ok: true, missing: [], database: { result: 'ok' } });
    expect(rows).toEqual(['speech to text', 'language model', 'text to speech']);
  });

  it('tries each fall-back and the stronger model by itself, though the first works', async () => {
    openAi.script('/audio/transcriptions', json({ text: 'x' }), status(404));
    const replies = ['quick', 'behind', 'strong'].map((text) => events(completion([text])));
    openAi.script('/chat/completions', ...replies);
    openAi.script('/audio/speech', speech(), speech());
    const examination = await run({
      ...allOpenAi(openAi),
      STT_FALLBACK_MODEL: 'old-ears',
      LLM_FALLBACK_MODEL: 'behind',
      LLM_STRONG_MODEL: 'strong',
      LLM_STRONG_API_KEY: 'strong-key',
      TTS_FALLBACK_MODEL: 'other-mouth',
      TTS_FALLBACK_VOICE: 'onyx',
    });
    expect(examination.rows.map(({ title, model, outcome }) => [title, model, outcome.result])).toEqual([
      ['speech to text', 'gpt-transcribe', 'ok'],
      ['speech to text, fall-back', 'old-ears', 'failed'],
      ['language model', 'gpt-6-luna', 'ok'],
      ['language model, fall-back', 'behind', 'ok'],
      ['language model, strong', 'strong', 'ok'],
      ['text to speech', 'gpt-4o-mini-tts', 'ok'],
      ['text to speech, fall-back', 'other-mouth', 'ok'],
    ]);
    const chats = openAi.requests.filter(({ path }) => path === '/chat/completions');
    expect(chats.map((request) => [jsonOf(request).model, request.headers.authorization])).toEqual([
      ['gpt-6-luna', 'Bearer sk-secret'],
      ['behind', 'Bearer sk-secret'],
      ['strong', 'Bearer strong-key'],
    ]);
    expect(jsonOf(openAi.requests.at(-1)!)).toMatchObject({ model: 'other-mouth', voice: 'onyx' });
    expect(row(examination, 'speech to text, fall-back').outcome).toMatchObject({
      advice: expect.stringContaining('STT_FALLBACK_MODEL'),
    });
  });

  it('reaches vendors by their sockets', async () => {
    const realtime = await started(OpenAiRealtimeDouble.start());
    const deepgram = await started(deepgramDouble());
    const examination = await run({
      OPENAI_API_KEY: 'key',
      OPENAI_BASE_URL: realtime.baseUrl.replace('ws', 'http'),
      DEEPGRAM_API_KEY: 'key',
      DEEPGRAM_BASE_URL: deepgram.url.replace('ws', 'http'),
      STT_PROVIDER: 'openai-realtime',
      STT_FALLBACK_PROVIDER: 'deepgram',
      LLM_PROVIDER: 'workers-ai',
      TTS_PROVIDER: 'openai-realtime',
      TTS_FALLBACK_PROVIDER: 'deepgram',
      TTS_FALLBACK_VOICE: 'aura-2-thalia-en',
      S2S_PROVIDER: 'openai-realtime',
    });
    expect(examination.rows.map(({ title, vendor, outcome }) => [title, vendor, outcome])).toEqual([
      ['speech to text', 'openai-realtime', { ...ok, firstMs: null }],
      ['speech to text, fall-back', 'deepgram', { ...ok, firstMs: null }],
      ['language model', 'workers-ai', { result: 'untried', why: expect.stringContaining('npm run dev') }],
      ['text to speech', 'openai-realtime', ok],
      ['text to speech, fall-back', 'deepgram', ok],
      ['speech to speech', 'openai-realtime', ok],
    ]);
    // Nothing is left open.
    for (const { connection } of realtime.sessions) await connection.closed;
    for (const { closed } of deepgram.connections) await closed;
  });

  it('reaches Flux, ElevenLabs, Anthropic and Bedrock', async () => {
    const deepgram = await started(deepgramDouble());
    const eleven = await started(ElevenLabsDouble.start());
    const claude = await started(AnthropicDouble.start());
    const aws = await started(bedrock.BedrockDouble.start());
    claude.script('/v1/messages', claudeEvents(message({ texts: ['OK.'] })));
    claude.script('/v1/models/claude-haiku-5-5', claudeJson({ retires_at: '2199-01-02T00:00:00Z' }));
    aws.script(
      '/model/global.anthropic.claude-haiku-5-5/invoke-with-response-stream',
      bedrock.authorised(bedrock.messages(bedrock.chunks(message({ texts: ['OK.'] }))), Date.now),
    );
    const examination = await run({
      DEEPGRAM_API_KEY: 'key',
      DEEPGRAM_BASE_URL: deepgram.url.replace('ws', 'http'),
      ELEVENLABS_API_KEY: 'key',
      ELEVENLABS_BASE_URL: eleven.baseUrl,
      ANTHROPIC_API_KEY: 'key',
      ANTHROPIC_BASE_URL: claude.baseUrl,
      AWS_REGION: bedrock.region,
      AWS_ACCESS_KEY_ID: bedrock.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: bedrock.credentials.secretAccessKey,
      AWS_SESSION_TOKEN: bedrock.credentials.sessionToken,
      BEDROCK_BASE_URL: aws.baseUrl,
      STT_PROVIDER: 'deepgram',
      STT_MODEL: 'flux-general-en',
      LLM_PROVIDER: 'anthropic',
      LLM_FALLBACK_PROVIDER: 'bedrock',
      TTS_PROVIDER: 'elevenlabs',
      TTS_VOICE: 'rachel',
    });
    expect(examination.rows.map(({ vendor, outcome }) => [vendor, outcome])).toEqual([
      ['deepgram', { ...ok, firstMs: null }],
      ['anthropic', ok],
      ['bedrock', ok],
      ['elevenlabs', ok],
    ]);
    expect(row(examination, 'language model').end?.date).toBe('2199-01-02T00:00:00.000Z');
  });

  it('asks nobody without a key, and names the setting of each', async () => {
    const examination = await run({
      LLM_PROVIDER: 'bedrock',
      TTS_PROVIDER: 'elevenlabs',
      TTS_FALLBACK_PROVIDER: 'deepgram',
      S2S_PROVIDER: 'openai-realtime',
    });
    expect(examination.rows.map(({ outcome }) => outcome)).toEqual([
      { result: 'missing', settings: ['OPENAI_API_KEY'] },
      { result: 'missing', settings: ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] },
      { result: 'missing', settings: ['ELEVENLABS_API_KEY'] },
      { result: 'missing', settings: ['DEEPGRAM_API_KEY'] },
      { result: 'missing', settings: ['OPENAI_API_KEY'] },
    ]);
    expect(examination.ok).toBe(false);
  });

  it('names settings that do nothing, unless they may be meant for other programs', async () => {
    const values = { LLM_STRONG_API_KEY: 'key', AWS_REGION: 'eu-central-1' };
    const sources = new Map([
      ['LLM_STRONG_API_KEY', 'wrangler.toml' as const],
      ['AWS_REGION', 'the environment' as const],
    ]);
    const { withoutEffect } = await run(values, { settings: { values, sources } });
    expect(withoutEffect).toEqual([
      { setting: 'LLM_STRONG_API_KEY', because: 'LLM_STRONG_PROVIDER or LLM_STRONG_MODEL is not set' },
    ]);
  });

  it('names a wrong setting', async () => {
    await expect(run({ STT_PROVIDER: 'nobody' })).rejects.toThrow(ConfigError);
  });
});
