import { type Clock, systemClock } from '../call/clock.ts';
import { anthropicLanguageModel } from './anthropic/language-model.ts';
import type { AwsCredentials, BedrockApiKey } from './bedrock/invoke.ts';
import { bedrockLanguageModel } from './bedrock/language-model.ts';
import { chainLanguageModel, chainSpeechToText, chainTextToSpeech, firstAnswerMs } from './chain.ts';
import type { ChainMember } from './chain-members.ts';
import { deepgramSpeechToText } from './deepgram/speech-to-text.ts';
import { deepgramTextToSpeech } from './deepgram/text-to-speech.ts';
import type { Duplex } from './duplex.ts';
import { elevenLabsTextToSpeech } from './elevenlabs/text-to-speech.ts';
import { openAiLanguageModel } from './openai/language-model.ts';
import { openAiSpeechToText } from './openai/speech-to-text.ts';
import { openAiTextToSpeech } from './openai/text-to-speech.ts';
import { openAiLiveDuplex } from './openai-live/duplex.ts';
import { openAiRealtimeSpeechToSpeech } from './openai-realtime/speech-to-speech.ts';
import { openAiRealtimeSpeechToText } from './openai-realtime/speech-to-text.ts';
import { openAiRealtimeTextToSpeech } from './openai-realtime/text-to-speech.ts';
import type { LanguageModel, SpeechToText, TextToSpeech } from './ports.ts';
import type { SpeechToSpeech } from './speech-to-speech.ts';
import { withUnreadBills, withUnreadSpeech } from './unread-bills.ts';
import type { Dial } from './vendor-socket.ts';
import { type Voices, withVoices } from './voices.ts';
import type { WorkersAi } from './workers-ai/binding.ts';
import { workersAiLanguageModel } from './workers-ai/language-model.ts';
import { workersAiSpeechToText } from './workers-ai/speech-to-text.ts';
import { workersAiTextToSpeech } from './workers-ai/text-to-speech.ts';

export const speechToTextVendors = ['openai', 'openai-realtime', 'deepgram', 'workers-ai'] as const;
export type SpeechToTextVendor = (typeof speechToTextVendors)[number];
export const languageModelVendors = ['openai', 'anthropic', 'bedrock', 'workers-ai'] as const;
export type LanguageModelVendor = (typeof languageModelVendors)[number];
export const textToSpeechVendors = [
  'openai',
  'openai-realtime',
  'deepgram',
  'elevenlabs',
  'workers-ai',
] as const;
export type TextToSpeechVendor = (typeof textToSpeechVendors)[number];
export const speechToSpeechVendors = ['openai-realtime', 'openai-live'] as const;
export type SpeechToSpeechVendor = (typeof speechToSpeechVendors)[number];

/** How to reach one vendor for one port. */
export interface VendorSettings<Vendor extends string> {
  vendor: Vendor;
  /** Empty where the vendor needs none. */
  apiKey: string;
  /** Absent: the vendor's own address. */
  baseUrl?: string;
  /** Absent: see `defaultModels`. */
  model?: string;
  /** Speaks in place of the voice that is asked for, which is another provider's. */
  voice?: string;
  /** Speak certain languages in place of `voice`. Text to speech only. */
  voices?: Voices;
  /** Bedrock only. */
  aws?: { region: string; credentials: AwsCredentials | BedrockApiKey };
}

/** Which vendors stand behind each port, the first one asked first. */
export interface ProviderSettings {
  speechToText: Chain<SpeechToTextVendor>;
  /** For transcribers of files: see `WindowOptions`. */
  windows: { bufferMs: number; runAhead: boolean };
  languageModel: Chain<LanguageModelVendor>;
  /** For turns that need thought; null: the same one answers all. */
  strongLanguageModel: VendorSettings<LanguageModelVendor> | null;
  textToSpeech: Chain<TextToSpeechVendor>;
  speechToSpeech: VendorSettings<SpeechToSpeechVendor> | null;
  /**
   * How long each provider of a port is waited for while another one could be asked, in milliseconds, whichever vendor's it is. Default:
   * see `firstAnswerMs`.
   */
  firstAnswerMs?: Partial<Record<keyof typeof firstAnswerMs, number | undefined>>;
}

type Chain<Vendor extends string> = readonly [VendorSettings<Vendor>, ...VendorSettings<Vendor>[]];

/** What a call hears, thinks and speaks with. */
export interface Providers {
  speechToText: SpeechToText;
  languageModel: LanguageModel;
  textToSpeech: TextToSpeech;
  /** One model for all three; the others stand behind it. Null: there is none. */
  speechToSpeech: SpeechToSpeech | null;
  /** One model that also decides by itself when to speak. Null: there is none. */
  duplex: Duplex | null;
}

/** The models asked for where none is named: each one alive, by its vendor's own pages, in November 2026. */
export const defaultModels = {
  speechToText: {
    openai: 'gpt-transcribe',
    'openai-realtime': 'gpt-live-transcribe',
    deepgram: 'nova-3',
    'workers-ai': '@cf/openai/whisper-large-v3-turbo',
  },
  languageModel: {
    openai: 'gpt-6-luna',
    anthropic: 'claude-haiku-5-5',
    bedrock: 'global.anthropic.claude-haiku-5-5',
    'workers-ai': '@cf/meta/llama-3.3-70b-instruct-fp8-fast',
  },
  textToSpeech: {
    openai: 'gpt-4o-mini-tts',
    'openai-realtime': 'gpt-realtime-2.1-mini',
    /** Its voices are its models. */
    deepgram: 'aura-2',
    elevenlabs: 'eleven_flash_v2_5',
    'workers-ai': '@cf/deepgram/aura-2-en',
  },
  speechToSpeech: { 'openai-realtime': 'gpt-realtime-2.1', 'openai-live': 'gpt-live-1' },
} as const;

export interface ProviderSurroundings {
  clock?: Clock;
  /** The Worker's binding to Workers AI; null: it has none. */
  ai?: WorkersAi | null;
  /** How sockets are opened. Default: a Worker's way. */
  dial?: Dial;
}

/** Makes the providers of one call. They connect when they are warmed, or used. */
export function createProviders(
  settings: ProviderSettings,
  { clock = systemClock, ai = null, dial }: ProviderSurroundings = {},
): Providers {
  const socket = dial === undefined ? {} : { dial };
  const binding = (): WorkersAi => {
    if (ai === null) throw new TypeError('Workers AI needs the binding AI in wrangler.toml');
    return ai;
  };

  const speechToText = (member: VendorSettings<SpeechToTextVendor>): SpeechToText => {
    const own = { ...member, ...settings.windows, ...socket, model: modelOf('speechToText', member) };
    switch (member.vendor) {
      case 'openai':
        return openAiSpeechToText(own, clock);
      case 'openai-realtime':
        return openAiRealtimeSpeechToText(own, clock);
      case 'deepgram':
        return deepgramSpeechToText(own, clock);
      case 'workers-ai':
        return workersAiSpeechToText({ ...own, ai: binding() }, clock);
    }
  };

  const languageModel = (member: VendorSettings<LanguageModelVendor>): LanguageModel => {
    const own = { ...member, model: modelOf('languageModel', member) };
    const made = () => {
      switch (member.vendor) {
        case 'openai':
          return openAiLanguageModel(own, clock);
        case 'anthropic':
          return anthropicLanguageModel(own, clock);
        case 'bedrock':
          if (member.aws === undefined) throw new TypeError('Bedrock needs AWS_REGION and credentials');
          return bedrockLanguageModel({ ...own, ...member.aws }, clock);
        case 'workers-ai':
          return workersAiLanguageModel({ ...own, ai: binding() }, clock);
      }
    };
    return withUnreadBills(made(), `${member.vendor}/${own.model}`);
  };

  const textToSpeech = ({ voices, ...member }: VendorSettings<TextToSpeechVendor>): TextToSpeech => {
    if (voices !== undefined) {
      const { voice, ...rest } = member;
      return withVoices(textToSpeech(rest), voices, voice);
    }
    const own = { ...member, ...socket, model: modelOf('textToSpeech', member) };
    const provider = () => `${member.vendor}/${own.model}`;
    switch (member.vendor) {
      case 'openai':
        return withUnreadSpeech(openAiTextToSpeech(own, clock), provider);
      case 'openai-realtime':
        return openAiRealtimeTextToSpeech(own, clock);
      case 'deepgram':
        return withUnreadSpeech(
          deepgramTextToSpeech(own, clock),
          ({ voice }) => `deepgram/${member.voice ?? voice}`,
        );
      case 'elevenlabs':
        return withUnreadSpeech(elevenLabsTextToSpeech(own, clock), provider);
      case 'workers-ai':
        return withUnreadSpeech(workersAiTextToSpeech({ ...own, ai: binding() }, clock), provider);
    }
  };

  const { strongLanguageModel: strong, speechToSpeech, firstAnswerMs: deadlines = {} } = settings;
  const chain = { clock };
  const ears = memberOf('speechToText', speechToText, deadlines);
  const model = memberOf('languageModel', languageModel, deadlines);
  const voice = memberOf('textToSpeech', textToSpeech, deadlines);
  const models = settings.languageModel.map(model);
  const quick = chainLanguageModel(models, chain);
  const spoken =
    speechToSpeech === null
      ? null
      : { ...speechToSpeech, ...socket, model: modelOf('speechToSpeech', speechToSpeech) };
  return {
    speechToText: chainSpeechToText(settings.speechToText.map(ears), chain),
    languageModel:
      strong === null ? quick : byTier(quick, chainLanguageModel([model(strong), ...models], chain)),
    textToSpeech: chainTextToSpeech(settings.textToSpeech.map(voice), chain),
    speechToSpeech: spoken?.vendor === 'openai-realtime' ? openAiRealtimeSpeechToSpeech(spoken, clock) : null,
    duplex: spoken?.vendor === 'openai-live' ? openAiLiveDuplex(spoken, clock) : null,
  };
}

/** The stronger model answers what is asked of it; behind it stands the quick one. */
function byTier(quick: LanguageModel, strong: LanguageModel): LanguageModel {
  return {
    reply: (request, signal) => (request.tier === 'strong' ? strong : quick).reply(request, signal),
    warm: () => quick.warm?.(),
    // It closes the quick one as well.
    close: () => strong.close?.(),
  };
}

/** Makes providers of a port's chain. Calls of one isolate share what they know of a vendor's health. */
function memberOf<Port extends keyof typeof firstAnswerMs, Vendor extends string, Made>(
  port: Port,
  make: (settings: VendorSettings<Vendor>) => Made,
  deadlines: NonNullable<ProviderSettings['firstAnswerMs']>,
): (settings: VendorSettings<Vendor>) => ChainMember<Made> {
  return (settings) => {
    const { vendor, baseUrl, aws } = settings;
    const model = modelOf(port, settings as never);
    const defaults: Record<string, number> = firstAnswerMs[port];
    const deadlineMs = deadlines[port] ?? defaults[vendor] ?? firstAnswerMs[port].default;
    const address = baseUrl ?? aws?.region ?? null;
    const identity = JSON.stringify([port, vendor, address, model, keyNumber(secretOf(settings))]);
    return { port: make(settings), name: `${vendor}/${model}`, identity, deadlineMs };
  };
}

function secretOf({ apiKey, aws }: VendorSettings<string>): string {
  if (aws === undefined) return apiKey;
  const { credentials } = aws;
  return 'apiKey' in credentials ? credentials.apiKey : credentials.accessKeyId;
}

/** Keys that are remembered: beyond it, the one that was first is forgotten, and gets another number. */
const MOST_KEYS = 500;
const keyNumbers = new Map<string, number>();
let lastKeyNumber = 0;

/**
 * Stands for a key in this isolate, for as long as it lives: circuits of different keys must not be shared, and neither a key nor what
 * could be computed from it belongs in the name of one.
 */
function keyNumber(key: string): number {
  const known = keyNumbers.get(key);
  if (known !== undefined) return known;
  keyNumbers.set(key, ++lastKeyNumber);
  if (keyNumbers.size > MOST_KEYS) keyNumbers.delete(keyNumbers.keys().next().value!);
  return lastKeyNumber;
}

function modelOf<Port extends keyof typeof defaultModels>(
  port: Port,
  { vendor, model }: { vendor: keyof (typeof defaultModels)[Port]; model?: string },
): string {
  return model ?? String(defaultModels[port][vendor]);
}
