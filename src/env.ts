import type { CallSessionDO } from './CallSessionDO.ts';
import type { MetricsDO } from './MetricsDO.ts';

/** What `wrangler.toml` binds, beside the settings that `config.ts` parses. */
export interface Env {
  CALL_SESSION: DurableObjectNamespace<CallSessionDO>;
  METRICS: DurableObjectNamespace<MetricsDO>;
  RECORDINGS: R2Bucket;
  /** Ready audio of sentences that are said again and again. */
  CACHE_KV: KVNamespace;
  /** Workers AI, where `wrangler.toml` binds it. */
  AI?: Ai;
}
