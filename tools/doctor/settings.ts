import path from 'node:path';
import { authSchema } from '../../src/auth/settings.ts';
import { providerSchema } from '../../src/provider-settings.ts';

/** Where a setting was found. */
export type SettingSource = 'the environment' | '.dev.vars or .env' | 'wrangler.toml' | '`npm start`';

/** Settings by name, as the Worker would be given them, and where each was found. */
export interface FoundSettings {
  values: Record<string, unknown>;
  sources: ReadonlyMap<string, SettingSource>;
  /** Those of the Worker's bindings that providers need. */
  bindings?: { AI?: unknown };
}

/** The files that hold settings cannot be read; the message says which and why. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

export interface SettingsOptions {
  /** The folder of `wrangler.toml`. */
  root: string;
  /** Of `wrangler.toml`; undefined: its top level. */
  environment: string | undefined;
  /** `process.env`. */
  variables: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads what `wrangler dev` would give the Worker, by wrangler's own reader: `[vars]` of `wrangler.toml`, and over them `.dev.vars` (or
 * `.env`). Over both go the process' environment variables, of which those with the name of a setting are taken. Throws
 * {@link SettingsError}.
 */
export async function readSettings(options: SettingsOptions): Promise<FoundSettings> {
  const { root, environment, variables } = options;
  const values: Record<string, unknown> = {};
  const sources = new Map<string, SettingSource>();
  const files = await readFiles(root, environment);
  for (const [name, binding] of Object.entries(files.variables)) {
    values[name] = binding.value;
    sources.set(name, binding.type === 'secret_text' ? '.dev.vars or .env' : 'wrangler.toml');
  }
  for (const [name, value] of Object.entries(variables)) {
    // An empty one counts as not set, for the Worker as well.
    if (!isSetting(name) || value === undefined || value.trim() === '') continue;
    values[name] = value;
    sources.set(name, 'the environment');
  }
  return { values, sources, bindings: files.bindings };
}

/** The settings of providers, database, agent, personal data and of who may call: all that is used here. */
function isSetting(name: string): boolean {
  if (Object.hasOwn(providerSchema, name) || Object.hasOwn(authSchema, name)) return true;
  return /^(SUPABASE|AGENT|PERSONAL)_[A-Z_]+$/.test(name);
}

async function readFiles(
  root: string,
  environment: string | undefined,
): Promise<{ variables: Record<string, { type: string; value: unknown }>; bindings: { AI?: unknown } }> {
  // Takes a second to load: not for `--help`, nor for `--local`.
  const { unstable_getVarsForDev, unstable_readConfig } = await import('wrangler');
  try {
    const file = path.join(root, 'wrangler.toml');
    const { vars, ai } = unstable_readConfig(
      { config: file, ...(environment === undefined ? {} : { env: environment }) },
      { hideWarnings: true },
    );
    const variables = await unstable_getVarsForDev(file, undefined, vars, environment, true);
    return { variables, bindings: ai?.binding === 'AI' ? { AI: ai } : {} };
  } catch (cause) {
    throw new SettingsError((cause as Error).message, { cause });
  }
}
