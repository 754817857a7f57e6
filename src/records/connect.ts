import type { Books } from '../call/funds.ts';
import type { Config } from '../config.ts';
import type { CallRecords } from './call-records.ts';
import { createSupabaseDials, type DialRecords } from './dials.ts';
import { createSupabaseBooks } from './supabase-books.ts';
import { createSupabaseCallRecords } from './supabase-call-records.ts';
import type { SupabaseOptions } from './supabase-project.ts';
import { createFindUserLimit, type FindUserLimit } from './user-limits.ts';

/** The longest wait for one answer of the database. */
const DATABASE_TIMEOUT_MS = 15_000;

export function connectRecords(config: Config): () => CallRecords {
  return connect(config, createSupabaseCallRecords);
}

export function connectBooks(config: Config): () => Books {
  const pricePerSecond = config.PRICE_PER_SECOND ?? '0';
  return connect(config, (options) => createSupabaseBooks({ ...options, pricePerSecond }));
}

export function connectDials(config: Config): () => DialRecords {
  const pricePerSecond = config.BILLING ? (config.PRICE_PER_SECOND ?? '0') : '0';
  return connect(config, (options) => createSupabaseDials({ ...options, pricePerSecond }));
}

export function connectUserLimits(config: Config): () => FindUserLimit {
  return connect(config, createFindUserLimit);
}

/** Connects when it is needed: an object may be woken where the database's settings are missing. */
function connect<Connection>(
  config: Config,
  create: (options: SupabaseOptions) => Connection,
): () => Connection {
  let connection: Connection | null = null;
  return () => {
    const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key } = config;
    if (url === undefined || key === undefined) throw new Error('the database is not set up');
    connection ??= create({ url, key, timeoutMs: DATABASE_TIMEOUT_MS });
    return connection;
  };
}
