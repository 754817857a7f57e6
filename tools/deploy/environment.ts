import path from 'node:path';
import { z } from 'zod';
import { DeployError } from './failure.ts';

/** Of `wrangler.toml`; `development` is its top level. */
export const environmentNames = ['development', 'staging', 'production'] as const;
export type EnvironmentName = (typeof environmentNames)[number];

export interface Bucket {
  binding: string;
  name: string;
  jurisdiction: string | null;
}

export interface Namespace {
  binding: string;
  /** Null: the file has none yet. */
  id: string | null;
  /** What it is called in the account: as wrangler calls those that it makes by itself, so that either finds the other's. */
  title: string;
}

/** What an environment consists of, as `wrangler.toml` has it. */
export interface Environment {
  name: EnvironmentName;
  /** The Worker's name. */
  worker: string;
  buckets: Bucket[];
  namespaces: Namespace[];
  /** Names of all that the Worker is given. */
  bindings: string[];
  /** The last of the classes' migrations. */
  migrationTag: string | null;
  /** How a deploy treats calls in progress, as `--durable-objects-code-update-mode` takes it. */
  codeUpdate: string | null;
  vars: Record<string, unknown>;
}

const configSchema = z.object({
  name: z.string().min(1),
  r2_buckets: z.array(
    z.object({ binding: z.string(), bucket_name: z.string(), jurisdiction: z.string().optional() }),
  ),
  kv_namespaces: z.array(z.object({ binding: z.string(), id: z.string().optional() })),
  analytics_engine_datasets: z.array(z.object({ binding: z.string() })),
  ratelimits: z.array(z.object({ name: z.string() })),
  migrations: z.array(z.object({ tag: z.string() })),
  durable_objects: z.object({
    bindings: z.array(z.object({ name: z.string() })),
    code_update_strategy: z.object({ mode: z.string(), max_delay: z.number().optional() }).optional(),
  }),
  vars: z.record(z.string(), z.unknown()),
});

/** Reads an environment by wrangler's own reader. Throws {@link DeployError}. */
export async function readEnvironment(root: string, name: EnvironmentName): Promise<Environment> {
  // Takes a second to load: not for `--help`.
  const { unstable_readConfig } = await import('wrangler');
  let config: z.output<typeof configSchema>;
  try {
    const file = { config: path.join(root, 'wrangler.toml') };
    const given = name === 'development' ? file : { ...file, env: name };
    config = configSchema.parse(unstable_readConfig(given, { hideWarnings: true }));
  } catch (cause) {
    throw new DeployError(`wrangler.toml: ${(cause as Error).message}`, { cause });
  }
  const strategy = config.durable_objects.code_update_strategy;
  return {
    name,
    worker: config.name,
    buckets: config.r2_buckets.map(({ binding, bucket_name, jurisdiction = null }) => ({
      binding,
      name: bucket_name,
      jurisdiction,
    })),
    namespaces: config.kv_namespaces.map(({ binding, id = null }) => ({
      binding,
      id,
      title: `${config.name}-${binding.toLowerCase().replaceAll('_', '-')}`,
    })),
    bindings: [
      ...[...config.durable_objects.bindings, ...config.ratelimits].map(({ name }) => name),
      ...[...config.r2_buckets, ...config.kv_namespaces, ...config.analytics_engine_datasets].map(
        ({ binding }) => binding,
      ),
    ],
    migrationTag: config.migrations.at(-1)?.tag ?? null,
    codeUpdate:
      strategy?.mode === 'deferred' && strategy.max_delay !== undefined
        ? `deferred ${strategy.max_delay}s`
        : null,
    vars: config.vars,
  };
}

/** What tells wrangler which environment is meant; an empty name is the top level. */
export function environmentFlag(name: EnvironmentName): string[] {
  return ['--env', name === 'development' ? '' : name];
}
