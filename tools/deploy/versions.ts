import { z } from 'zod';
import type { Wrangler } from '../recordings/wrangler.ts';
import { type Environment, environmentFlag } from './environment.ts';
import { wranglerFailed } from './failure.ts';
import { parsedOutput } from './namespaces.ts';

export interface Deployment {
  /** The version that had, or has, all requests; of a gradual one, the one with most. */
  version: string;
  createdAt: string;
}

const annotationsSchema = z.record(z.string(), z.unknown()).nullish();
const deploymentsSchema = z.array(
  z.object({
    created_on: z.string(),
    versions: z.array(z.object({ version_id: z.string(), percentage: z.number() })).min(1),
  }),
);

/** The newest first. None: the Worker was never deployed, or is only there to hold secrets. */
export async function deployments(
  { name }: Environment,
  wrangler: Wrangler,
  signal: AbortSignal,
): Promise<Deployment[]> {
  const command = ['deployments', 'list', '--json', ...environmentFlag(name)];
  const { code, output } = await wrangler(command, signal);
  if (code !== 0) {
    if (/\[code: 10007\]|has no deployments/.test(output)) return [];
    throw wranglerFailed(command, output);
  }
  return parsedOutput(deploymentsSchema, output, command)
    .map(({ created_on, versions }) => ({
      createdAt: created_on,
      version: versions.reduce((most, each) => (each.percentage > most.percentage ? each : most)).version_id,
    }))
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
}

export interface Version {
  id: string;
  createdAt: string;
  message: string | null;
  /** Names of what it is given. */
  bindings: string[];
  /** Of the objects' classes. */
  migrationTag: string | null;
}

const versionSchema = z.object({
  id: z.string(),
  metadata: z.object({ created_on: z.string() }),
  annotations: annotationsSchema,
  resources: z
    .object({
      bindings: z.array(z.object({ name: z.string() })).default([]),
      script_runtime: z.object({ migration_tag: z.string().nullish() }).nullish(),
    })
    .nullish(),
});

export async function versionOf(
  { name }: Environment,
  id: string,
  wrangler: Wrangler,
  signal: AbortSignal,
): Promise<Version> {
  const command = ['versions', 'view', id, '--json', ...environmentFlag(name)];
  const { code, output } = await wrangler(command, signal);
  if (code !== 0) throw wranglerFailed(command, output);
  const { metadata, annotations, resources } = parsedOutput(versionSchema, output, command);
  const message = annotations?.['workers/message'];
  return {
    id,
    createdAt: metadata.created_on,
    message: typeof message === 'string' ? message : null,
    bindings: resources?.bindings.map((binding) => binding.name) ?? [],
    migrationTag: resources?.script_runtime?.migration_tag ?? null,
  };
}
