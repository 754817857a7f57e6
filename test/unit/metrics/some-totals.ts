import { latencyBoundsMs, observe } from '../../../src/metrics/histogram.ts';
import type { Sums } from '../../../src/metrics/sums.ts';
import type { Totals } from '../../../src/metrics/totals.ts';

const sums: Sums = {
  calls: { started: 12, ended: 8, failed: 2, durationMs: 80_000 },
  ends: { hangup: 6, error: 2 },
  failedEnds: { error: 2 },
  duration: { '3': 8, sum: 80_000 },
  turns: { caller: 5, agent: 6 },
  counts: {
    answered: 2,
    interruptions: 3,
    cacheLookups: 8,
    cacheHits: 6,
    drops: 2,
    resumes: 1,
    speculationsUsed: 4,
    speculationsDiscarded: 1,
  },
  answers: { 'openai/gpt-6-luna': 7 },
  failures: { 'openai/gpt-6-luna timeout': 2, 'service internal_error': 1 },
  costMicroUsd: { 'openai/gpt-6-luna': 1_500_000 },
  refusals: { 'call TOO_MANY_CALLS': 4, 'request RATE_LIMIT': 9 },
};
for (const ms of [800, 1_000]) observe(sums, 'latency total', latencyBoundsMs, ms);

/** A bit of everything. */
export const someTotals: Totals = {
  sums,
  recent: {
    minute: { failures: { 'openai/gpt-6-luna timeout': 2, 'service internal_error': 1 } },
    fiveMinutes: { calls: { ended: 4, failed: 1 }, failedEnds: { error: 1 } },
  },
  active: 2,
  waiting: { 'log ended': 2 },
};
