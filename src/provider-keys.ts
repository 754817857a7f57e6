import { type Prefix, type ProviderConfig, providerSettings, sharedSettings } from './provider-settings.ts';
import type { VendorSettings } from './providers/registry.ts';

/** One provider that a call may ask: what the names of its own settings begin with, and what it is told. */
export interface ConfiguredProvider {
  prefix: Prefix;
  settings: VendorSettings<string>;
  /** The provider of its port that is asked before it; null: none is. */
  first: VendorSettings<string> | null;
}

/** Every provider that a call may ask: the first of each port, the one behind it, the stronger model, the model that speaks. */
export function configuredProviders(config: ProviderConfig): ConfiguredProvider[] {
  const settings = providerSettings(config);
  const { speechToText, languageModel, strongLanguageModel: strong, textToSpeech, speechToSpeech } = settings;
  const chains = [
    ['STT', speechToText],
    ['LLM', languageModel],
    ['TTS', textToSpeech],
  ] as const;
  const members = chains.flatMap(([prefix, [first, fallback]]): ConfiguredProvider[] => [
    { prefix, settings: first, first: null },
    ...(fallback === undefined ? [] : [{ prefix: `${prefix}_FALLBACK` as const, settings: fallback, first }]),
  ]);
  if (strong !== null) members.push({ prefix: 'LLM_STRONG', settings: strong, first: languageModel[0] });
  if (speechToSpeech !== null) members.push({ prefix: 'S2S', settings: speechToSpeech, first: null });
  return members;
}

/** Names of the settings without which a provider of some port cannot be asked, be it the first one or one that stands behind it. */
export function missingKeys(config: ProviderConfig): string[] {
  return [...new Set(configuredProviders(config).flatMap((provider) => missingKeysOf(config, provider)))];
}

/** Names of the settings without which this provider cannot be asked. */
export function missingKeysOf(
  config: ProviderConfig,
  { prefix, settings, first }: ConfiguredProvider,
): string[] {
  const { vendor, apiKey, baseUrl } = settings;
  if (vendor === 'workers-ai') return [];
  if (vendor === 'bedrock') return missingAws(config);
  if (apiKey !== '') return [];
  const [shared] = sharedSettings[vendor as keyof typeof sharedSettings];
  if (first !== null) {
    if (first.vendor !== vendor) return [shared];
    // A key goes to the address that it was given for: at another address the first one's does not help.
    if (first.baseUrl !== baseUrl) return [`${prefix}_API_KEY`];
  }
  // One key serves all ports of a vendor: name that one, unless a port has been given its own.
  const port = prefix.split('_')[0] as 'STT' | 'LLM' | 'TTS' | 'S2S';
  const others = (['STT', 'LLM', 'TTS', 'S2S'] as const).some(
    (other) => config[`${other}_API_KEY`] !== undefined,
  );
  return [others ? `${port}_API_KEY` : shared];
}

/** Whether any provider needs the Worker's binding to Workers AI. */
export function needsWorkersAi(config: ProviderConfig): boolean {
  return configuredProviders(config).some(({ settings }) => settings.vendor === 'workers-ai');
}

function missingAws(config: ProviderConfig): string[] {
  const region = config.AWS_REGION === undefined ? ['AWS_REGION'] : [];
  if (config.AWS_BEARER_TOKEN_BEDROCK !== undefined) return region;
  const pair = (['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] as const).filter(
    (name) => config[name] === undefined,
  );
  return [...region, ...pair];
}
