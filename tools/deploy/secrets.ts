import { parseEnv } from 'node:util';
import { z } from 'zod';
import { ConfigError, isSettingName, loadConfig, missingSettings, settingNames } from '../../src/config.ts';
import type { Wrangler } from '../recordings/wrangler.ts';
import { type Environment, environmentFlag } from './environment.ts';
import { DeployError, wranglerFailed } from './failure.ts';
import { parsedOutput } from './namespaces.ts';
import type { Plan } from './plan.ts';

/** Of one secret: https://developers.cloudflare.com/workers/platform/limits/#environment-variables. */
const MOST_BYTES = 5_120;

/** Settings that are kept with Cloudflare as secrets; the others may be as well. */
export const secretNames: readonly string[] = settingNames.filter(
  (name) =>
    /_KEY(?:_ID)?$|_SECRETS?$|(?:SERVICE|METRICS|SESSION)_TOKENS?$|_BEARER_TOKEN_/.test(name) ||
    // Who the nodes are, where the database is, whom to tell of alerts, and what a collector is shown.
    ['NODES', 'SUPABASE_URL', 'ALERT_WEBHOOKS', 'OTEL_EXPORTER_OTLP_HEADERS'].includes(name),
);

/** Names of the secrets without which the Worker of an environment takes no call, by the settings that `wrangler.toml` has for it. */
export function neededSecrets({ vars }: Environment): string[] {
  return missingSettings(loadConfig(vars)).filter(isSettingName);
}

/** Names of the secrets that are stored; null: there is no such Worker yet. */
export async function storedSecrets(
  environment: Environment,
  wrangler: Wrangler,
  signal: AbortSignal,
): Promise<string[] | null> {
  const command = ['secret', 'list', '--format', 'json', ...environmentFlag(environment.name)];
  const { code, output } = await wrangler(command, signal);
  if (code === 0) {
    return parsedOutput(z.array(z.object({ name: z.string() })), output, command).map(({ name }) => name);
  }
  if (/\bnot found\b|\[code: 10007\]/.test(output)) return null;
  throw wranglerFailed(command, output);
}

/** Secrets of a file of lines `NAME=value`, and its other names. Throws {@link DeployError}. */
export function secretsOfFile(text: string): { values: Map<string, string>; others: string[] } {
  const entries = Object.entries(parseEnv(text)).flatMap(([name, value]) =>
    value === undefined || value.trim() === '' ? [] : [[name, value] as const],
  );
  return {
    values: new Map(entries.filter(([name]) => secretNames.includes(name))),
    others: entries.map(([name]) => name).filter((name) => !secretNames.includes(name)),
  };
}

/** The value as it is stored. Throws {@link DeployError} where the service would not take it; the message does not hold it. */
export function checkedSecret(name: string, value: string): string {
  // A file, and most editors, end in a line break.
  const kept = value.replace(/\r?\n$/, '');
  if (kept.trim() === '') throw new DeployError(`${name} is empty.`);
  if (Buffer.byteLength(kept) > MOST_BYTES) {
    throw new DeployError(`${name} has more than ${MOST_BYTES} bytes, which Cloudflare does not keep.`);
  }
  try {
    loadConfig({ [name]: kept });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new DeployError(error.message);
  }
  return kept;
}

/** Refuses names that mean nothing to the Worker, and values where a name should be. Throws {@link DeployError}. */
export function checkSecretName(name: string): void {
  if (name.includes('=')) {
    throw new DeployError(
      'A value in the command line stands in the shell’s history, and every process of this machine may read it: give the name alone, or --file.',
    );
  }
  if (!isSettingName(name)) {
    throw new DeployError(`There is no setting ${name}. Secrets are: ${secretNames.join(', ')}.`);
  }
}

/** @param values null: they will be asked for. @param stored see {@link storedSecrets}. */
export function planSecrets(
  environment: Environment,
  names: readonly string[],
  values: ReadonlyMap<string, string> | null,
  stored: readonly string[] | null,
  wrangler: Wrangler,
  signal: AbortSignal,
): Plan {
  const needed = neededSecrets(environment).filter((name) => !(stored ?? []).includes(name));
  const left = needed.filter((name) => !names.includes(name));
  const command = ['secret', 'bulk', ...environmentFlag(environment.name)];
  const facts = [
    ...(stored === null
      ? [`There is no Worker ${environment.worker} yet: an empty one is made to hold them.`]
      : []),
    ...(left.length > 0 ? [`Still missing then: ${left.join(', ')}.`] : []),
  ];
  const told = names.map((name) =>
    stored?.includes(name) ? `${name} in place of the one that is there` : name,
  );
  return {
    title: `Secrets of ${environment.worker} (${environment.name}):`,
    facts,
    steps:
      names.length === 0
        ? [{ what: 'every secret that is needed is stored', command: null }]
        : [
            {
              what: `store ${told.join(', ')}`,
              command: `npx wrangler ${command.join(' ')}`,
              run: async () => {
                const { code, output } = await wrangler(
                  command,
                  signal,
                  JSON.stringify(Object.fromEntries(values ?? [])),
                );
                if (code !== 0) throw wranglerFailed(command, output);
              },
            },
          ],
    refusals: [],
  };
}
