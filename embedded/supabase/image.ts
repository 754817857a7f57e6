import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { PGlite } from '@supabase/lite/pglite';
import { z } from 'zod';

/**
 * An empty database as a gzipped tar, made by the first start and kept beside the packages it depends on: making
 * one takes PGlite 3 s, reading it back 0.5 s. Losing it costs nothing but the time.
 * @param onMake Called where it has to be made.
 */
export async function emptyDatabaseImage(cacheDir: string, onMake: () => void): Promise<Blob> {
  const file = join(cacheDir, `empty-database-pglite-${await pgliteVersion()}.tar.gz`);
  try {
    const bytes = await readFile(file);
    // Its checksum finds what a full disk or a killed process has cut short.
    await promisify(gunzip)(bytes);
    return new Blob([bytes]);
  } catch {
    onMake();
  }
  const database = await PGlite.create();
  try {
    const image = await database.dumpDataDir('gzip');
    await keep(file, cacheDir, new Uint8Array(await image.arrayBuffer()));
    return image;
  } finally {
    await database.close();
  }
}

/**
 * Unpacks an empty database into a folder that does not exist yet; does nothing where it does. The folder appears
 * whole or not at all: a start that was killed half-way leaves nothing that looks like a database.
 */
export async function ensureDatabaseFolder(folder: string, image: () => Promise<Blob>): Promise<void> {
  if (existsSync(folder)) return;
  const draft = `${folder}.new`;
  await rm(draft, { recursive: true, force: true });
  const database = await PGlite.create({ dataDir: draft, loadDataDir: await image() });
  await database.close();
  await rename(draft, folder);
}

/** Other processes may be making the same file: each writes its own and moves it into place. */
async function keep(file: string, cacheDir: string, bytes: Uint8Array): Promise<void> {
  const draft = `${file}.${randomUUID()}`;
  try {
    await mkdir(cacheDir, { recursive: true });
    await writeFile(draft, bytes);
    await rename(draft, file);
  } catch {
    // A read-only installation: the next start makes its own again.
    await rm(draft, { force: true }).catch(() => undefined);
  }
}

/** The image can only be read by the version of PGlite that made it: lite's own, which need not be the top one. */
async function pgliteVersion(): Promise<string> {
  const lite = findPackageJSON('@supabase/lite/pglite', import.meta.url);
  const pglite = lite && findPackageJSON('@electric-sql/pglite', lite);
  if (!pglite) throw new Error('@supabase/lite or its PGlite is not installed');
  return z.object({ version: z.string() }).parse(JSON.parse(await readFile(pglite, 'utf8'))).version;
}
