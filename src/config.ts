import { z } from 'zod';
import { encodeBase64 } from './audio/base64.ts';
import {
  type AgentConfig,
  defaultEndpointing,
  defaultInterruption,
  defaultSilence,
} from './call/agent-config.ts';
import { defaultDtmf } from './call/dtmf.ts';
import { defaultSpeculation } from './call/speculation.ts';
import type { ProviderSettings } from './providers/registry.ts';

/** Settings that come from outside are text; an empty one counts as not set. */
const text = (fallback: string) => z.preprocess(emptyIsUnset, z.string().max(20_000).default(fallback));
const optionalText = z.preprocess(emptyIsUnset, z.string().max(20_000).optional());
const url = z.preprocess(emptyIsUnset, z.url({ protocol: /^https?$/ }).optional());
const whole = (fallback: number, min: number, max: number) =>
  z.preprocess(emptyIsUnset, z.coerce.number().int().min(min).max(max).default(fallback));
const flag = (fallback: boolean) =>
  z.preprocess(emptyIsUnset, z.stringbool().or(z.boolean()).default(fallback));

/** Comma-separated. */
function list<T extends z.ZodType>(entry: T) {
  const split = (value: unknown) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((part) => part.trim())
          .filter(Boolean)
      : value;
  return z.preprocess(split, z.array(entry).max(100).default([]));
}

const faqSchema = z
  .array(
    z.strictObject({
      questions: z.array(z.string().min(1).max(300)).min(1).max(50),
      answer: z.string().min(1).max(2_000),
    }),
  )
  .max(200);

/** JSON of a setting; what is none is left for the schema to refuse. */
function json(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (value.trim() === '') return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function emptyIsUnset(value: unknown): unknown {
  return typeof value === 'string' && value.trim() === '' ? undefined : value;
}

/** Every setting with its default. Overridden by environment variables (`vars`, secrets) of the same names. */
const configSchema = z.object({
  // --- limits; times are milliseconds ---
  /** Calls at once in one isolate. */
  MAX_CONCURRENT_CALLS_PER_WORKER: whole(10_000, 1, 1_000_000),
  /** Requests a minute and address; 0: no limit. */
  RATE_LIMIT_PER_IP: whole(100, 0, 1_000_000),
  /** The longest call. */
  WEBSOCKET_TIMEOUT: whole(300_000, 1_000, 24 * 3_600_000),
  /** The longest wait for `start_call` on an open socket. */
  START_TIMEOUT: whole(30_000, 100, 3_600_000),
  /** A socket without a frame for this long is closed. */
  IDLE_TIMEOUT: whole(30_000, 100, 3_600_000),
  /** How far a client's audio may run ahead of real time before it is cut off. */
  MAX_AUDIO_AHEAD: whole(30_000, 1_000, 600_000),

  // --- the call ---
  /** Speech longer than this is transcribed while the caller still talks. */
  AUDIO_BUFFER_MS: whole(2_000, 500, 30_000),
  /** Whether speech is transcribed at each pause, before it is known that the turn is over: faster, at more requests. */
  STT_RUN_AHEAD: flag(true),
  /** Length of the recording's chunks: what a crash may cost. */
  SPOOL_INTERVAL: whole(2_000, 200, 60_000),
  /** How often the transcript of a call in progress is written to the database. */
  CONVERSATION_INTERVAL: whole(30_000, 1_000, 600_000),
  /** How long a used call id stays refused. */
  CALL_ID_HOLD: whole(24 * 3_600_000, 1_000, 365 * 24 * 3_600_000),
  RECORDING: flag(true),

  // --- the default agent ---
  AGENT_PROMPT: text(
    'You are a friendly telephone agent. You are heard, not read: answer in one to three short sentences, ' +
      'without lists or formatting. Say so when you do not know something.',
  ),
  /** Empty: the agent waits for the caller. */
  AGENT_GREETING: z.string().max(2_000).default('Hello, how can I help you?'),
  /** Empty: nothing is said when an answer could not be made. */
  AGENT_APOLOGY: z
    .string()
    .max(2_000)
    .default('I am sorry, I could not get an answer just now. Please say that again.'),
  /** Said when an answer is late, when the caller is silent, and before the agent hangs up; empty: nothing. */
  AGENT_HOLD_LINE: z.string().max(2_000).default(defaultSilence.holdLine),
  AGENT_SILENCE_PROMPT: z.string().max(2_000).default(defaultSilence.prompt),
  AGENT_GOODBYE: z.string().max(2_000).default(defaultSilence.goodbye),
  HOLD_LINE_MS: whole(defaultSilence.holdLineMs, 200, 60_000),
  SILENCE_PROMPT_MS: whole(defaultSilence.promptMs, 1_000, 3_600_000),
  SILENCE_HANGUP_MS: whole(defaultSilence.hangUpMs, 1_000, 3_600_000),
  /** Whether the caller may interrupt the greeting. */
  AGENT_GREETING_INTERRUPTIBLE: flag(defaultInterruption.greeting),
  AGENT_LANGUAGE: optionalText,
  /** Words that callers are likely to use, comma-separated. */
  AGENT_KEYWORDS: list(z.string().max(50)),
  /** Questions that are answered without a model: JSON, `[{"questions": ["When are you open?"], "answer": "…"}]`. */
  AGENT_FAQ: z.preprocess(json, faqSchema.default([])),
  /** What is begun before it is certain that the caller has finished. */
  AGENT_SPECULATION: z.preprocess(
    emptyIsUnset,
    z.enum(['nothing', 'answer', 'speech']).default(defaultSpeculation.ahead),
  ),
  AGENT_MAX_OUTPUT_TOKENS: whole(300, 16, 4_096),
  AGENT_HISTORY_MESSAGES: whole(40, 2, 400),
  /** Silence after speech that ends a turn. */
  ENDPOINTING_MS: whole(defaultEndpointing.endMs, 100, 5_000),

  // --- providers: each port its own; the OPENAI_ ones stand in for what a port leaves out ---
  OPENAI_API_KEY: optionalText,
  OPENAI_BASE_URL: url,
  STT_PROVIDER: z.preprocess(emptyIsUnset, z.enum(['openai']).default('openai')),
  STT_MODEL: text('gpt-transcribe'),
  STT_API_KEY: optionalText,
  STT_BASE_URL: url,
  LLM_PROVIDER: z.preprocess(emptyIsUnset, z.enum(['openai']).default('openai')),
  LLM_MODEL: text('gpt-6-luna'),
  LLM_API_KEY: optionalText,
  LLM_BASE_URL: url,
  TTS_PROVIDER: z.preprocess(emptyIsUnset, z.enum(['openai']).default('openai')),
  TTS_MODEL: text('gpt-4o-mini-tts'),
  TTS_VOICE: text('alloy'),
  TTS_API_KEY: optionalText,
  TTS_BASE_URL: url,

  // Asked where a port's first provider has failed; a port without its model or address has none.
  STT_FALLBACK_MODEL: optionalText,
  STT_FALLBACK_API_KEY: optionalText,
  STT_FALLBACK_BASE_URL: url,
  LLM_FALLBACK_MODEL: optionalText,
  LLM_FALLBACK_API_KEY: optionalText,
  LLM_FALLBACK_BASE_URL: url,
  TTS_FALLBACK_MODEL: optionalText,
  TTS_FALLBACK_VOICE: optionalText,
  TTS_FALLBACK_API_KEY: optionalText,
  TTS_FALLBACK_BASE_URL: url,

  // --- records ---
  SUPABASE_URL: url,
  SUPABASE_SERVICE_ROLE_KEY: optionalText,

  // --- the service ---
  /** Origins of web pages that may call, comma-separated; the service's own is always allowed. */
  CORS_ORIGINS: list(z.url({ protocol: /^https?$/ }).transform((value) => new URL(value).origin)),
  /** Names by which the service may be reached, comma-separated; empty: any. The launcher sets the loopback ones. */
  ALLOWED_HOSTS: list(z.string().max(253)),
  /** Objects over which the counts of `/health` and `/metrics` are spread. Changing it starts the counts anew. */
  METRICS_SHARDS: whole(4, 1, 256),
});

export type Config = z.output<typeof configSchema>;

/** A setting is wrong; the message names it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const parsed = new WeakMap<object, Config>();

/** The settings in `env`, parsed once for each environment. Throws `ConfigError`. */
export function loadConfig(env: object): Config {
  let config = parsed.get(env);
  if (config === undefined) {
    const result = configSchema.safeParse(env);
    if (!result.success) {
      const wrong = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
      throw new ConfigError(`Wrong settings: ${wrong.join('; ')}`);
    }
    config = result.data;
    parsed.set(env, config);
  }
  return config;
}

/** Names of the settings without which no call can be answered and kept; empty when all are there. */
export function missingSettings(config: Config): string[] {
  const missing: string[] = [];
  for (const port of ['STT', 'LLM', 'TTS'] as const) {
    if ((config[`${port}_API_KEY`] ?? config.OPENAI_API_KEY) === undefined) missing.push(`${port}_API_KEY`);
  }
  // One key serves all three: name that one.
  if (missing.length === 3) missing.splice(0, 3, 'OPENAI_API_KEY');
  if (config.SUPABASE_URL === undefined) missing.push('SUPABASE_URL');
  if (config.SUPABASE_SERVICE_ROLE_KEY === undefined) missing.push('SUPABASE_SERVICE_ROLE_KEY');
  return missing;
}

const agents = new WeakMap<Config, Promise<AgentConfig>>();

/** The agent of calls whose campaign names none. Its version is a digest of all that it is. */
export function defaultAgent(config: Config): Promise<AgentConfig> {
  let agent = agents.get(config);
  if (agent === undefined) {
    agent = withVersion(agentOf(config));
    agents.set(config, agent);
  }
  return agent;
}

async function withVersion(agent: Omit<AgentConfig, 'version'>): Promise<AgentConfig> {
  const bytes = new TextEncoder().encode(JSON.stringify(agent));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return { ...agent, version: encodeBase64(digest.subarray(0, 12)) };
}

function agentOf(config: Config): Omit<AgentConfig, 'version'> {
  return {
    prompt: config.AGENT_PROMPT,
    greeting: config.AGENT_GREETING,
    apology: config.AGENT_APOLOGY,
    voice: config.TTS_VOICE,
    language: config.AGENT_LANGUAGE ?? null,
    maxOutputTokens: config.AGENT_MAX_OUTPUT_TOKENS,
    historyMessages: config.AGENT_HISTORY_MESSAGES,
    endpointing: { ...defaultEndpointing, endMs: config.ENDPOINTING_MS },
    interruption: { ...defaultInterruption, greeting: config.AGENT_GREETING_INTERRUPTIBLE },
    silence: {
      holdLine: config.AGENT_HOLD_LINE,
      holdLineMs: config.HOLD_LINE_MS,
      prompt: config.AGENT_SILENCE_PROMPT,
      promptMs: config.SILENCE_PROMPT_MS,
      goodbye: config.AGENT_GOODBYE,
      hangUpMs: config.SILENCE_HANGUP_MS,
    },
    dtmf: defaultDtmf,
    faq: config.AGENT_FAQ,
    keywords: config.AGENT_KEYWORDS,
    speculation: { ...defaultSpeculation, ahead: config.AGENT_SPECULATION },
    recording: config.RECORDING,
  };
}

/** What each port's vendor is told. */
export function providerSettings(config: Config): ProviderSettings {
  const connection = (port: 'STT' | 'LLM' | 'TTS') => {
    const baseUrl = config[`${port}_BASE_URL`] ?? config.OPENAI_BASE_URL;
    return {
      apiKey: config[`${port}_API_KEY`] ?? config.OPENAI_API_KEY ?? '',
      model: config[`${port}_MODEL`],
      ...(baseUrl === undefined ? {} : { baseUrl }),
    };
  };
  /** What a fall-back leaves out is as the first provider's. */
  const fallback = (port: 'STT' | 'LLM' | 'TTS') => {
    const model = config[`${port}_FALLBACK_MODEL`];
    const baseUrl = config[`${port}_FALLBACK_BASE_URL`];
    if (model === undefined && baseUrl === undefined) return [];
    const first = connection(port);
    const apiKey = config[`${port}_FALLBACK_API_KEY`] ?? first.apiKey;
    return [{ ...first, apiKey, model: model ?? first.model, ...(baseUrl === undefined ? {} : { baseUrl }) }];
  };
  const fallbackVoice = config.TTS_FALLBACK_VOICE === undefined ? {} : { voice: config.TTS_FALLBACK_VOICE };
  return {
    speechToText: {
      vendor: config.STT_PROVIDER,
      ...connection('STT'),
      bufferMs: config.AUDIO_BUFFER_MS,
      runAhead: config.STT_RUN_AHEAD,
      fallbacks: fallback('STT'),
    },
    languageModel: {
      vendor: config.LLM_PROVIDER,
      ...connection('LLM'),
      fallbacks: fallback('LLM').map((settings) => ({ vendor: config.LLM_PROVIDER, ...settings })),
    },
    textToSpeech: {
      vendor: config.TTS_PROVIDER,
      ...connection('TTS'),
      fallbacks: fallback('TTS').map((settings) => ({
        vendor: config.TTS_PROVIDER,
        ...settings,
        ...fallbackVoice,
      })),
    },
  };
}
