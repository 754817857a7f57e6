import {
  defaultModels,
  type LanguageModelVendor,
  type ProviderSettings,
  type SpeechToSpeechVendor,
  type SpeechToTextVendor,
  type TextToSpeechVendor,
  type VendorSettings,
} from '../../src/providers/registry.ts';

interface MemberOf<Port extends keyof typeof defaultModels, Vendor extends string> {
  port: Port;
  /** What it is asked for, e.g. `speech to text, fall-back`. */
  title: string;
  /** What the names of its settings begin with, its own first; those after it are asked where it has none. */
  prefixes: readonly string[];
  settings: VendorSettings<Vendor>;
  /** The one that will be asked for. */
  model: string;
}

/** One provider of one port's chain. */
export type Member =
  | MemberOf<'speechToText', SpeechToTextVendor>
  | MemberOf<'languageModel', LanguageModelVendor>
  | MemberOf<'textToSpeech', TextToSpeechVendor>
  | MemberOf<'speechToSpeech', SpeechToSpeechVendor>;

/** Every provider that a call may ask, in the order of the ports, the first of each chain first. */
export function membersOf(settings: ProviderSettings): Member[] {
  const { strongLanguageModel: strong, speechToSpeech } = settings;
  return [
    ...chain('speechToText', 'speech to text', 'STT', settings.speechToText),
    ...chain('languageModel', 'language model', 'LLM', settings.languageModel),
    ...(strong === null
      ? []
      : [
          member(
            'languageModel',
            'language model, strong',
            prefixes('LLM_STRONG', 'LLM', strong, settings.languageModel[0]),
            strong,
          ),
        ]),
    ...chain('textToSpeech', 'text to speech', 'TTS', settings.textToSpeech),
    ...(speechToSpeech === null
      ? []
      : [member('speechToSpeech', 'speech to speech', ['S2S'], speechToSpeech)]),
  ] as Member[];
}

function chain<Port extends keyof typeof defaultModels, Vendor extends string>(
  port: Port,
  title: string,
  prefix: string,
  [first, ...others]: readonly [VendorSettings<Vendor>, ...VendorSettings<Vendor>[]],
): MemberOf<Port, Vendor>[] {
  return [
    member(port, title, [prefix], first),
    ...others.map((other) =>
      member(port, `${title}, fall-back`, prefixes(`${prefix}_FALLBACK`, prefix, other, first), other),
    ),
  ];
}

/** What a further provider of the same vendor leaves out is as the first one's. */
function prefixes(
  own: string,
  first: string,
  settings: VendorSettings<string>,
  { vendor }: VendorSettings<string>,
): string[] {
  return settings.vendor === vendor ? [own, first] : [own];
}

function member<Port extends keyof typeof defaultModels, Vendor extends string>(
  port: Port,
  title: string,
  prefixes: readonly string[],
  settings: VendorSettings<Vendor>,
): MemberOf<Port, Vendor> {
  const models: Readonly<Record<string, string>> = defaultModels[port];
  return { port, title, prefixes, settings, model: settings.model ?? models[settings.vendor] ?? '' };
}

/** Names of the settings that hold what a provider is told. Of each, the first that is set counts. */
export interface SettingNames {
  keys: readonly string[];
  addresses: readonly string[];
  models: readonly string[];
  voices: readonly string[];
}

/** In the order in which `src/provider-settings.ts` asks them. */
export function settingNames({ port, prefixes, settings: { vendor } }: Member): SettingNames {
  const own = (suffix: string) => prefixes.map((prefix) => `${prefix}_${suffix}`);
  const shared = sharedPrefix(vendor);
  return {
    keys:
      vendor === 'bedrock'
        ? ['AWS_BEARER_TOKEN_BEDROCK', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']
        : [...own('API_KEY'), `${shared}_API_KEY`],
    addresses: [...own('BASE_URL'), `${shared}_BASE_URL`],
    models: own('MODEL'),
    voices:
      port === 'textToSpeech'
        ? [...own('VOICE'), 'TTS_VOICE']
        : port === 'speechToSpeech'
          ? ['S2S_VOICE', 'TTS_VOICE']
          : [],
  };
}

/** `OPENAI` for every API of OpenAI's. */
function sharedPrefix(vendor: string): string {
  return (vendor.startsWith('openai') ? 'openai' : vendor).toUpperCase();
}
