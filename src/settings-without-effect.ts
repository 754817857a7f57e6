import { type Config, isSettingName, loadConfig } from './config.ts';
import { type ConfiguredProvider, configuredProviders } from './provider-keys.ts';
import { type Prefix, sharedSettings } from './provider-settings.ts';
import { defaultModels, type VendorSettings } from './providers/registry.ts';
import { voiceFor } from './providers/voices.ts';
import { emptyIsUnset } from './settings.ts';

/** A setting that was given and does nothing beside the others: somebody expects something of it. */
export interface SettingWithoutEffect {
  setting: string;
  because: string;
}

/**
 * The settings in `env` that do nothing. They stop no start and no call; whoever has set them is to know.
 *
 * @throws {ConfigError} as `loadConfig` does.
 */
export function settingsWithoutEffect(env: object): SettingWithoutEffect[] {
  const config = loadConfig(env);
  const given = env as Readonly<Record<string, unknown>>;
  const isSet = (name: string) => (emptyIsUnset(given[name]) ?? null) !== null;
  const providers = configuredProviders(config);
  const found = [
    ...ofProviders(config, providers),
    ...ofVendors(config, providers),
    ...ofStrongModel(config, providers),
    ...ofSpeech(config, providers),
    ...ofCalls(config),
    ...ofAuth(config),
    ...unknown(given),
  ];
  const reasons = new Map<string, string>();
  for (const { settings, because } of found) {
    // The first reason is the one nearest to the setting.
    for (const setting of settings.filter(isSet)) {
      if (!reasons.has(setting)) reasons.set(setting, because);
    }
  }
  return [...reasons].map(([setting, because]) => ({ setting, because }));
}

/** Those of `settings` that were given do nothing. */
interface Finding {
  settings: readonly string[];
  because: string;
}

/** What each place for a provider needs before its other settings mean anything. */
const needed: Record<Prefix, readonly string[]> = {
  STT: [],
  LLM: [],
  TTS: [],
  STT_FALLBACK: ['PROVIDER', 'MODEL', 'BASE_URL'],
  LLM_FALLBACK: ['PROVIDER', 'MODEL', 'BASE_URL'],
  TTS_FALLBACK: ['PROVIDER', 'MODEL', 'BASE_URL'],
  LLM_STRONG: ['PROVIDER', 'MODEL'],
  S2S: ['PROVIDER'],
};
const suffixes = ['PROVIDER', 'MODEL', 'API_KEY', 'BASE_URL', 'VOICE', 'VOICES'];

function ofProviders(config: Config, providers: readonly ConfiguredProvider[]): Finding[] {
  return (Object.keys(needed) as Prefix[]).flatMap((prefix): Finding[] => {
    const named = (names: readonly string[]) => names.map((suffix) => `${prefix}_${suffix}`);
    const provider = providers.find((each) => each.prefix === prefix);
    if (provider === undefined) {
      return [{ settings: named(suffixes), because: `${named(needed[prefix]).join(' or ')} is not set` }];
    }
    const { settings, first } = provider;
    if (first !== null && isSame(prefix, settings, first, config.TTS_VOICE)) {
      return [{ settings: named(suffixes), because: 'it is the provider that is asked before it' }];
    }
    switch (settings.vendor) {
      case 'workers-ai':
        return [{ settings: named(['API_KEY', 'BASE_URL']), because: 'Workers AI is a binding' }];
      case 'bedrock':
        return [{ settings: named(['API_KEY']), because: "Bedrock's keys are those of AWS_…" }];
      case 'deepgram':
        if (!prefix.startsWith('TTS')) return [];
        return [{ settings: named(['MODEL']), because: 'at Deepgram the voice is the model' }];
      default:
        return [];
    }
  });
}

const defaultsOf = {
  STT: defaultModels.speechToText,
  LLM: defaultModels.languageModel,
  TTS: defaultModels.textToSpeech,
  S2S: defaultModels.speechToSpeech,
};

/** Whether the same would be asked of the same server. */
function isSame(
  prefix: Prefix,
  a: VendorSettings<string>,
  b: VendorSettings<string>,
  voice: string,
): boolean {
  const defaults: Record<string, string> = defaultsOf[prefix.split('_')[0] as keyof typeof defaultsOf];
  const told = (settings: VendorSettings<string>) => {
    const { vendor, apiKey, model = defaults[vendor], baseUrl = null } = settings;
    return JSON.stringify([vendor, apiKey, model, baseUrl, settings.voice ?? voice, settings.voices ?? {}]);
  };
  return told(a) === told(b);
}

/** What all ports of a vendor share, where none of them is asked, or each has its own. */
function ofVendors(config: Config, providers: readonly ConfiguredProvider[]): Finding[] {
  const shared = Object.groupBy(Object.entries(sharedSettings), ([, [key]]) => key);
  const findings = Object.values(shared).flatMap((entries = []): Finding[] => {
    const [key, address] = entries[0]![1];
    const vendors = entries.map(([vendor]) => vendor);
    const asked = providers.filter(({ settings }) => vendors.includes(settings.vendor));
    if (asked.length === 0) {
      return [{ settings: [key, address], because: `no provider is ${vendors.join(' or ')}` }];
    }
    const because = 'every provider that could use it has its own';
    return [
      ...(asked.some(({ settings }) => settings.apiKey === config[key])
        ? []
        : [{ settings: [key], because }]),
      ...(asked.some(({ settings }) => settings.baseUrl === config[address])
        ? []
        : [{ settings: [address], because }]),
    ];
  });
  const keys = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];
  if (!providers.some(({ settings }) => settings.vendor === 'bedrock')) {
    const settings = ['AWS_REGION', ...keys, 'AWS_BEARER_TOKEN_BEDROCK', 'BEDROCK_BASE_URL'];
    findings.push({ settings, because: 'no provider is bedrock' });
  } else if (config.AWS_BEARER_TOKEN_BEDROCK !== undefined) {
    findings.push({ settings: keys, because: 'AWS_BEARER_TOKEN_BEDROCK goes before it' });
  }
  return findings;
}

/** A rule and a model that need each other. */
function ofStrongModel(config: Config, providers: readonly ConfiguredProvider[]): Finding[] {
  const strong = providers.some(({ prefix }) => prefix === 'LLM_STRONG');
  const rule = config.AGENT_STRONG_PHRASES.length > 0 || config.AGENT_STRONG_FROM_WORDS > 0;
  if (strong === rule) return [];
  return rule
    ? [
        {
          settings: ['AGENT_STRONG_PHRASES', 'AGENT_STRONG_FROM_WORDS'],
          because: 'there is no stronger model: LLM_STRONG_MODEL or LLM_STRONG_PROVIDER is not set',
        },
      ]
    : [
        {
          settings: suffixes.map((suffix) => `LLM_STRONG_${suffix}`),
          because:
            'nothing says when the stronger model answers: AGENT_STRONG_PHRASES and AGENT_STRONG_FROM_WORDS are not set',
        },
      ];
}

/** Transcribers that are sent files. */
const takesFiles = ['openai', 'workers-ai'];

function ofSpeech(config: Config, providers: readonly ConfiguredProvider[]): Finding[] {
  const findings: Finding[] = [];
  const at = (...prefixes: Prefix[]) => providers.filter(({ prefix }) => prefixes.includes(prefix));
  const alone = (port: 'STT' | 'LLM' | 'TTS') =>
    at(port, `${port}_FALLBACK`).length + (port === 'LLM' ? at('LLM_STRONG').length : 0) === 1;
  for (const port of ['STT', 'LLM', 'TTS'] as const) {
    if (alone(port)) {
      findings.push({ settings: [`${port}_DEADLINE_MS`], because: 'there is no other provider to be asked' });
    }
  }
  const ears = at('STT', 'STT_FALLBACK').map(({ settings }) => settings.vendor);
  if (!ears.some((vendor) => takesFiles.includes(vendor))) {
    const because = 'speech is streamed to this provider as it is spoken';
    findings.push({ settings: ['AUDIO_BUFFER_MS', 'STT_RUN_AHEAD'], because });
  }
  const ofCampaigns = Object.values(config.CAMPAIGNS).flatMap(({ language }) => language ?? []);
  if (config.AGENT_LANGUAGE === undefined) {
    const tells = at('STT', 'STT_FALLBACK', 'S2S').some(({ settings }) => tellsLanguage(settings));
    if (!tells && ofCampaigns.length === 0) {
      const because =
        'AGENT_LANGUAGE is not set, and this transcriber does not tell the language that it hears';
      findings.push({ settings: ['AGENT_VOICES', 'TTS_FALLBACK_VOICES'], because });
    }
    return findings;
  }
  const languages = [...new Set([config.AGENT_LANGUAGE, ...ofCampaigns])];
  for (const [voices, voice] of [
    ['AGENT_VOICES', 'TTS_VOICE'],
    ['TTS_FALLBACK_VOICES', 'TTS_FALLBACK_VOICE'],
  ] as const) {
    const spoken = languages.filter((language) => voiceFor(config[voices], language, '') !== '');
    if (spoken.length === languages.length) {
      findings.push({ settings: [voice], because: `${voices} has one for ${languages.join(' and ')}` });
    } else if (spoken.length === 0) {
      findings.push({ settings: [voices], because: `none of them is for ${languages.join(' or ')}` });
    }
  }
  return findings;
}

/** Whether a transcriber, or a model that hears, tells which language it hears. */
function tellsLanguage({ vendor, model }: VendorSettings<string>): boolean {
  if (vendor !== 'openai') return vendor === 'openai-realtime' || vendor === 'deepgram';
  return (model ?? defaultModels.speechToText.openai).startsWith('gpt-transcribe');
}

function ofCalls(config: Config): Finding[] {
  const findings: Finding[] = [];
  const campaigns = Object.values(config.CAMPAIGNS);
  const greets = config.AGENT_GREETING !== '' || campaigns.some(({ greeting = '' }) => greeting !== '');
  const records = config.RECORDING || campaigns.some(({ recording }) => recording === true);
  const unless = (useful: boolean, setting: string, because: string) => {
    if (!useful) findings.push({ settings: [setting], because });
  };
  unless(config.AGENT_HTTP_TOOLS.length > 0, 'AGENT_HTTP_TOOL_SECRETS', 'AGENT_HTTP_TOOLS is not set');
  unless(
    config.STORED_PHONE_NUMBERS === 'hashed',
    'PERSONAL_DATA_KEY',
    'STORED_PHONE_NUMBERS is not hashed: numbers are stored as they came, or masked',
  );
  unless(greets, 'AGENT_GREETING_INTERRUPTIBLE', 'AGENT_GREETING is empty');
  unless(config.AGENT_HOLD_LINE !== '', 'HOLD_LINE_MS', 'AGENT_HOLD_LINE is empty');
  unless(records, 'SPOOL_INTERVAL', 'RECORDING is off');
  for (const setting of ['ALERT_SOURCE', 'ALERT_REPEAT']) {
    unless(config.ALERT_WEBHOOKS.length > 0, setting, 'ALERT_WEBHOOKS is not set: nobody is told of alerts');
  }
  unless(config.MAX_CONCURRENT_CALLS > 0, 'PERMIT_SHARDS', 'MAX_CONCURRENT_CALLS is 0');
  return findings;
}

/** Where nobody has to prove anything. */
function ofAuth({ AUTH }: Config): Finding[] {
  if (AUTH !== 'none') return [];
  const settings = [
    'NODES',
    'SERVICE_TOKENS',
    'METRICS_TOKENS',
    'SUPABASE_JWT_SECRET',
    'SUPABASE_JWT_ISSUER',
  ];
  return [{ settings, because: 'AUTH is none: everybody on this machine may do everything' }];
}

/** Names that look like settings: mistyped, or of another version. */
function unknown(given: Readonly<Record<string, unknown>>): Finding[] {
  return Object.keys(given)
    .filter((name) => /^(?:AGENT|STT|LLM|TTS|S2S)_/.test(name) && !isSettingName(name))
    .map((name) => ({ settings: [name], because: 'there is no setting of this name' }));
}
