import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { apiKeyType, generateApiKey } from '@supabase/lite';
import { z } from 'zod';
import { EmbeddedSupabaseError } from './error.ts';

/** A project's secrets. */
export interface ProjectKeys {
  /** `sb_secret_…`: the role `service_role`. */
  serviceRoleKey: string;
  /** `sb_publishable_…`: the role `anon`. */
  publishableKey: string;
  /** Signs the tokens of users (HS256); without one of our own lite would take a published default. */
  jwtSecret: string;
}

const projectKeysSchema = z.object({
  serviceRoleKey: z.string().refine((key) => apiKeyType(key) === 'secret', 'must start with sb_secret_'),
  publishableKey: z
    .string()
    .refine((key) => apiKeyType(key) === 'publishable', 'must start with sb_publishable_'),
  jwtSecret: z.string().min(32),
});

/** The folder that keeps a project over restarts. */
export interface DataFolder {
  /** Postgres' own files. */
  databaseDir: string;
  /** Lets the next process in. Idempotent. */
  release(): Promise<void>;
}

/** Where a data folder keeps its {@link ProjectKeys}, readable by its owner alone. */
export function keysFile(dataDir: string): string {
  return join(dataDir, 'keys.json');
}

/** Takes the folder for this process, making it where it is missing. */
export async function openDataFolder(dataDir: string): Promise<DataFolder> {
  await mkdir(dataDir, { recursive: true });
  const lock = join(dataDir, 'lock');
  // Linked into place with its content: a lock without its owner would look abandoned.
  const draft = `${lock}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, String(process.pid));
  try {
    await link(draft, lock).catch(async (cause: unknown) => {
      if (!isErrorCode(cause, 'EEXIST')) throw cause;
      const owner = Number(await readFile(lock, 'utf8').catch(() => ''));
      if (isAlive(owner)) {
        const message = `${dataDir} is in use by process ${owner}; if that is no embedded Supabase, delete ${lock}`;
        throw new EmbeddedSupabaseError('DATA_IN_USE', message, cause);
      }
      await rm(lock, { force: true });
      await link(draft, lock);
    });
  } finally {
    await rm(draft, { force: true });
  }
  return { databaseDir: join(dataDir, 'postgres'), release: () => rm(lock, { force: true }) };
}

/** Random keys; those of the folder where there is one, so that they stay the same over restarts. */
export async function projectKeys(dataDir: string | undefined): Promise<ProjectKeys> {
  if (dataDir === undefined) return newProjectKeys();
  const file = keysFile(dataDir);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    if (isErrorCode(cause, 'ENOENT')) return null;
    throw cause;
  });
  if (text === null) {
    const keys = await newProjectKeys();
    const draft = `${file}.new`;
    const handle = await open(draft, 'w', 0o600);
    await handle.writeFile(`${JSON.stringify(keys, null, 2)}\n`);
    await handle.close();
    await rename(draft, file);
    return keys;
  }
  try {
    return projectKeysSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new EmbeddedSupabaseError(
      'DATA_DAMAGED',
      `${file} holds no keys; delete it to get new ones`,
      cause,
    );
  }
}

async function newProjectKeys(): Promise<ProjectKeys> {
  return {
    serviceRoleKey: (await generateApiKey('secret')).key,
    publishableKey: (await generateApiKey('publishable')).key,
    jwtSecret: randomBytes(32).toString('base64url'),
  };
}

function isAlive(processId: number): boolean {
  if (!Number.isInteger(processId) || processId <= 0) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return !isErrorCode(error, 'ESRCH');
  }
}

export function isErrorCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
