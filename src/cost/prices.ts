import type { PricePerMillion } from './price.ts';

/**
 * How a price was come by. `published`: on the vendor's own page, as `source` had it on `read`. `quoted`: on a page of somebody else who
 * quotes the vendor; the vendor's own could not be read. `derived`: from a published one, by what `note` says. `unverified`: no page shows
 * it; `note` says what is assumed. Whoever has a contract has other prices: the setting `PRICES`.
 */
export type PriceStanding = 'published' | 'quoted' | 'derived' | 'unverified';

export interface Price {
  currency: 'USD';
  perMillion: PricePerMillion;
  standing: PriceStanding;
  source: string;
  /** The day on which it was read there. */
  read: string;
  note?: string;
}

const READ = '2026-11-21';
const openAi = (model: string) => `https://developers.openai.com/api/docs/models/${model}`;
const perMinute = (usd: number): PricePerMillion => ({ seconds: (usd / 60) * 1_000_000 });
const perThousandCharacters = (usd: number): PricePerMillion => ({ characters: usd * 1_000 });

function published(source: string, perMillion: PricePerMillion, note?: string): Price {
  return priced('published', source, perMillion, note);
}

function quoted(source: string, perMillion: PricePerMillion, note?: string): Price {
  return priced('quoted', source, perMillion, note);
}

function priced(
  standing: PriceStanding,
  source: string,
  perMillion: PricePerMillion,
  note: string | undefined,
): Price {
  return {
    currency: 'USD',
    perMillion,
    standing,
    source,
    read: READ,
    ...(note === undefined ? {} : { note }),
  };
}

const CLAUDE = 'https://platform.claude.com/docs/en/about-claude/pricing';
const haiku = { input: 0.1, cachedInput: 0.01, cacheWrite: 0.125, output: 0.5 };
const sonnet = { input: 2, cachedInput: 0.1, cacheWrite: 2.5, output: 10 };
const opus = { input: 4, cachedInput: 0.2, cacheWrite: 5, output: 20 };
const HAIKU_NOTE = 'Prompts up to 100,000 tokens; longer ones cost five times as much.';
const CLAUDE_QUOTE = 'https://github.com/TheKrush/PromptFuel/releases';

const DEEPGRAM_QUOTE =
  'https://raw.githubusercontent.com/api-evangelist/deepgram/refs/heads/main/plans/deepgram-plans-pricing.yml';
const AURA_NOTE = 'Pay as you go. One price for all voices of Aura 2.';

const WORKERS_AI = 'https://developers.cloudflare.com/workers-ai/platform/pricing/';
const WORKERS_AI_NOTE = 'After 10,000 neurons a day that are free.';

/**
 * What vendors charge, in dollars a million units, by provider and model as `Usage.provider` names them. A name that ends in `*` stands
 * for all that begin so. Prices of batch and priority processing, of regions and of long prompts (beyond 100,000 tokens, which no telephone
 * call has) are left out.
 */
export const prices: Readonly<Record<string, Price>> = {
  // Language models.
  'openai/gpt-6-luna': published(openAi('gpt-6-luna'), {
    input: 0.1,
    cachedInput: 0.01,
    cacheWrite: 0.125,
    output: 0.5,
  }),
  'openai/gpt-6-sol': quoted('https://github.com/merefield/codexometer/releases/tag/v0.18.4', {
    input: 2,
    cachedInput: 0.2,
    cacheWrite: 2.5,
    output: 10,
  }),
  'openai/gpt-5.6-luna': published(openAi('gpt-5.6-luna'), {
    input: 0.2,
    cachedInput: 0.02,
    cacheWrite: 0.25,
    output: 1.2,
  }),
  'anthropic/claude-haiku-5-5': quoted(CLAUDE_QUOTE, haiku, `${HAIKU_NOTE} Quotes ${CLAUDE}.`),
  'anthropic/claude-sonnet-5-5': quoted(CLAUDE_QUOTE, sonnet, `Quotes ${CLAUDE}.`),
  'anthropic/claude-opus-5-5': quoted(CLAUDE_QUOTE, opus, `Quotes ${CLAUDE}.`),
  'bedrock/global.anthropic.claude-haiku-5-5': onBedrock(haiku, HAIKU_NOTE),
  'bedrock/global.anthropic.claude-sonnet-5-5': onBedrock(sonnet),
  'bedrock/global.anthropic.claude-opus-5-5': onBedrock(opus),
  'workers-ai/@cf/meta/llama-3.3-70b-instruct-fp8-fast': published(
    WORKERS_AI,
    { input: 0.293, output: 2.253 },
    WORKERS_AI_NOTE,
  ),

  // Speech to text.
  'openai/gpt-transcribe': published(openAi('gpt-transcribe'), perMinute(0.0045)),
  'openai/gpt-live-transcribe': published(openAi('gpt-live-transcribe'), perMinute(0.017)),
  'openai/gpt-realtime-whisper': published(openAi('gpt-realtime-whisper'), perMinute(0.017)),
  'openai/whisper-1': quoted(
    'https://huggingface.co/spaces/SteveDigital/free-mp3-to-text-using-openai-whisper/discussions/1',
    perMinute(0.006),
  ),
  'deepgram/nova-3': quoted(
    'https://raw.githubusercontent.com/D3velop-llc/open-gauntlet-leaderboard/main/data/asr.json',
    perMinute(0.0048),
    'Streamed, one language, pay as you go; several languages: $0.0058. Quotes deepgram.com/pricing of 2026-08-01.',
  ),
  'deepgram/flux-general-en': quoted(DEEPGRAM_QUOTE, perMinute(0.0065)),
  'deepgram/flux-general-multi': quoted(
    'https://docs.flexprice.io/cookbooks/pricing-teardowns/deepgram-pricing',
    perMinute(0.0078),
    'Quotes deepgram.com/pricing of 2026-11-04.',
  ),
  'workers-ai/@cf/openai/whisper-large-v3-turbo': quoted(
    'https://github.com/cloudflare/cloudflare-docs/pull/24748',
    perMinute(0.0005),
    `${WORKERS_AI_NOTE} A change to ${WORKERS_AI} shows it.`,
  ),
  'workers-ai/@cf/deepgram/nova-3': quoted(
    'https://github.com/cloudflare/cloudflare-docs/pull/24748',
    perMinute(0.0052),
    `${WORKERS_AI_NOTE} A change to ${WORKERS_AI} shows it.`,
  ),

  // Text to speech.
  'openai/gpt-4o-mini-tts': priced(
    'derived',
    openAi('gpt-4o-mini-tts'),
    { characters: 15.15 },
    'Published: $0.60 a million tokens of text and $12 of audio, of which its answer tells none. Some 20 tokens a second of audio, 16 ' +
      'characters a second and 4 a token (4,096 characters were 256 s and 877 tokens: ' +
      'https://raw.githubusercontent.com/sanand0/blog/main/posts/2025/openai-tts-cost.md).',
  ),
  'openai/tts-1': published(openAi('tts-1'), perThousandCharacters(0.015)),
  'openai/tts-1-hd': published(openAi('tts-1'), perThousandCharacters(0.03)),
  'deepgram/aura-2*': quoted(DEEPGRAM_QUOTE, perThousandCharacters(0.03), AURA_NOTE),
  'elevenlabs/eleven_flash_v2_5': quoted(
    'https://vercel.com/ai-gateway/models/eleven-flash-v2.5',
    perThousandCharacters(0.02),
    "Another platform's price for the same model; ElevenLabs sells credits by plan (https://elevenlabs.io/pricing/api): set your plan's own.",
  ),
  'workers-ai/@cf/deepgram/aura-2-*': priced(
    'unverified',
    WORKERS_AI,
    perThousandCharacters(0.03),
    'No page of Cloudflare shows it. Assumed: as from Deepgram itself.',
  ),
  'workers-ai/@cf/deepgram/aura-1': published(WORKERS_AI, perThousandCharacters(0.015), WORKERS_AI_NOTE),

  // Speech to speech, and speech by models that speak.
  'openai/gpt-realtime-2.1': published(openAi('gpt-realtime-2.1'), {
    input: 4,
    cachedInput: 0.4,
    output: 24,
    audioInput: 32,
    cachedAudioInput: 0.4,
    audioOutput: 64,
  }),
  'openai/gpt-realtime-2.1-mini': published(openAi('gpt-realtime-2.1-mini'), {
    input: 0.6,
    cachedInput: 0.06,
    output: 2.4,
    audioInput: 10,
    cachedAudioInput: 0.3,
    audioOutput: 20,
  }),
  'openai/gpt-live-1': published(
    openAi('gpt-live-1'),
    perMinute(0.05),
    'From the beginning of the session to its end, silence included; what it delegates costs extra.',
  ),
};

/** Bedrock's own page shows no figures to whoever does not run its scripts. */
function onBedrock(perMillion: PricePerMillion, note = ''): Price {
  const own = 'No page shows it. Assumed: as from Anthropic itself. Endpoints of a region may cost more.';
  return priced('unverified', 'https://aws.amazon.com/bedrock/pricing/', perMillion, `${own} ${note}`.trim());
}
