import { z } from 'zod';
import { webhooksSchema } from './alerts/webhooks.ts';
import { authSchema } from './auth/settings.ts';
import { defaultEndpointing, defaultInterruption, defaultSilence } from './call/agent-config.ts';
import { defaultSpeculation } from './call/speculation.ts';
import { languageTag } from './call/spoken-language.ts';
import { ownPricesSchema } from './cost/price-list.ts';
import { isDialRule, isPrefix } from './dialling/destination.ts';
import { recordingChannels, recordingFormats } from './durable/recordings/format.ts';
import { redactionKinds, storedNumbers } from './privacy/kinds.ts';
import { missingKeys, needsWorkersAi } from './provider-keys.ts';
import { providerSchema } from './provider-settings.ts';
import { voicesSchema } from './providers/voices.ts';
import { regionsSchema } from './regions/settings.ts';
import { emptyIsUnset, flag, json, list, optionalText, text, url, whole } from './settings.ts';
import { builtInToolsSchema } from './tools/built-in.ts';
import { httpToolsSchema } from './tools/http-tool.ts';
import { isWebhookSecret } from './tools/webhook-signature.ts';
import { tracingSchema } from './tracing/settings.ts';

const faqSchema = z
  .array(
    z.strictObject({
      questions: z.array(z.string().min(1).max(300)).min(1).max(50),
      answer: z.string().min(1).max(2_000),
    }),
  )
  .max(200);

/** What a campaign may have otherwise than the default agent: here, and in the column `agent` of the table `campaigns`. */
export const campaignSchema = z
  .strictObject({
    prompt: z.string().min(1).max(20_000),
    greeting: z.string().max(2_000),
    voice: z.string().min(1).max(128),
    language: z.string().regex(languageTag, 'no BCP 47 tag, e.g. de-AT'),
    recording: z.boolean(),
    recordingNotice: z.string().max(2_000),
    redaction: z.array(z.enum(redactionKinds)).max(redactionKinds.length),
    machineDetection: z.strictObject({
      onMachine: z.enum(['hang up', 'leave message', 'go on']).default('hang up'),
      message: z.string().max(2_000).default(''),
    }),
  })
  .partial();
export type CampaignSettings = z.output<typeof campaignSchema>;

/** By campaign id, as calls name it. The platform holds a setting of 5 KB; whatever is larger belongs into the database. */
const campaignsSchema = z
  .record(z.string().min(1).max(128), campaignSchema)
  .refine((campaigns) => Object.keys(campaigns).length <= 200, 'at most 200 campaigns');

/** By the number as carriers write it, E.164 as a rule: for whom a call from or to it is, where the carrier does not say. */
const numbersSchema = z
  .record(
    z.string().regex(/^\+?\d{2,15}$/, 'no number, e.g. +4930123456'),
    z.strictObject({
      userId: z.string().min(1).max(128),
      campaignId: z.string().min(1).max(128).optional(),
    }),
  )
  .refine((numbers) => Object.keys(numbers).length <= 1_000, 'at most 1000 numbers');

const noneIsEmpty = (value: unknown) => (typeof value === 'string' && value.trim() === 'none' ? '' : value);

/** Every setting with its default. Overridden by environment variables (`vars`, secrets) of the same names. */
const configSchema = z.object({
  // --- limits; times are milliseconds ---
  /** Calls at once in one isolate. */
  MAX_CONCURRENT_CALLS_PER_WORKER: whole(10_000, 1, 1_000_000),
  /** Calls at once in the whole deployment, approximately; 0: no limit. */
  MAX_CONCURRENT_CALLS: whole(200_000, 0, 10_000_000),
  /** Objects that hand out the permits for them. */
  PERMIT_SHARDS: whole(16, 1, 256),
  /** Calls at once of a user, where the account (`users.max_concurrent_calls`) says nothing else; 0: no limit for anybody. */
  MAX_CONCURRENT_CALLS_PER_USER: whole(50, 0, 10_000),
  /** Requests a minute and address (IPv6: and /64); 0: no limit. Likewise of a node or program that is known. Raise `[[ratelimits]]` in wrangler.toml with them. */
  RATE_LIMIT_PER_IP: whole(100, 0, 1_000_000),
  RATE_LIMIT_PER_NODE: whole(12_000, 0, 1_000_000),
  /** The longest call. */
  WEBSOCKET_TIMEOUT: whole(300_000, 1_000, 24 * 3_600_000),
  /** The longest wait for `start_call` on an open socket. */
  START_TIMEOUT: whole(30_000, 100, 3_600_000),
  /** A socket without a frame for this long is closed. */
  IDLE_TIMEOUT: whole(30_000, 100, 3_600_000),
  /** How long a call whose socket was lost waits for its client to come back; 0: not at all. */
  RESUME_GRACE: whole(30_000, 0, 600_000),
  /** How far a client's audio may run ahead of real time before it is cut off. */
  MAX_AUDIO_AHEAD: whole(30_000, 1_000, 600_000),
  /** Messages a second that a socket may send for long; for a while fifteen times as many. Telephony sends 50, or 100 of 10 ms. */
  MAX_MESSAGES_PER_SECOND: whole(200, 10, 10_000),

  // --- the call ---
  /** Length of the recording's chunks: what a crash may cost. Both sides at 16 kHz must fit into a row of 2 MB. */
  SPOOL_INTERVAL: whole(2_000, 200, 30_000),
  /** How often the transcript of a call in progress is written to the database. */
  CONVERSATION_INTERVAL: whole(30_000, 1_000, 600_000),
  /** How long a used call id stays refused. */
  CALL_ID_HOLD: whole(24 * 3_600_000, 1_000, 365 * 24 * 3_600_000),
  RECORDING: flag(true),
  /** 1: both sides mixed; 2: the caller left, the agent right. */
  RECORDING_CHANNELS: z.preprocess(
    emptyIsUnset,
    z.coerce.number().pipe(z.literal(recordingChannels)).default(1),
  ),
  RECORDING_FORMAT: z.preprocess(emptyIsUnset, z.enum(recordingFormats).default('wav')),

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
  /** Said first in a call that is recorded, and not to be interrupted; empty: nothing is said. */
  AGENT_RECORDING_NOTICE: z.string().max(2_000).default(''),
  /** Said when an answer is late, when the caller is silent, and before the agent hangs up; empty: nothing. */
  AGENT_HOLD_LINE: z.string().max(2_000).default(defaultSilence.holdLine),
  AGENT_SILENCE_PROMPT: z.string().max(2_000).default(defaultSilence.prompt),
  AGENT_GOODBYE: z.string().max(2_000).default(defaultSilence.goodbye),
  HOLD_LINE_MS: whole(defaultSilence.holdLineMs, 200, 60_000),
  SILENCE_PROMPT_MS: whole(defaultSilence.promptMs, 1_000, 3_600_000),
  SILENCE_HANGUP_MS: whole(defaultSilence.hangUpMs, 1_000, 3_600_000),
  /** Whether the caller may interrupt the greeting. */
  AGENT_GREETING_INTERRUPTIBLE: flag(defaultInterruption.greeting),
  /** A BCP 47 tag; empty: the language is heard, where the transcriber tells it. */
  AGENT_LANGUAGE: z.preprocess(
    emptyIsUnset,
    z.string().regex(languageTag, 'no BCP 47 tag, e.g. de-AT').optional(),
  ),
  /** Voices for languages: JSON, `{"de": "…", "pt-br": "…"}`; `TTS_VOICE` speaks the others. */
  AGENT_VOICES: z.preprocess(json, voicesSchema.default({})),
  /** Phrases of the caller's, comma-separated, and a number of words (0: none), from which the stronger model answers. */
  AGENT_STRONG_PHRASES: list(z.string().max(100)),
  AGENT_STRONG_FROM_WORDS: whole(0, 0, 1_000),
  /** What the model may do: JSON, see README. */
  AGENT_TOOLS: z.preprocess(json, builtInToolsSchema.prefault({ hangUp: false })),
  /** Tools of the operator's own: JSON, see README; and the secrets that sign their requests, `whsec_…`, comma-separated. */
  AGENT_HTTP_TOOLS: z.preprocess(json, httpToolsSchema.default([])),
  AGENT_HTTP_TOOL_SECRETS: list(
    z.string().refine(isWebhookSecret, 'must be whsec_ and base64 of 24 to 64 bytes'),
  ),
  /** Words that callers are likely to use, comma-separated. */
  AGENT_KEYWORDS: list(z.string().max(50)),
  /** Questions that are answered without a model: JSON, `[{"questions": ["When are you open?"], "answer": "…"}]`. */
  AGENT_FAQ: z.preprocess(json, faqSchema.default([])),
  /** What is begun before it is certain that the caller has finished. */
  AGENT_SPECULATION: z.preprocess(
    emptyIsUnset,
    z.enum(['nothing', 'answer', 'speech']).default(defaultSpeculation.ahead),
  ),
  /** Campaigns whose agent is another one in part, JSON. */
  CAMPAIGNS: z.preprocess(json, campaignsSchema.default({})),
  /** Whether campaigns are looked up in the database as well; what stands there goes before `CAMPAIGNS`. */
  CAMPAIGNS_TABLE: flag(true),
  /** Whose telephone numbers are, JSON; for legs that name no user. */
  NUMBERS: z.preprocess(json, numbersSchema.default({})),
  AGENT_MAX_OUTPUT_TOKENS: whole(300, 16, 4_096),
  AGENT_HISTORY_MESSAGES: whole(40, 2, 400),
  /** Silence after speech that ends a turn. */
  ENDPOINTING_MS: whole(defaultEndpointing.endMs, 100, 5_000),
  /** Silence after speech before which no answer is heard, unless a question was asked. */
  ANSWER_AFTER_MS: whole(defaultEndpointing.speakMs, 0, 5_000),

  // --- providers ---
  ...providerSchema,

  /** Prices of the operator's own contracts, JSON; they go before those of `src/cost/prices.ts`. See docs/cost.md. */
  PRICES: z.preprocess(json, ownPricesSchema.default({})),

  // --- records ---
  SUPABASE_URL: url,
  SUPABASE_SERVICE_ROLE_KEY: optionalText,

  // --- personal data ---
  /** What is taken out of stored transcripts, comma-separated; `none`: nothing. */
  TRANSCRIPT_REDACTION: z.preprocess(noneIsEmpty, list(z.enum(redactionKinds))),
  /** How the caller's number is stored. `hashed` needs the key. */
  STORED_PHONE_NUMBERS: z.preprocess(emptyIsUnset, z.enum(storedNumbers).default('plain')),
  /** The secret that numbers are hashed with: 32 random bytes, as text. */
  PERSONAL_DATA_KEY: z.preprocess(emptyIsUnset, z.string().min(32).max(256).optional()),

  /** Where the objects and recordings of users' calls are made and kept: JSON, `{"default": "eu", "users": {"acme": "enam"}, "nodes": {"fs-1": "eu"}}`. */
  REGIONS: z.preprocess(json, regionsSchema.prefault({})),

  // --- payment ---
  /** Whether calls are paid for: an amount is set aside when one begins, and settled when it has ended. */
  BILLING: flag(false),
  /** Of accounts that have no price of their own; decimal. */
  PRICE_PER_SECOND: z.preprocess(
    emptyIsUnset,
    z
      .string()
      .regex(/^\d{1,3}(\.\d{1,8})?$/, 'must be a decimal below 1000 with at most 8 places')
      .optional(),
  ),
  /** A call that the account cannot pay for so long does not begin. */
  BILLING_LEAST_SECONDS: whole(30, 1, 86_400),
  /** The longest wait for the account, before a call begins; setting a call up takes 10 s at most. */
  BILLING_TIMEOUT: whole(3_000, 100, 9_000),
  /** Whether a call begins where the account could not be asked. */
  BILLING_WITHOUT_DATABASE: z.preprocess(emptyIsUnset, z.enum(['allow', 'refuse']).default('allow')),

  // --- who may ---
  ...authSchema,

  // --- traces ---
  ...tracingSchema,

  // --- calls that the service places; see docs/outbound-calls.md ---
  /** Who may be dialled, comma-separated: prefixes (`+4930`), countries (`DE`), `*`, hosts of SIP addresses (`sip:192.0.2.20`). Empty: nobody. */
  DIAL_ALLOWED: list(
    z.string().refine(isDialRule, 'must be a prefix like +4930, a country like DE, * or sip:HOST'),
  ),
  /** Prefixes that are not dialled whatever is allowed. Premium-rate and shared-cost numbers never are. */
  DIAL_DENIED: list(z.string().refine(isPrefix, 'must be a prefix like +4930')),
  /** How long a call waits for a node, and rings, where its request says nothing else. */
  DIAL_EXPIRES: whole(300_000, 1_000, 24 * 3_600_000),
  DIAL_RING_TIMEOUT: whole(45_000, 5_000, 120_000),
  /** Calls of a user, and in one object, that wait for a node. */
  DIALS_PER_USER: whole(1_000, 1, 1_000_000),
  DIALS_QUEUED: whole(100_000, 1, 1_000_000),
  /** Objects that hold the queue. Change it while nothing waits: calls in the others are dialled no more. */
  DIAL_SHARDS: whole(1, 1, 256),

  // --- the service ---
  /** Origins of web pages that may call, comma-separated; the service's own is always allowed. */
  CORS_ORIGINS: list(z.url({ protocol: /^https?$/ }).transform((value) => new URL(value).origin)),
  /** Names by which the service may be reached, comma-separated; empty: any. The launcher sets the loopback ones. */
  ALLOWED_HOSTS: list(z.string().max(253)),
  /** Whether `/console` is served, a page to call from. */
  CONSOLE: flag(false),
  /** Objects over which the counts of `/health` and `/metrics` are spread. Changing it starts the counts anew. */
  METRICS_SHARDS: whole(16, 1, 256),

  // --- alerts ---
  /** Whom to tell: JSON, see docs/alerts.md. There are secrets in it. */
  ALERT_WEBHOOKS: z.preprocess(json, webhooksSchema.default([])),
  /** Names the deployment in alerts. */
  ALERT_SOURCE: z.preprocess(emptyIsUnset, z.string().max(100).default('ai-call-handler')),
  /** After so long an alert that goes on is told again; 0: never. */
  ALERT_REPEAT: whole(4 * 3_600_000, 0, 7 * 24 * 3_600_000),
});

/** A call's object may outlive its longest call (`WEBSOCKET_TIMEOUT`) by setting up, finishing and a restart. */
export const LEASE_MARGIN_MS = 60_000;

export type Config = z.output<typeof configSchema>;

/** Whether there is a setting of this name. */
export function isSettingName(name: string): boolean {
  return Object.hasOwn(configSchema.shape, name);
}

/** Of every setting. */
export const settingNames: readonly string[] = Object.keys(configSchema.shape);

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
export function missingSettings(config: Config, bindings: { AI?: unknown } = {}): string[] {
  const missing = missingKeys(config);
  if (needsWorkersAi(config) && bindings.AI === undefined) missing.push('the binding AI');
  if (config.AGENT_HTTP_TOOLS.length > 0 && config.AGENT_HTTP_TOOL_SECRETS.length === 0) {
    missing.push('AGENT_HTTP_TOOL_SECRETS');
  }
  if (config.BILLING && config.PRICE_PER_SECOND === undefined) missing.push('PRICE_PER_SECOND');
  if (config.STORED_PHONE_NUMBERS === 'hashed' && config.PERSONAL_DATA_KEY === undefined) {
    missing.push('PERSONAL_DATA_KEY');
  }
  if (config.SUPABASE_URL === undefined) missing.push('SUPABASE_URL');
  if (config.SUPABASE_SERVICE_ROLE_KEY === undefined) missing.push('SUPABASE_SERVICE_ROLE_KEY');
  return missing;
}
