import type { Clock } from '../../src/call/clock.ts';
import { type Config, loadConfig, missingSettings } from '../../src/config.ts';
import { configuredProviders, missingKeysOf } from '../../src/provider-keys.ts';
import { providerSettings } from '../../src/provider-settings.ts';
import type { Dial } from '../../src/providers/vendor-socket.ts';
import { voiceFor } from '../../src/providers/voices.ts';
import { type SettingWithoutEffect, settingsWithoutEffect } from '../../src/settings-without-effect.ts';
import { adviceOn } from './advice.ts';
import { type DatabaseTrial, tryDatabase } from './database.ts';
import type { Finding } from './finding.ts';
import { type Member, membersOf } from './members.ts';
import { type ModelEnd, ModelEnds } from './model-ends.ts';
import type { SchemaProbe } from './schema.ts';
import type { FoundSettings, SettingSource } from './settings.ts';
import { type Trial, tryMember } from './trial.ts';

/** One provider of one port's chain, and what came of it. */
export interface Row {
  /** What it is asked for, e.g. `speech to text, fall-back`. */
  title: string;
  vendor: string;
  model: string;
  outcome:
    | Extract<Trial, { result: 'ok' }>
    | (Extract<Trial, { result: 'failed' }> & { advice: string })
    | { result: 'missing'; settings: string[] }
    /** It can't be asked from here, which is no failure. */
    | { result: 'untried'; why: string };
  /** When its vendor ends the model; null where it tells no end. */
  end: ModelEnd | null;
}

/** Everything that was found out. Holds no secret but what a vendor's text may repeat, see `printable`. */
export interface Examination {
  /** Nothing that was tried has failed, and no setting is missing. */
  ok: boolean;
  /** Names of the settings without which no call can be answered and kept. */
  missing: string[];
  /** Nobody has to prove who they are (`AUTH=none`). */
  unguarded: boolean;
  /** They stop nothing, and do nothing. */
  withoutEffect: SettingWithoutEffect[];
  /** Names of the settings that were found, by where. */
  sources: Partial<Record<SettingSource, string[]>>;
  rows: Row[];
  database: DatabaseTrial;
  /** Of Cloudflare's account, and of the running deployment, where these were looked at. */
  findings: readonly Finding[];
}

export interface ExamineOptions {
  settings: FoundSettings;
  clock: Clock;
  dial: Dial;
  /** The longest that one trial may take, in milliseconds. */
  limitMs: number;
  /** What the database's migrations have added. */
  probes: readonly SchemaProbe[];
  findings: readonly Finding[];
  /** Names of secrets that are stored with Cloudflare: they are there, and cannot be tried. */
  stored: readonly string[];
  /** Stops everything: `examine` rejects with its reason. */
  signal: AbortSignal;
  /** Each row as it is known: trials run one after the other, so that they do not slow each other. */
  onRow?: (row: Row) => void;
}

const workersAi =
  'Workers AI is reached through the Worker alone: deployed, or by `npm run dev` with the binding AI in wrangler.toml. Place a call there.';

/** Tries every provider that is configured, then the database. Throws `ConfigError` where a setting is wrong. */
export async function examine(options: ExamineOptions): Promise<Examination> {
  const { settings, probes, findings, stored, clock, limitMs, signal } = options;
  const config = loadConfig(settings.values);
  const ends = new ModelEnds(clock, signal);
  const rows: Row[] = [];
  for (const member of membersOf(providerSettings(config))) {
    const row = await rowOf(member, config, ends, options);
    rows.push(row);
    options.onRow?.(row);
  }
  const database = await tryDatabase({
    url: config.SUPABASE_URL,
    key: config.SUPABASE_SERVICE_ROLE_KEY,
    probes,
    clock,
    limitMs,
    signal,
  });
  const missing = missingSettings(config, settings.bindings).filter((name) => !stored.includes(name));
  const works =
    rows.every(({ outcome: { result } }) => result === 'ok' || result === 'untried') &&
    (database.result === 'ok' ||
      (database.result === 'missing' && database.settings.every((name) => stored.includes(name)))) &&
    findings.every(({ result }) => result !== 'failed');
  return {
    ok: works && missing.length === 0,
    missing,
    findings,
    unguarded: config.AUTH === 'none',
    // What stands in the environment of this process may be meant for other programs.
    withoutEffect: settingsWithoutEffect(settings.values).filter(
      ({ setting }) => settings.sources.get(setting) !== 'the environment',
    ),
    sources: sourcesOf(settings),
    rows,
    database,
  };
}

async function rowOf(member: Member, config: Config, ends: ModelEnds, options: ExamineOptions): Promise<Row> {
  const { title, model, settings } = member;
  const row = { title, vendor: settings.vendor, model };
  const missing = configuredProviders(config)
    .filter(({ prefix }) => prefix === member.prefixes[0])
    .flatMap((provider) => missingKeysOf(config, provider));
  if (missing.length > 0) {
    const outcome: Row['outcome'] = missing.every((name) => options.stored.includes(name))
      ? { result: 'untried', why: withCloudflare(missing) }
      : { result: 'missing', settings: missing };
    return { ...row, outcome, end: null };
  }
  if (settings.vendor === 'workers-ai') {
    return { ...row, outcome: { result: 'untried', why: workersAi }, end: null };
  }
  const { clock, dial, limitMs, signal } = options;
  const trial = await tryMember(member, {
    clock,
    dial,
    limitMs,
    signal,
    agent: {
      voice: voiceFor(config.AGENT_VOICES, config.AGENT_LANGUAGE, config.TTS_VOICE),
      keywords: config.AGENT_KEYWORDS,
      maxOutputTokens: config.AGENT_MAX_OUTPUT_TOKENS,
      ...(config.AGENT_LANGUAGE === undefined ? {} : { language: config.AGENT_LANGUAGE }),
    },
  });
  const outcome =
    trial.result === 'ok' ? trial : { ...trial, advice: adviceOn(member, trial.failure, options.settings) };
  const end = await ends.of(member);
  signal.throwIfAborted();
  return { ...row, outcome, end };
}

/** Why what is stored there was not tried. */
export function withCloudflare(names: readonly string[]): string {
  return `Stored with Cloudflare, which gives them to nobody: ${names.join(', ')}. Repeat them in .dev.vars to try them.`;
}

function sourcesOf({ sources }: FoundSettings): Examination['sources'] {
  const names: Examination['sources'] = {};
  for (const [name, source] of sources) names[source] = [...(names[source] ?? []), name];
  return names;
}
