import { z } from 'zod';
import { loopbackNames } from '../auth/loopback.ts';
import { type ProviderConfig, providerSettings } from '../provider-settings.ts';
import { defaultModels, type ProviderSettings, type VendorSettings } from '../providers/registry.ts';
import { type PriceList, type PricePerMillion, pricedUnits } from './price.ts';
import { prices } from './prices.ts';

const dollars = z.number().min(0).max(100_000);

/**
 * The operator's own prices, by provider and model as `call_logs.usage` names them; a name that ends in `*` stands for all that begin so.
 * `list`: the vendor's list price, though the model is reached by another address than the vendor's (a gateway).
 */
export const ownPricesSchema = z
  .record(
    z.string().min(3).max(200),
    z.literal('list').or(
      z
        .strictObject({
          /** Dollars a minute of audio, or of a session. */
          perMinute: z.number().min(0).max(1_000),
          /** Dollars a million characters, or tokens of each kind. */
          ...(Object.fromEntries(pricedUnits.map((unit) => [unit, dollars])) as Record<
            (typeof pricedUnits)[number],
            typeof dollars
          >),
        })
        .partial()
        .refine((price) => Object.keys(price).length > 0, 'a price without a figure'),
    ),
  )
  .refine((own) => Object.keys(own).length <= 200, 'at most 200 prices');
export type OwnPrices = z.output<typeof ownPricesSchema>;

const free: PricePerMillion = { seconds: 0, characters: 0, input: 0, output: 0 };

/** Where each vendor is reached by itself; the list prices hold nowhere else. */
const vendorDomains: Record<string, string> = {
  openai: 'openai.com',
  deepgram: 'deepgram.com',
  elevenlabs: 'elevenlabs.io',
  anthropic: 'anthropic.com',
  bedrock: 'amazonaws.com',
};

/**
 * What providers charge here: the operator's own prices before the vendors'. A model at another address than its vendor's costs what the
 * operator says, and otherwise nobody knows what; nothing on this machine.
 */
export function priceList(own: OwnPrices, settings: ProviderSettings): PriceList {
  const elsewhere = new Map(otherAddresses(settings));
  return (provider) => {
    const set = find(own, provider);
    if (set !== null && set !== 'list') return perMillion(set);
    if (set === null) {
      for (const [name, price] of elsewhere) if (matches(name, provider)) return price;
    }
    return find(prices, provider)?.perMillion ?? null;
  };
}

const lists = new WeakMap<object, PriceList>();

/** The same from the settings, made once for each. */
export function configuredPrices(config: ProviderConfig & { PRICES: OwnPrices }): PriceList {
  let list = lists.get(config);
  if (list === undefined) {
    list = priceList(config.PRICES, providerSettings(config));
    lists.set(config, list);
  }
  return list;
}

/** The exact name, or the longest beginning. */
function find<T>(table: Readonly<Record<string, T>>, provider: string): T | null {
  if (Object.hasOwn(table, provider)) return table[provider]!;
  let best: string | null = null;
  for (const name of Object.keys(table)) {
    if (name.endsWith('*') && matches(name, provider) && name.length > (best?.length ?? 0)) best = name;
  }
  return best === null ? null : table[best]!;
}

function matches(name: string, provider: string): boolean {
  return name.endsWith('*') ? provider.startsWith(name.slice(0, -1)) : name === provider;
}

function perMillion({ perMinute, ...price }: Exclude<OwnPrices[string], 'list'>): PricePerMillion {
  return { ...(perMinute === undefined ? {} : { seconds: (perMinute / 60) * 1_000_000 }), ...price };
}

function* otherAddresses(settings: ProviderSettings): Generator<[string, PricePerMillion | null]> {
  const { speechToText, languageModel, strongLanguageModel, textToSpeech, speechToSpeech } = settings;
  const strong = strongLanguageModel === null ? [] : [strongLanguageModel];
  const spoken = speechToSpeech === null ? [] : [speechToSpeech];
  const ports = {
    speechToText,
    languageModel: [...languageModel, ...strong],
    textToSpeech,
    speechToSpeech: spoken,
  };
  for (const [port, members] of Object.entries(ports)) {
    for (const member of members) yield* otherAddress(port as keyof typeof defaultModels, member);
  }
}

function* otherAddress(
  port: keyof typeof defaultModels,
  { vendor, baseUrl, model }: VendorSettings<string>,
): Generator<[string, PricePerMillion | null]> {
  if (baseUrl === undefined) return;
  // Of OpenAI's three ways of talking, all have its name.
  const name = vendor.startsWith('openai') ? 'openai' : vendor;
  const { hostname } = new URL(baseUrl);
  const domain = vendorDomains[name];
  if (domain !== undefined && (hostname === domain || hostname.endsWith(`.${domain}`))) return;
  const models: Record<string, string> = defaultModels[port];
  // Deepgram's voices are its models, and the agent's.
  const called = name === 'deepgram' && port === 'textToSpeech' ? '*' : (model ?? models[vendor] ?? '*');
  yield [`${name}/${called}`, loopbackNames.includes(hostname) ? free : null];
}
