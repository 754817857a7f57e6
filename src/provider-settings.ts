import { z } from 'zod';
import {
  type LanguageModelVendor,
  languageModelVendors,
  type ProviderSettings,
  type SpeechToSpeechVendor,
  type SpeechToTextVendor,
  speechToSpeechVendors,
  speechToTextVendors,
  type TextToSpeechVendor,
  textToSpeechVendors,
  type VendorSettings,
} from './providers/registry.ts';
import { voicesSchema } from './providers/voices.ts';
import { emptyIsUnset, flag, json, optionalText, optionalWhole, text, url, whole } from './settings.ts';

const vendor = <T extends readonly [string, ...string[]]>(vendors: T) =>
  z.preprocess(emptyIsUnset, z.enum(vendors).optional());

/** Settings of the providers, by name. A port's own go before its vendor's, which all ports share. */
export const providerSchema = {
  OPENAI_API_KEY: optionalText,
  OPENAI_BASE_URL: url,
  DEEPGRAM_API_KEY: optionalText,
  DEEPGRAM_BASE_URL: url,
  ELEVENLABS_API_KEY: optionalText,
  ELEVENLABS_BASE_URL: url,
  ANTHROPIC_API_KEY: optionalText,
  ANTHROPIC_BASE_URL: url,
  /** Bedrock: a region, and either a pair of keys (with a session's token), or a Bedrock API key. */
  AWS_REGION: optionalText,
  AWS_ACCESS_KEY_ID: optionalText,
  AWS_SECRET_ACCESS_KEY: optionalText,
  AWS_SESSION_TOKEN: optionalText,
  AWS_BEARER_TOKEN_BEDROCK: optionalText,
  BEDROCK_BASE_URL: url,

  STT_PROVIDER: vendor(speechToTextVendors),
  STT_MODEL: optionalText,
  STT_API_KEY: optionalText,
  STT_BASE_URL: url,
  LLM_PROVIDER: vendor(languageModelVendors),
  LLM_MODEL: optionalText,
  LLM_API_KEY: optionalText,
  LLM_BASE_URL: url,
  TTS_PROVIDER: vendor(textToSpeechVendors),
  TTS_MODEL: optionalText,
  TTS_VOICE: text('alloy'),
  TTS_API_KEY: optionalText,
  TTS_BASE_URL: url,

  // How long a provider's first answer is waited for while another one of its port could be asked. Default: `firstAnswerMs`.
  STT_DEADLINE_MS: optionalWhole(200, 60_000),
  LLM_DEADLINE_MS: optionalWhole(200, 60_000),
  TTS_DEADLINE_MS: optionalWhole(200, 60_000),

  // Asked where a port's first provider has failed; a port without its vendor, model or address has none.
  STT_FALLBACK_PROVIDER: vendor(speechToTextVendors),
  STT_FALLBACK_MODEL: optionalText,
  STT_FALLBACK_API_KEY: optionalText,
  STT_FALLBACK_BASE_URL: url,
  LLM_FALLBACK_PROVIDER: vendor(languageModelVendors),
  LLM_FALLBACK_MODEL: optionalText,
  LLM_FALLBACK_API_KEY: optionalText,
  LLM_FALLBACK_BASE_URL: url,
  TTS_FALLBACK_PROVIDER: vendor(textToSpeechVendors),
  TTS_FALLBACK_MODEL: optionalText,
  TTS_FALLBACK_VOICE: optionalText,
  /** As `AGENT_VOICES`, which are the first provider's. */
  TTS_FALLBACK_VOICES: z.preprocess(json, voicesSchema.default({})),
  TTS_FALLBACK_API_KEY: optionalText,
  TTS_FALLBACK_BASE_URL: url,

  // A stronger model for the turns that `AGENT_STRONG_PHRASES` and `AGENT_STRONG_FROM_WORDS` name.
  LLM_STRONG_PROVIDER: vendor(languageModelVendors),
  LLM_STRONG_MODEL: optionalText,
  LLM_STRONG_API_KEY: optionalText,
  LLM_STRONG_BASE_URL: url,

  // One model that hears, thinks and speaks; the three ports stand behind it.
  S2S_PROVIDER: vendor(speechToSpeechVendors),
  S2S_MODEL: optionalText,
  /** Default: see `spokenOf`. */
  S2S_VOICE: optionalText,
  S2S_API_KEY: optionalText,
  S2S_BASE_URL: url,

  /** Speech longer than this is transcribed while the caller still talks. */
  AUDIO_BUFFER_MS: whole(2_000, 500, 30_000),
  /** Whether speech is transcribed at each pause, before it is known that the turn is over: faster, at more requests. */
  STT_RUN_AHEAD: flag(true),
};

const providerObject = z.object(providerSchema);
export type ProviderConfig = z.output<typeof providerObject>;

type Port = 'STT' | 'LLM' | 'TTS' | 'S2S';
export type Prefix = Port | `${'STT' | 'LLM' | 'TTS'}_FALLBACK` | 'LLM_STRONG';

/** Which of the shared settings a vendor has its key and address from. */
export const sharedSettings = {
  openai: ['OPENAI_API_KEY', 'OPENAI_BASE_URL'],
  'openai-realtime': ['OPENAI_API_KEY', 'OPENAI_BASE_URL'],
  'openai-live': ['OPENAI_API_KEY', 'OPENAI_BASE_URL'],
  deepgram: ['DEEPGRAM_API_KEY', 'DEEPGRAM_BASE_URL'],
  elevenlabs: ['ELEVENLABS_API_KEY', 'ELEVENLABS_BASE_URL'],
  anthropic: ['ANTHROPIC_API_KEY', 'ANTHROPIC_BASE_URL'],
} as const;

function memberOf<V extends string>(config: ProviderConfig, prefix: Prefix, vendor: V): VendorSettings<V> {
  const [key, address] =
    vendor in sharedSettings ? sharedSettings[vendor as keyof typeof sharedSettings] : [null, null];
  const ownAddress = vendor === 'bedrock' ? config.BEDROCK_BASE_URL : undefined;
  const apiKey = config[`${prefix}_API_KEY`] ?? (key === null ? undefined : config[key]);
  const baseUrl = config[`${prefix}_BASE_URL`] ?? (address === null ? ownAddress : config[address]);
  const model = config[`${prefix}_MODEL`];
  return {
    vendor,
    apiKey: apiKey ?? '',
    ...(baseUrl === undefined ? {} : { baseUrl }),
    ...(model === undefined ? {} : { model }),
    ...(vendor === 'bedrock' ? { aws: awsOf(config) } : {}),
  };
}

function awsOf(config: ProviderConfig): NonNullable<VendorSettings<string>['aws']> {
  const { AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = config;
  return {
    region: AWS_REGION ?? '',
    credentials:
      config.AWS_BEARER_TOKEN_BEDROCK === undefined
        ? {
            accessKeyId: AWS_ACCESS_KEY_ID ?? '',
            secretAccessKey: AWS_SECRET_ACCESS_KEY ?? '',
            ...(AWS_SESSION_TOKEN === undefined ? {} : { sessionToken: AWS_SESSION_TOKEN }),
          }
        : { apiKey: config.AWS_BEARER_TOKEN_BEDROCK },
  };
}

/** The first provider of a port, and the one behind it; what a fall-back of the same vendor leaves out is as the first one's. */
function chainOf<V extends string>(
  config: ProviderConfig,
  port: 'STT' | 'LLM' | 'TTS',
  first: V,
  second: V | undefined,
): [VendorSettings<V>, ...VendorSettings<V>[]] {
  const primary = memberOf(config, port, first);
  const model = config[`${port}_FALLBACK_MODEL`];
  const baseUrl = config[`${port}_FALLBACK_BASE_URL`];
  if (second === undefined && model === undefined && baseUrl === undefined) return [primary];
  const fallback = memberOf(config, `${port}_FALLBACK`, second ?? first);
  if (second !== undefined && second !== first) return [primary, fallback];
  const address = baseUrl ?? primary.baseUrl;
  // A key goes to the address that it was given for, and to no other.
  const inherited = address === primary.baseUrl ? primary.apiKey : fallback.apiKey;
  const apiKey = config[`${port}_FALLBACK_API_KEY`] ?? inherited;
  return [
    primary,
    {
      ...primary,
      ...fallback,
      apiKey,
      ...(address === undefined ? {} : { baseUrl: address }),
    },
  ];
}

/** The vendor of each port. A model that speaks has its fixed lines spoken by its own vendor. */
function vendorsOf(config: ProviderConfig) {
  return {
    speechToText: config.STT_PROVIDER ?? ('openai' as const),
    languageModel: config.LLM_PROVIDER ?? ('openai' as const),
    textToSpeech: config.TTS_PROVIDER ?? (config.S2S_PROVIDER === undefined ? 'openai' : 'openai-realtime'),
  } satisfies Record<string, SpeechToTextVendor | LanguageModelVendor | TextToSpeechVendor>;
}

/** What each port's vendors are told. */
export function providerSettings(config: ProviderConfig): ProviderSettings {
  const vendors = vendorsOf(config);
  const [voice, ...voices] = chainOf(config, 'TTS', vendors.textToSpeech, config.TTS_FALLBACK_PROVIDER);
  const ownVoice = config.TTS_FALLBACK_VOICE;
  const ownVoices = config.TTS_FALLBACK_VOICES;
  const strong =
    config.LLM_STRONG_PROVIDER ?? (config.LLM_STRONG_MODEL === undefined ? undefined : vendors.languageModel);
  return {
    speechToText: chainOf(config, 'STT', vendors.speechToText, config.STT_FALLBACK_PROVIDER),
    windows: { bufferMs: config.AUDIO_BUFFER_MS, runAhead: config.STT_RUN_AHEAD },
    languageModel: chainOf(config, 'LLM', vendors.languageModel, config.LLM_FALLBACK_PROVIDER),
    strongLanguageModel: strong === undefined ? null : strongOf(config, strong, vendors.languageModel),
    textToSpeech: [
      voice,
      ...voices.map((fallback) => ({
        ...fallback,
        ...(ownVoice === undefined ? {} : { voice: ownVoice }),
        ...(Object.keys(ownVoices).length === 0 ? {} : { voices: ownVoices }),
      })),
    ],
    speechToSpeech: spokenOf(config, vendors.textToSpeech),
    firstAnswerMs: {
      speechToText: config.STT_DEADLINE_MS,
      languageModel: config.LLM_DEADLINE_MS,
      textToSpeech: config.TTS_DEADLINE_MS,
    },
  };
}

/** The default of OpenAI's Live API, and a voice of its Realtime API as well (types of the `openai` package 7.55). */
const openAiVoice = 'marin';

/** A model that speaks has the voices of text-to-speech, also those for languages, where these are of its vendor. */
function spokenOf(
  config: ProviderConfig,
  voices: TextToSpeechVendor,
): VendorSettings<SpeechToSpeechVendor> | null {
  if (config.S2S_PROVIDER === undefined) return null;
  const shared = voices === 'openai' || voices === 'openai-realtime';
  const voice = config.S2S_VOICE ?? (shared ? undefined : openAiVoice);
  return {
    ...memberOf(config, 'S2S', config.S2S_PROVIDER),
    ...(voice === undefined ? {} : { voice }),
  };
}

/** What a stronger model of the same vendor leaves out is as the quick one's. */
function strongOf(
  config: ProviderConfig,
  vendor: LanguageModelVendor,
  quick: LanguageModelVendor,
): VendorSettings<LanguageModelVendor> {
  const own = memberOf(config, 'LLM_STRONG', vendor);
  if (vendor !== quick) return own;
  const first = memberOf(config, 'LLM', quick);
  const baseUrl = config.LLM_STRONG_BASE_URL ?? first.baseUrl;
  return {
    ...first,
    ...own,
    apiKey: config.LLM_STRONG_API_KEY ?? (baseUrl === first.baseUrl ? first.apiKey : own.apiKey),
    ...(baseUrl === undefined ? {} : { baseUrl }),
  };
}
