import type { AlertsDO } from './AlertsDO.ts';
import type { CallSessionDO } from './CallSessionDO.ts';
import type { DialQueueDO } from './DialQueueDO.ts';
import type { MetricsDO } from './MetricsDO.ts';
import type { PermitsDO } from './PermitsDO.ts';
import type { UserCallsDO } from './UserCallsDO.ts';

/** What `wrangler.toml` binds, beside the settings that `config.ts` parses. */
export interface Env {
  CALL_SESSION: DurableObjectNamespace<CallSessionDO>;
  METRICS: DurableObjectNamespace<MetricsDO>;
  USER_CALLS: DurableObjectNamespace<UserCallsDO>;
  PERMITS: DurableObjectNamespace<PermitsDO>;
  DIALS: DurableObjectNamespace<DialQueueDO>;
  ALERTS: DurableObjectNamespace<AlertsDO>;
  RECORDINGS: R2Bucket;
  /** Recordings that `REGIONS` keeps in the European Union. */
  RECORDINGS_EU?: R2Bucket;
  /** Ready audio of sentences that are said again and again. */
  CACHE_KV: KVNamespace;
  /** Who asks how often, by address; without it each isolate, and each location, counts for itself. */
  RATE_LIMIT_KV?: KVNamespace;
  /** The limits of one Cloudflare location: per address, and per node. */
  RATE_LIMITER?: RateLimit;
  NODE_RATE_LIMITER?: RateLimit;
  /** Data points of calls, where `wrangler.toml` binds a data set. */
  ANALYTICS?: AnalyticsEngineDataset;
  /** Workers AI, where `wrangler.toml` binds it. */
  AI?: Ai;
}
