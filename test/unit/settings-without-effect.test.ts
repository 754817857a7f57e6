import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { settingsWithoutEffect } from '../../src/settings-without-effect.ts';

const strongModel = { LLM_STRONG_MODEL: 'big', AGENT_STRONG_FROM_WORDS: '20' };
const bedrock = {
  LLM_PROVIDER: 'bedrock',
  AWS_REGION: 'r',
  AWS_ACCESS_KEY_ID: 'i',
  AWS_SECRET_ACCESS_KEY: 's',
};
const streamed = { STT_PROVIDER: 'deepgram', DEEPGRAM_API_KEY: 'd' };
const voices = '{"de":"Anna"}';
/** It does not tell the language. */
const whisper = { STT_MODEL: 'whisper-1' };

/** What does nothing, by the settings beside which it does nothing; and what gives it its effect. */
const cases: [idle: string[], given: Record<string, unknown>, remedy: Record<string, unknown>][] = [
  [
    ['SPOOL_INTERVAL'],
    { SPOOL_INTERVAL: '500', RECORDING: 'false' },
    { CAMPAIGNS: '{"a":{"recording":true}}' },
  ],
  [
    ['ALERT_SOURCE', 'ALERT_REPEAT'],
    { ALERT_SOURCE: 'calls-eu', ALERT_REPEAT: '3600000' },
    { ALERT_WEBHOOKS: '[{"shape":"slack","url":"https://hooks.slack.com/services/x"}]' },
  ],
  [
    ['AGENT_GREETING_INTERRUPTIBLE'],
    { AGENT_GREETING_INTERRUPTIBLE: 'false', AGENT_GREETING: '' },
    { CAMPAIGNS: '{"a":{"greeting":"Hello."}}' },
  ],
  [
    ['AGENT_VOICES'],
    { AGENT_VOICES: voices, AGENT_LANGUAGE: 'en' },
    { CAMPAIGNS: '{"a":{"language":"de"}}' },
  ],
  [['AGENT_VOICES'], { AGENT_VOICES: voices, ...whisper }, { CAMPAIGNS: '{"a":{"language":"de"}}' }],
  [
    ['TTS_VOICE'],
    { TTS_VOICE: 'v', AGENT_VOICES: voices, AGENT_LANGUAGE: 'de' },
    { CAMPAIGNS: '{"a":{"language":"fr"}}' },
  ],
  [['TTS_FALLBACK_VOICE'], { TTS_FALLBACK_VOICE: 'v' }, { TTS_FALLBACK_MODEL: 'm' }],
  [['STT_FALLBACK_API_KEY'], { STT_FALLBACK_API_KEY: 'k' }, { STT_FALLBACK_PROVIDER: 'openai-realtime' }],
  [['LLM_FALLBACK_PROVIDER'], { LLM_FALLBACK_PROVIDER: 'openai' }, { LLM_FALLBACK_MODEL: 'm' }],
  [['LLM_FALLBACK_MODEL'], { LLM_FALLBACK_MODEL: 'gpt-6-luna' }, { LLM_FALLBACK_API_KEY: 'other' }],
  [['LLM_STRONG_API_KEY'], { LLM_STRONG_API_KEY: 'k' }, strongModel],
  [['LLM_STRONG_MODEL'], { LLM_STRONG_MODEL: 'big' }, { AGENT_STRONG_PHRASES: 'explain' }],
  [['AGENT_STRONG_PHRASES'], { AGENT_STRONG_PHRASES: 'explain' }, { LLM_STRONG_MODEL: 'big' }],
  [['AGENT_STRONG_FROM_WORDS'], { AGENT_STRONG_FROM_WORDS: 20 }, { LLM_STRONG_PROVIDER: 'anthropic' }],
  [['S2S_MODEL', 'S2S_VOICE'], { S2S_MODEL: 'm', S2S_VOICE: 'v' }, { S2S_PROVIDER: 'openai-live' }],
  [['STT_DEADLINE_MS'], { STT_DEADLINE_MS: '900' }, { STT_FALLBACK_MODEL: 'm' }],
  [['LLM_DEADLINE_MS'], { LLM_DEADLINE_MS: '900' }, strongModel],
  [['DEEPGRAM_API_KEY'], { DEEPGRAM_API_KEY: 'd' }, { STT_FALLBACK_PROVIDER: 'deepgram' }],
  [['ELEVENLABS_BASE_URL'], { ELEVENLABS_BASE_URL: 'https://e.example' }, { TTS_PROVIDER: 'elevenlabs' }],
  [
    ['ANTHROPIC_API_KEY'],
    { ANTHROPIC_API_KEY: 'a', LLM_PROVIDER: 'anthropic', LLM_API_KEY: 'own' },
    { LLM_API_KEY: '' },
  ],
  [['AWS_REGION'], { AWS_REGION: 'r' }, bedrock],
  [
    ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
    { ...bedrock, AWS_BEARER_TOKEN_BEDROCK: 't' },
    { AWS_BEARER_TOKEN_BEDROCK: ' ' },
  ],
  [['LLM_API_KEY'], { ...bedrock, LLM_API_KEY: 'k' }, { LLM_PROVIDER: 'openai', ...withoutAws() }],
  [['STT_BASE_URL'], { STT_PROVIDER: 'workers-ai', STT_BASE_URL: 'https://s.example' }, { STT_PROVIDER: '' }],
  [
    ['TTS_MODEL'],
    { TTS_PROVIDER: 'deepgram', DEEPGRAM_API_KEY: 'd', TTS_MODEL: 'm' },
    { TTS_PROVIDER: '', ...streamed },
  ],
  [['AUDIO_BUFFER_MS'], { ...streamed, AUDIO_BUFFER_MS: '3000' }, { STT_FALLBACK_PROVIDER: 'openai' }],
  [['STT_RUN_AHEAD'], { ...streamed, STT_RUN_AHEAD: 'false' }, { STT_FALLBACK_PROVIDER: 'workers-ai' }],
  [['AGENT_VOICES'], { AGENT_VOICES: voices, STT_MODEL: 'whisper-1' }, { STT_MODEL: 'gpt-transcribe' }],
  [['AGENT_VOICES'], { AGENT_VOICES: voices, STT_PROVIDER: 'workers-ai' }, streamed],
  [['AGENT_VOICES'], { AGENT_VOICES: voices, AGENT_LANGUAGE: 'fr' }, { AGENT_LANGUAGE: 'de-AT' }],
  [['TTS_FALLBACK_VOICES'], { TTS_FALLBACK_VOICES: voices }, { ...streamed, TTS_FALLBACK_MODEL: 'm' }],
  [
    ['TTS_FALLBACK_VOICES'],
    { TTS_FALLBACK_VOICES: voices, TTS_FALLBACK_MODEL: 'm', AGENT_LANGUAGE: 'fr' },
    { AGENT_LANGUAGE: 'de-AT' },
  ],
  [['TTS_VOICE'], { TTS_VOICE: 'v', AGENT_VOICES: voices, AGENT_LANGUAGE: 'de' }, { AGENT_VOICES: '' }],
  [
    ['AGENT_HTTP_TOOL_SECRETS'],
    { AGENT_HTTP_TOOL_SECRETS: `whsec_${'a'.repeat(32)}` },
    { AGENT_HTTP_TOOLS: tools() },
  ],
  [
    ['AGENT_GREETING_INTERRUPTIBLE'],
    { AGENT_GREETING: '', AGENT_GREETING_INTERRUPTIBLE: 'false' },
    { AGENT_GREETING: 'Hello.' },
  ],
  [['HOLD_LINE_MS'], { AGENT_HOLD_LINE: '', HOLD_LINE_MS: '900' }, { AGENT_HOLD_LINE: 'Wait.' }],
  [['SPOOL_INTERVAL'], { RECORDING: 'false', SPOOL_INTERVAL: '900' }, { RECORDING: 'true' }],
  [['PERMIT_SHARDS'], { MAX_CONCURRENT_CALLS: '0', PERMIT_SHARDS: '32' }, { MAX_CONCURRENT_CALLS: '9' }],
  [['AGENT_VOICE'], { AGENT_VOICE: 'alloy' }, { AGENT_VOICE: undefined }],
];

function tools(): string {
  const parameters = { type: 'object', properties: {} };
  return JSON.stringify([{ name: 't', description: 'd', parameters, url: 'https://t.example' }]);
}

function withoutAws() {
  return { AWS_REGION: '', AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };
}

const namesOf = (env: object) => settingsWithoutEffect(env).map(({ setting }) => setting);

describe('settings that do nothing', () => {
  it.each(cases)('%j beside %j are named, until %j', (idle, given, remedy) => {
    const openAi = { OPENAI_API_KEY: 'k' };
    expect(namesOf({ ...openAi, ...given })).toEqual(expect.arrayContaining(idle));
    for (const name of idle) expect(namesOf({ ...openAi, ...given, ...remedy })).not.toContain(name);
  });

  it('are named once, with a reason that names what is missing', () => {
    expect(
      settingsWithoutEffect({ OPENAI_API_KEY: 'k', TTS_FALLBACK_VOICE: 'v', LLM_STRONG_MODEL: 'gpt-6-luna' }),
    ).toEqual([
      {
        setting: 'TTS_FALLBACK_VOICE',
        because: 'TTS_FALLBACK_PROVIDER or TTS_FALLBACK_MODEL or TTS_FALLBACK_BASE_URL is not set',
      },
      { setting: 'LLM_STRONG_MODEL', because: 'it is the provider that is asked before it' },
    ]);
  });

  it('are none where nothing is set, nor among what the launcher sets', () => {
    expect(settingsWithoutEffect({})).toEqual([]);
    const engines = { OPENAI_API_KEY: 'e', OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' };
    const ports = ['STT', 'LLM', 'TTS'].flatMap((port) => [
      [`${port}_PROVIDER`, 'openai'],
      [`${port}_API_KEY`, engines.OPENAI_API_KEY],
      [`${port}_BASE_URL`, engines.OPENAI_BASE_URL],
      [`${port}_MODEL`, 'embedded'],
    ]);
    expect(settingsWithoutEffect({ ...engines, ...Object.fromEntries(ports), TTS_VOICE: 'rms' })).toEqual([]);
  });

  it('are no reason not to start', () => {
    expect(() => loadConfig({ TTS_FALLBACK_VOICE: 'v', AGENT_VOICE: 'v' })).not.toThrow();
  });

  it('take nothing that Cloudflare binds for one', () => {
    expect(settingsWithoutEffect({ CACHE_KV: {}, AI: {}, RECORDINGS: {}, CALL_SESSION: {} })).toEqual([]);
  });
});
