import { describe, expect, it } from 'vitest';
import { agentFor } from '../../src/agents.ts';
import { ConfigError, loadConfig, missingSettings } from '../../src/config.ts';
import { providerSettings } from '../../src/provider-settings.ts';
import { speechToSpeechVendors } from '../../src/providers/registry.ts';

const tools = JSON.stringify([
  {
    name: 'book',
    description: 'Books a visit.',
    parameters: { type: 'object', properties: { day: { type: 'string' } }, required: ['day'] },
    url: 'https://example.com/book',
  },
]);

const ports = { STT_API_KEY: 'k', LLM_API_KEY: 'k', TTS_API_KEY: 'k' };
const awsKeys = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];

describe('settings', () => {
  it('have the contract’s names and defaults', () => {
    expect(loadConfig({})).toMatchObject({
      MAX_CONCURRENT_CALLS_PER_WORKER: 10_000,
      RATE_LIMIT_PER_IP: 100,
      WEBSOCKET_TIMEOUT: 300_000,
    });
  });

  it('are overridden by environment variables, which are text', () => {
    const config = loadConfig({
      WEBSOCKET_TIMEOUT: '60000',
      RECORDING: 'false',
      CORS_ORIGINS: 'https://a.example/, https://b.example',
    });
    expect(config.WEBSOCKET_TIMEOUT).toBe(60_000);
    expect(config.RECORDING).toBe(false);
    expect(config.CORS_ORIGINS).toEqual(['https://a.example', 'https://b.example']);
  });

  it('allow no chunk of the recording that a row has no room for: 2 MB, both sides of it at 16 kHz', () => {
    const longestMs = 30_000;
    expect(loadConfig({ SPOOL_INTERVAL: String(longestMs) }).SPOOL_INTERVAL).toBe(longestMs);
    expect(() => loadConfig({ SPOOL_INTERVAL: String(longestMs + 1) })).toThrow(/SPOOL_INTERVAL/);
    expect(longestMs * 16 * Int16Array.BYTES_PER_ELEMENT * 2).toBeLessThan(2_000_000);
  });

  it('count as not set where they are empty, but a greeting may be', () => {
    const config = loadConfig({ RATE_LIMIT_PER_IP: ' ', TTS_VOICE: '', AGENT_GREETING: '' });
    expect(config.RATE_LIMIT_PER_IP).toBe(100);
    expect(config.TTS_VOICE).toBe('alloy');
    expect(config.AGENT_GREETING).toBe('');
  });

  it.each([
    ['WEBSOCKET_TIMEOUT', 'soon'],
    ['WEBSOCKET_TIMEOUT', '-1'],
    ['RATE_LIMIT_PER_IP', '1.5'],
    ['RECORDING', 'perhaps'],
    ['OPENAI_BASE_URL', 'ftp://example.com'],
    ['SUPABASE_URL', 'not a url'],
    ['CORS_ORIGINS', 'https://a.example,nonsense'],
    ['LLM_PROVIDER', 'unknown'],
    ['METRICS_SHARDS', '0'],
    ['AGENT_LANGUAGE', 'German'],
    ['AGENT_LANGUAGE', 'de_DE'],
    ['PRICE_PER_SECOND', '0,01'],
    ['PRICE_PER_SECOND', '1000'],
    ['PRICE_PER_SECOND', '-1'],
    ['BILLING_WITHOUT_DATABASE', 'perhaps'],
    ['BILLING_TIMEOUT', '10000'],
  ])('%s = %s stops the start with a message that names it', (name, value) => {
    expect(() => loadConfig({ [name]: value })).toThrow(ConfigError);
    expect(() => loadConfig({ [name]: value })).toThrow(name);
  });

  it('that are missing are named, one key standing in for all three ports', () => {
    expect(missingSettings(loadConfig({}))).toEqual([
      'OPENAI_API_KEY',
      'SUPABASE_URL',
      'SUPABASE_SERVICE_ROLE_KEY',
    ]);
    const database = { SUPABASE_URL: 'https://x.supabase.co', SUPABASE_SERVICE_ROLE_KEY: 'k' };
    expect(missingSettings(loadConfig({ ...database, OPENAI_API_KEY: 'k' }))).toEqual([]);
    expect(missingSettings(loadConfig({ ...database, STT_API_KEY: 'k', LLM_API_KEY: 'k' }))).toEqual([
      'TTS_API_KEY',
    ]);
  });

  it('name the price that is missing where calls are paid for', () => {
    expect(missingSettings(loadConfig({ BILLING: 'on' }))).toContain('PRICE_PER_SECOND');
    expect(missingSettings(loadConfig({ BILLING: 'on', PRICE_PER_SECOND: '0.002' }))).not.toContain(
      'PRICE_PER_SECOND',
    );
  });

  it('of a port go before the ones that all ports share', () => {
    const settings = providerSettings(
      loadConfig({
        OPENAI_API_KEY: 'shared',
        OPENAI_BASE_URL: 'https://shared.example/v1',
        LLM_API_KEY: 'own',
        LLM_BASE_URL: 'https://own.example/v1',
        LLM_MODEL: 'own-model',
        AUDIO_BUFFER_MS: '4000',
      }),
    );
    expect(settings.languageModel[0]).toMatchObject({
      apiKey: 'own',
      baseUrl: 'https://own.example/v1',
      model: 'own-model',
    });
    expect(settings.speechToText).toMatchObject([{ apiKey: 'shared', baseUrl: 'https://shared.example/v1' }]);
    expect(settings.windows).toEqual({ bufferMs: 4_000, runAhead: true });
  });

  it('make a fall-back, which has the first provider’s values where it leaves some out', () => {
    const settings = providerSettings(
      loadConfig({
        OPENAI_API_KEY: 'shared',
        LLM_FALLBACK_MODEL: 'second-model',
        TTS_FALLBACK_BASE_URL: 'https://second.example/v1',
        TTS_FALLBACK_API_KEY: 'second',
        TTS_FALLBACK_VOICE: 'their-voice',
      }),
    );
    expect(settings.speechToText).toHaveLength(1);
    expect(settings.languageModel[1]).toEqual({ vendor: 'openai', apiKey: 'shared', model: 'second-model' });
    expect(settings.textToSpeech[1]).toEqual({
      vendor: 'openai',
      apiKey: 'second',
      baseUrl: 'https://second.example/v1',
      voice: 'their-voice',
    });
  });

  it('give the fall-back of text to speech voices of its own, for languages as well', () => {
    const { textToSpeech } = providerSettings(
      loadConfig({
        TTS_FALLBACK_PROVIDER: 'deepgram',
        DEEPGRAM_API_KEY: 'd',
        TTS_FALLBACK_VOICE: 'aura-2-thalia-en',
        TTS_FALLBACK_VOICES: '{"es":"aura-2-celeste-es"}',
      }),
    );
    expect(textToSpeech[0]).not.toHaveProperty('voices');
    expect(textToSpeech[1]).toMatchObject({
      voice: 'aura-2-thalia-en',
      voices: { es: 'aura-2-celeste-es' },
    });
    expect(() => loadConfig({ TTS_FALLBACK_VOICES: '{"Spanish":"x"}' })).toThrow('TTS_FALLBACK_VOICES');
  });

  it('make a fall-back of another vendor, with that vendor’s key and address and nothing of the first one’s', () => {
    const settings = providerSettings(
      loadConfig({
        STT_PROVIDER: 'deepgram',
        STT_API_KEY: 'first',
        STT_MODEL: 'flux-general-en',
        STT_BASE_URL: 'https://first.example',
        STT_FALLBACK_PROVIDER: 'openai',
        OPENAI_API_KEY: 'theirs',
      }),
    );
    expect(settings.speechToText).toEqual([
      { vendor: 'deepgram', apiKey: 'first', baseUrl: 'https://first.example', model: 'flux-general-en' },
      { vendor: 'openai', apiKey: 'theirs' },
    ]);
  });

  it('tell how long each port’s first answer is waited for, where they do', () => {
    const of = (more: object) => providerSettings(loadConfig(more)).firstAnswerMs;
    expect(of({})).toEqual({});
    expect(of({ STT_DEADLINE_MS: '200', LLM_DEADLINE_MS: '1500', TTS_DEADLINE_MS: '60000' })).toEqual({
      speechToText: 200,
      languageModel: 1_500,
      textToSpeech: 60_000,
    });
    for (const wrong of ['199', '60001', '500.5', 'soon'])
      expect(() => loadConfig({ LLM_DEADLINE_MS: wrong })).toThrow('LLM_DEADLINE_MS');
  });

  it('give Bedrock its region and keys, and no key of another vendor', () => {
    const aws = { AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };
    const of = (more: object) =>
      providerSettings(loadConfig({ LLM_PROVIDER: 'bedrock', OPENAI_API_KEY: 'other', ...aws, ...more }))
        .languageModel[0];
    expect(of({})).toEqual({
      vendor: 'bedrock',
      apiKey: '',
      aws: { region: 'eu-central-1', credentials: { accessKeyId: 'id', secretAccessKey: 'secret' } },
    });
    expect(of({ AWS_BEARER_TOKEN_BEDROCK: 'token' }).aws?.credentials).toEqual({ apiKey: 'token' });
  });

  it('have the fixed lines of a model that speaks spoken by its own vendor, unless told otherwise', () => {
    const s2s = { S2S_PROVIDER: 'openai-realtime', OPENAI_API_KEY: 'k' };
    expect(providerSettings(loadConfig(s2s)).textToSpeech[0].vendor).toBe('openai-realtime');
    expect(providerSettings(loadConfig(s2s)).speechToSpeech).toEqual({
      vendor: 'openai-realtime',
      apiKey: 'k',
    });
    const other = providerSettings(loadConfig({ ...s2s, TTS_PROVIDER: 'elevenlabs' }));
    expect(other.textToSpeech[0].vendor).toBe('elevenlabs');
    expect(providerSettings(loadConfig({})).speechToSpeech).toBeNull();
  });

  it('give a model that speaks the voice of text-to-speech where that is of its vendor, or one of its own', () => {
    const voice = (more: object) =>
      providerSettings(loadConfig({ S2S_PROVIDER: 'openai-live', ...more })).speechToSpeech?.voice;
    // As the call asks for: `TTS_VOICE`, or the one for the language.
    expect(voice({})).toBeUndefined();
    expect(voice({ TTS_PROVIDER: 'openai' })).toBeUndefined();
    expect(voice({ TTS_PROVIDER: 'elevenlabs' })).toBe('marin');
    expect(voice({ TTS_PROVIDER: 'elevenlabs', S2S_VOICE: 'cedar' })).toBe('cedar');
    expect(voice({ S2S_VOICE: 'cedar' })).toBe('cedar');
  });

  it.each(speechToSpeechVendors)('reach %s by OpenAI’s key and address, and no other vendor’s', (vendor) => {
    const given = { S2S_PROVIDER: vendor, OPENAI_API_KEY: 'k', BEDROCK_BASE_URL: 'https://bedrock.example' };
    expect(providerSettings(loadConfig(given)).speechToSpeech).toEqual({ vendor, apiKey: 'k' });
  });

  it('never send one server’s key to another server of the same kind', () => {
    const { languageModel, strongLanguageModel } = providerSettings(
      loadConfig({
        LLM_BASE_URL: 'https://first.example/v1',
        LLM_API_KEY: 'first',
        OPENAI_API_KEY: 'openai',
        LLM_FALLBACK_BASE_URL: 'https://api.openai.com/v1',
        LLM_STRONG_MODEL: 'big',
        LLM_STRONG_BASE_URL: 'https://api.openai.com/v1',
      }),
    );
    expect(languageModel.map(({ apiKey }) => apiKey)).toEqual(['first', 'openai']);
    expect(strongLanguageModel?.apiKey).toBe('openai');
  });

  it('never send a port’s own key to the address that all ports share', () => {
    const own = {
      LLM_API_KEY: 'own',
      LLM_BASE_URL: 'https://own.example/v1',
      OPENAI_BASE_URL: 'https://shared.example/v1',
      LLM_STRONG_MODEL: 'big',
      LLM_FALLBACK_MODEL: 'small',
    };
    const { languageModel, strongLanguageModel } = providerSettings(loadConfig(own));
    for (const member of [...languageModel, strongLanguageModel]) {
      expect(member).toMatchObject({ apiKey: 'own', baseUrl: 'https://own.example/v1' });
    }
  });

  it('give a stronger model of the same vendor the quick one’s key', () => {
    const strong = (more: object) =>
      providerSettings(loadConfig({ LLM_API_KEY: 'own', ...more })).strongLanguageModel;
    expect(strong({})).toBeNull();
    expect(strong({ LLM_STRONG_MODEL: 'big' })).toEqual({ vendor: 'openai', apiKey: 'own', model: 'big' });
    expect(strong({ LLM_STRONG_PROVIDER: 'anthropic', ANTHROPIC_API_KEY: 'theirs' })).toEqual({
      vendor: 'anthropic',
      apiKey: 'theirs',
    });
  });

  it.each([
    [{ STT_PROVIDER: 'deepgram' }, ['DEEPGRAM_API_KEY', 'OPENAI_API_KEY']],
    [
      { LLM_PROVIDER: 'bedrock', OPENAI_API_KEY: 'k' },
      ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
    ],
    [{ LLM_PROVIDER: 'bedrock', OPENAI_API_KEY: 'k', AWS_REGION: 'r', AWS_BEARER_TOKEN_BEDROCK: 't' }, []],
    [
      { STT_PROVIDER: 'workers-ai', LLM_PROVIDER: 'workers-ai', TTS_PROVIDER: 'workers-ai' },
      ['the binding AI'],
    ],
    [{ TTS_PROVIDER: 'elevenlabs', OPENAI_API_KEY: 'k' }, ['ELEVENLABS_API_KEY']],
    [{ OPENAI_API_KEY: 'k', AGENT_HTTP_TOOLS: tools }, ['AGENT_HTTP_TOOL_SECRETS']],
    [{ S2S_PROVIDER: 'openai-live' }, ['OPENAI_API_KEY']],
    [{ S2S_PROVIDER: 'openai-live', ...ports }, ['S2S_API_KEY']],
    // What stands behind the first provider is needed on the day on which that one fails: it is too late to be told then.
    [{ OPENAI_API_KEY: 'k', STT_FALLBACK_PROVIDER: 'deepgram' }, ['DEEPGRAM_API_KEY']],
    [
      { OPENAI_API_KEY: 'k', STT_FALLBACK_PROVIDER: 'deepgram', TTS_FALLBACK_PROVIDER: 'deepgram' },
      ['DEEPGRAM_API_KEY'],
    ],
    [{ OPENAI_API_KEY: 'k', TTS_FALLBACK_PROVIDER: 'elevenlabs', TTS_FALLBACK_API_KEY: 'k' }, []],
    [{ OPENAI_API_KEY: 'k', LLM_FALLBACK_PROVIDER: 'bedrock', AWS_REGION: 'r' }, awsKeys],
    [{ OPENAI_API_KEY: 'k', LLM_FALLBACK_PROVIDER: 'workers-ai' }, ['the binding AI']],
    [{ OPENAI_API_KEY: 'k', LLM_STRONG_PROVIDER: 'anthropic' }, ['ANTHROPIC_API_KEY']],
    [{ OPENAI_API_KEY: 'k', LLM_FALLBACK_MODEL: 'm', LLM_STRONG_MODEL: 'm' }, []],
    [{ LLM_FALLBACK_MODEL: 'm' }, ['OPENAI_API_KEY']],
    [{ ...ports, LLM_FALLBACK_BASE_URL: 'https://other.example' }, ['LLM_FALLBACK_API_KEY']],
    [
      { ...ports, LLM_STRONG_BASE_URL: 'https://other.example', LLM_STRONG_MODEL: 'm' },
      ['LLM_STRONG_API_KEY'],
    ],
  ])('that %o lacks are named', (given, missing) => {
    const database = { SUPABASE_URL: 'https://x.supabase.co', SUPABASE_SERVICE_ROLE_KEY: 'k' };
    expect(missingSettings(loadConfig({ ...database, ...given }))).toEqual(missing);
  });

  it('of tools are refused where they are wrong, by name', () => {
    expect(loadConfig({}).AGENT_TOOLS).toEqual({ hangUp: false, pressDigits: false });
    expect(loadConfig({ AGENT_HTTP_TOOLS: tools }).AGENT_HTTP_TOOLS).toHaveLength(1);
    for (const [name, value] of [
      ['AGENT_TOOLS', '{"hangup":true}'],
      ['AGENT_TOOLS', '{"transfer":{"destinations":[{"to":"anybody"}]}}'],
      ['AGENT_HTTP_TOOLS', tools.replace('https', 'http')],
      ['AGENT_HTTP_TOOL_SECRETS', 'secret'],
      ['AGENT_VOICES', '{"German":"x"}'],
    ] as const) {
      expect(() => loadConfig({ [name]: value })).toThrow(name);
    }
  });

  it('make the default agent', async () => {
    const config = loadConfig({ AGENT_PROMPT: 'Be brief.', ENDPOINTING_MS: '600', TTS_VOICE: 'rms' });
    const agent = await agentFor(config, null);
    expect(agent).toMatchObject({ prompt: 'Be brief.', voice: 'rms', language: null, recording: true });
    expect(agent.endpointing.endMs).toBe(600);
  });

  it("give an agent's version another value with every change, so that ready audio of before is not used", async () => {
    const versions = await Promise.all(
      [{}, {}, { AGENT_PROMPT: 'Be brief.' }, { TTS_VOICE: 'rms' }].map(
        async (settings) => (await agentFor(loadConfig(settings), null)).version,
      ),
    );
    expect(versions[0]).toBe(versions[1]);
    expect(new Set(versions).size).toBe(3);
  });

  it('give a campaign an agent of its own, where they say so', async () => {
    const config = loadConfig({
      AGENT_PROMPT: 'Be brief.',
      AGENT_RECORDING_NOTICE: 'This call is recorded.',
      CAMPAIGNS: JSON.stringify({ quiet: { recording: false, greeting: '' }, german: { language: 'de' } }),
    });
    const agents = await Promise.all(
      [null, 'quiet', 'german', 'unknown', 'toString'].map((id) => agentFor(config, id)),
    );
    expect(agents.map(({ recording, language }) => [recording, language])).toEqual([
      [true, null],
      [false, null],
      [true, 'de'],
      [true, null],
      [true, null],
    ]);
    expect(agents.map(({ prompt }) => prompt)).toEqual(Array(5).fill('Be brief.'));
    expect(agents[1]!.greeting).toBe('');
    // Ready audio of one is not the other's.
    expect(new Set(agents.map(({ version }) => version)).size).toBe(3);
  });

  it("speak a campaign's calls with its own voice, whatever voices the default agent has", async () => {
    const config = loadConfig({
      AGENT_LANGUAGE: 'de',
      AGENT_VOICES: '{"de":"german"}',
      CAMPAIGNS: '{"own":{"voice":"mine"},"other":{"greeting":"Hallo."}}',
    });
    const [own, other] = await Promise.all(['own', 'other'].map((id) => agentFor(config, id)));
    expect([own!.voice, own!.voices]).toEqual(['mine', {}]);
    expect(other!.voices).toEqual({ de: 'german' });
  });

  it.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['a name that nothing has', '{"a":{"record":false}}'],
    ['a word for a flag', '{"a":{"recording":"no"}}'],
    ['too many', JSON.stringify(Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`c${i}`, {}])))],
  ])('name CAMPAIGNS where it is wrong: %s', (_, wrong) => {
    expect(() => loadConfig({ CAMPAIGNS: wrong })).toThrow(/CAMPAIGNS/);
  });

  it('declare questions with fixed answers, and name what is wrong with them', () => {
    const faq = [{ questions: ['When are you open?'], answer: 'From nine to five.' }];
    expect(loadConfig({ AGENT_FAQ: JSON.stringify(faq) }).AGENT_FAQ).toEqual(faq);
    expect(loadConfig({ AGENT_FAQ: '' }).AGENT_FAQ).toEqual([]);
    for (const wrong of ['{', '{}', '[{"questions":[],"answer":"x"}]', '[{"questions":["x"]}]']) {
      expect(() => loadConfig({ AGENT_FAQ: wrong })).toThrow(/AGENT_FAQ/);
    }
  });
});
