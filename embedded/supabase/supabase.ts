import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { App } from '@supabase/lite';
import { HostedLikeConnection } from './connection.ts';
import { openDataFolder, projectKeys } from './data-folder.ts';
import { listen } from './gateway.ts';
import { emptyDatabaseImage, ensureDatabaseFolder } from './image.ts';
import { applyMigrations, readMigrations } from './migrations.ts';
import { serial } from './serial.ts';

export interface StartSupabaseOptions {
  /** 0, the default: any free one. */
  port?: number;
  /** `127.0.0.1` by default. */
  host?: string;
  /** Folder that keeps the project (database and keys) over restarts; in memory without. One process at a time. */
  dataDir?: string;
  /** The repository's `supabase/migrations` by default. */
  migrationsDir?: string;
  /** Where an empty database is kept to start faster; `node_modules/.cache` by default. */
  cacheDir?: string;
  /** Called with a sentence as each slow step begins. */
  onProgress?: (message: string) => void;
}

/** A running Supabase project: Postgres behind the REST interface of a hosted one. */
export interface EmbeddedSupabase {
  /** `SUPABASE_URL`. */
  url: string;
  /** `SUPABASE_SERVICE_ROLE_KEY`. */
  serviceRoleKey: string;
  /** The key of browsers: the role `anon`. */
  publishableKey: string;
  /** Signs the tokens of users (HS256), as a hosted project's legacy secret does. */
  jwtSecret: string;
  /** Versions of the migrations that this start applied. */
  migrationsApplied: readonly string[];
  /**
   * Runs one statement as the database's owner, past the REST interface, in turn with its requests. Changing the
   * schema this way is not seen by the REST interface.
   */
  query<Row extends Record<string, unknown>>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  /** Finishes the request in hand and leaves nothing running. Idempotent. */
  close(): Promise<void>;
}

const root = join(import.meta.dirname, '..', '..');
/** Where starts keep the empty database; deleting it costs 3 s once. */
export const defaultCacheDir = join(root, 'node_modules', '.cache', 'embedded-supabase');
/** Requests waiting for the one connection; a full queue answers 503. */
const MAX_PENDING_REQUESTS = 1_000;

/**
 * Starts a Supabase project in this process: `@supabase/lite` over PGlite, with the migrations that production uses.
 * Nothing leaves this machine: lite's telemetry lives in its command line, which is not loaded.
 * Ready in about a second, in four where the empty database has to be made first. Some 500 MB of memory.
 * @throws EmbeddedSupabaseError
 */
export async function startSupabase(options: StartSupabaseOptions = {}): Promise<EmbeddedSupabase> {
  const { dataDir, host = '127.0.0.1', port = 0, onProgress = () => undefined } = options;
  const migrations = await readMigrations(options.migrationsDir ?? join(root, 'supabase', 'migrations'));
  const opened: (() => Promise<void>)[] = [];
  const closeAll = async () => {
    for (const close of opened.splice(0).reverse()) await close();
  };
  try {
    const folder = dataDir === undefined ? undefined : await openDataFolder(dataDir);
    if (folder !== undefined) opened.push(folder.release);
    const keys = await projectKeys(dataDir);

    onProgress('starting Postgres');
    const image = () =>
      emptyDatabaseImage(options.cacheDir ?? defaultCacheDir, () =>
        onProgress('making an empty database, the first time only (about 4 s)'),
      );
    if (folder !== undefined) await ensureDatabaseFolder(folder.databaseDir, image);
    const connection = new HostedLikeConnection(
      folder === undefined ? { image: await image() } : { folder: folder.databaseDir },
    );
    opened.push(() => connection.close());
    await connection.prepare();

    const migrationsApplied = await applyMigrations(connection.driver, migrations);
    if (migrationsApplied.length > 0) onProgress(`applied migrations ${migrationsApplied.join(', ')}`);

    const app = new App({
      connection,
      auth: {
        // Its routes stay closed (`gateway.ts`): this lets users' tokens into `/rest/v1`, of users in `auth.users`.
        enabled: true,
        secret_key: keys.serviceRoleKey,
        publishable_key: keys.publishableKey,
        jwt_secret: keys.jwtSecret,
      },
      options: { server: { disableStudio: true, disableFallback: true, admin: false } },
    });
    await app.init();

    const oneAtATime = serial(MAX_PENDING_REQUESTS);
    const server = await listen(app, oneAtATime, { host, port });
    opened.push(async () => {
      await stopListening(server);
      await oneAtATime(async () => undefined).catch(() => undefined);
    });
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;
    onProgress(`Supabase is ready at ${url}`);

    let closing: Promise<void> | undefined;
    return {
      url,
      serviceRoleKey: keys.serviceRoleKey,
      publishableKey: keys.publishableKey,
      jwtSecret: keys.jwtSecret,
      migrationsApplied,
      query: <Row>(sql: string, parameters: unknown[] = []) =>
        oneAtATime(async () => (await connection.driver.query<Row>(sql, parameters)).rows),
      close: () => {
        closing ??= closeAll();
        return closing;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function stopListening(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const grace = setTimeout(() => server.closeAllConnections(), 2_000);
  await closed;
  clearTimeout(grace);
}
