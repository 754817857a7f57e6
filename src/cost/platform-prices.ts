/** What the platform charges, each beyond what is included a month. In US dollars. */
export interface PlatformPrice {
  /** A billed unit, e.g. `million requests`. */
  unit: string;
  usd: number;
  /** Units a month that the plan includes. */
  included: number;
  standing: 'published' | 'unverified';
  source: string;
  read: string;
  note?: string;
}

const READ = '2026-11-21';
const WORKERS = 'https://developers.cloudflare.com/workers/platform/pricing/';
const OBJECTS = 'https://developers.cloudflare.com/durable-objects/platform/pricing/';
const KV = 'https://developers.cloudflare.com/kv/platform/pricing/';
const R2 = 'https://developers.cloudflare.com/r2/pricing/';
const ANALYTICS = 'https://developers.cloudflare.com/analytics/analytics-engine/pricing/';
const COMPUTE = 'https://supabase.com/docs/guides/platform/manage-your-usage/compute';
const SUPABASE = 'https://supabase.com/docs/guides/platform/billing-on-supabase';

function published(
  unit: string,
  usd: number,
  included: number,
  source: string,
  note?: string,
): PlatformPrice {
  return {
    unit,
    usd,
    included,
    standing: 'published',
    source,
    read: READ,
    ...(note === undefined ? {} : { note }),
  };
}

export const platformPrices = {
  workersPlan: published('month', 5, 0, WORKERS),
  workerRequests: published(
    'million requests',
    0.3,
    10,
    WORKERS,
    'A WebSocket is one request; its messages are none.',
  ),
  workerCpu: published('million CPU ms', 0.02, 30, WORKERS),
  objectRequests: published(
    'million requests',
    0.15,
    1,
    OBJECTS,
    'Incoming WebSocket messages count 20 to 1, outgoing ones nothing.',
  ),
  objectDuration: published(
    'million GB-s',
    12.5,
    0.4,
    OBJECTS,
    '128 MB for as long as the object lives, whatever it uses; an accepted socket keeps it alive.',
  ),
  rowsWritten: published('million rows', 1, 50, OBJECTS, 'Values, alarms and deletions are rows too.'),
  rowsRead: published('million rows', 0.001, 25_000, OBJECTS),
  objectStorage: published('GB-month', 0.2, 5, OBJECTS),
  kvReads: published('million reads', 0.5, 10, KV),
  r2Storage: published('GB-month', 0.015, 10, R2),
  r2Infrequent: published('GB-month', 0.01, 0, R2),
  r2Writes: published('million class A operations', 4.5, 1, R2),
  r2InfrequentWrites: published('million class A operations', 9, 0, R2),
  analyticsPoints: published('million data points', 0.25, 10, ANALYTICS),
  logEvents: published(
    'million events',
    0.6,
    20,
    WORKERS,
    'Until 2026-12-01; then Cloudflare’s Observability prices.',
  ),
  supabasePlan: published('month', 25, 0, SUPABASE, 'Includes $10 of compute.'),
  supabaseMicro: published('month', 0, 0, COMPUTE, 'Micro: $10, which the plan has as a credit.'),
  supabaseLarge: published('month', 100, 0, COMPUTE, 'Large: $110, less the credit of $10.'),
  supabase2Xl: published('month', 400, 0, COMPUTE, '2XL: $410, less the credit.'),
  supabase16Xl: published(
    'month',
    3_720,
    0,
    COMPUTE,
    '16XL, the largest with a list price: $3,730, less the credit.',
  ),
  supabaseDisk: published('GB-month', 0.125, 8, SUPABASE),
  node: {
    unit: 'server-month',
    usd: 80,
    included: 0,
    standing: 'unverified',
    source: 'document 000, "30 nodes × $80/node"',
    read: READ,
    note: 'What a server of eight cores costs is taken from the document: set your own.',
  },
} as const satisfies Record<string, PlatformPrice>;

export type PlatformItem = keyof typeof platformPrices;
