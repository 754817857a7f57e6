/** Counts of one shard, or of all shards added up. */
export interface Totals {
  /** Calls started since the counts began. */
  started: number;
  /** Calls in progress. A call whose object vanished counts until its lease is over. */
  active: number;
  ended: number;
  failed: number;
  /** Of the ended calls, in milliseconds. */
  durationMsSum: number;
  /** From the caller's last voiced sample to the first audio sent, over all answered turns, in milliseconds. */
  latencyMsSum: number;
  latencyCount: number;
  /** Of the last five minutes. */
  recentEnded: number;
  recentFailed: number;
}

export const noTotals: Totals = {
  started: 0,
  active: 0,
  ended: 0,
  failed: 0,
  durationMsSum: 0,
  latencyMsSum: 0,
  latencyCount: 0,
  recentEnded: 0,
  recentFailed: 0,
};

export function addTotals(a: Totals, b: Totals): Totals {
  const sum = { ...a };
  for (const key of Object.keys(noTotals) as (keyof Totals)[]) sum[key] += b[key];
  return sum;
}

/** `/metrics` of the contract: seconds, milliseconds, and a rate from 0 to 1 since the counts began. */
export function metricsOf(totals: Totals) {
  return {
    totalCalls: totals.started,
    activeCalls: totals.active,
    averageCallDuration: average(totals.durationMsSum, totals.ended) / 1000,
    errorRate: average(totals.failed, totals.ended),
    averageLatency: average(totals.latencyMsSum, totals.latencyCount),
  };
}

/** Share of the calls ended in the last five minutes that failed. */
export function recentErrorRate(totals: Totals): number {
  return average(totals.recentFailed, totals.recentEnded);
}

function average(sum: number, count: number): number {
  return count === 0 ? 0 : sum / count;
}

/** Which shard counts a call: FNV-1a over the id, which spreads ids that differ in one character. */
export function shardOf(callId: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < callId.length; i++) hash = Math.imul(hash ^ callId.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}

/** The same numbers as Prometheus text (exposition format 0.0.4). */
export function prometheusText(totals: Totals): string {
  const lines: string[] = [];
  const add = (name: string, type: 'counter' | 'gauge', help: string, value: number) =>
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name} ${value}`);
  add('calls_started_total', 'counter', 'Calls started.', totals.started);
  add('calls_ended_total', 'counter', 'Calls ended, failed ones included.', totals.ended);
  add('calls_failed_total', 'counter', 'Calls that the service failed.', totals.failed);
  add('calls_active', 'gauge', 'Calls in progress.', totals.active);
  add('call_duration_seconds_total', 'counter', 'Duration of ended calls.', totals.durationMsSum / 1000);
  add('turns_answered_total', 'counter', 'Turns of callers that were answered.', totals.latencyCount);
  add(
    'turn_latency_seconds_total',
    'counter',
    "From the caller's last voiced sample to the first audio sent, summed over answered turns.",
    totals.latencyMsSum / 1000,
  );
  return `${lines.join('\n')}\n`;
}
