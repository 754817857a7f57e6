import { families, type LatencyPart, latencyParts, SERVICE, twoLabels } from './call-report.ts';
import { averageOf, type Histogram, histogramOf, latencyBoundsMs, percentile } from './histogram.ts';
import type { NodeReport } from './nodes.ts';
import { add, type Sums, sumAt } from './sums.ts';

/** Counts of one shard, or of all shards added up. */
export interface Totals {
  /** Since the counts began. */
  sums: Sums;
  /** Of the last minute and of the last five, to ten seconds: `calls` (`ended`, `failed`), `failedEnds`, `failures`, `latency total`. */
  recent: { minute: Sums; fiveMinutes: Sums };
  /** Calls in progress. A call whose object vanished counts until its lease is over (`REPORT_LEASE_MS`). */
  active: number;
  /** Deliveries of calls that have failed and are being repeated, by their name. */
  waiting: Record<string, number>;
}

/** What the objects that count know together. */
export interface Counts {
  totals: Totals;
  /** Of each node the last report. */
  nodes: NodeReport[];
}

export const noTotals: Totals = {
  sums: {},
  recent: { minute: {}, fiveMinutes: {} },
  active: 0,
  waiting: {},
};

export function addTotals(a: Totals, b: Totals): Totals {
  const sum = structuredClone(a);
  add(sum.sums, b.sums);
  add(sum.recent.minute, b.recent.minute);
  add(sum.recent.fiveMinutes, b.recent.fiveMinutes);
  for (const [delivery, count] of Object.entries(b.waiting)) {
    sum.waiting[delivery] = (sum.waiting[delivery] ?? 0) + count;
  }
  sum.active += b.active;
  return sum;
}

/** Codes of calls that were refused for want of room, or since something here had failed: the caller did nothing wrong. */
const OUR_REFUSALS = ['call TOO_MANY_CALLS', 'call INTERNAL_ERROR'];

/** `/metrics` as JSON. The first five fields are the contract's: seconds, milliseconds, and a rate from 0 to 1 since the counts began. */
export function metricsOf(totals: Totals) {
  const { sums, recent } = totals;
  const counts = (name: string) => sumAt(sums, families.counts, name);
  const { ended, failed } = endings(sums);
  return {
    totalCalls: sumAt(sums, families.calls, 'started'),
    activeCalls: totals.active,
    averageCallDuration: ratio(sumAt(sums, families.calls, 'durationMs'), ended) / 1_000,
    errorRate: errorRate(sums),
    averageLatency: averageOf(latencyOf(sums, 'total')),

    endedCalls: ended,
    failedCalls: failed,
    /** Started, and neither ended nor heard of within their lease. */
    unaccountedCalls: unaccounted(totals),
    callSuccessRate: successRate(sums),
    callsByEnd: sums[families.ends] ?? {},
    failedCallsByEnd: sums[families.failedEnds] ?? {},
    latency: Object.fromEntries(latencyParts.map((part) => [part, latencySummary(sums, part)])),
    recent: {
      seconds: 300,
      ...endings(recent.fiveMinutes),
      errorRate: errorRate(recent.fiveMinutes),
      latency: latencySummary(recent.fiveMinutes, 'total'),
      providerFailuresLastMinute: Object.values(providerFailures(recent.minute)).reduce((a, b) => a + b, 0),
    },
    turns: { caller: 0, agent: 0, ...sums[families.turns] },
    providers: providersOf(sums),
    cache: {
      lookups: counts('cacheLookups'),
      hits: counts('cacheHits'),
      hitRate: ratio(counts('cacheHits'), counts('cacheLookups')),
    },
    interruptions: counts('interruptions'),
    falseInterruptions: counts('falseInterruptions'),
    backchannels: counts('backchannels'),
    drops: counts('drops'),
    resumes: counts('resumes'),
    speculation: { used: counts('speculationsUsed'), discarded: counts('speculationsDiscarded') },
    outboxWaiting: totals.waiting,
    refusals: Object.entries(sums[families.refusals] ?? {}).map(([label, count]) => {
      const [at, code] = twoLabels(label);
      return { at, code, count };
    }),
  };
}

/** Ended calls, and those of them that the service failed. */
export function endings(sums: Sums): { ended: number; failed: number } {
  return { ended: sumAt(sums, families.calls, 'ended'), failed: sumAt(sums, families.calls, 'failed') };
}

/** Failed ÷ ended calls; 0 where none has ended. */
export function errorRate(sums: Sums): number {
  const { ended, failed } = endings(sums);
  return ratio(failed, ended);
}

/** Calls that ended well ÷ those that ended or were turned away through no fault of their own; 1 where there were none. */
export function successRate(sums: Sums): number {
  const { ended, failed } = endings(sums);
  const refused = OUR_REFUSALS.reduce((sum, label) => sum + sumAt(sums, families.refusals, label), 0);
  return ended + refused === 0 ? 1 : (ended - failed) / (ended + refused);
}

/** Calls that have started, of which nothing is known any more. */
export function unaccounted({ sums, active }: Totals): number {
  // Shards are read one after the other: a call may have ended in between.
  return Math.max(0, sumAt(sums, families.calls, 'started') - sumAt(sums, families.calls, 'ended') - active);
}

/** Requests that failed, by provider; without the service's own failures. */
export function providerFailures(sums: Sums): Record<string, number> {
  const failures: Record<string, number> = {};
  for (const [label, count] of Object.entries(sums[families.failures] ?? {})) {
    const [provider] = twoLabels(label);
    if (provider !== SERVICE) failures[provider] = (failures[provider] ?? 0) + count;
  }
  return failures;
}

export function latencyOf(sums: Sums, part: LatencyPart): Histogram {
  return histogramOf(sums, families.latency(part), latencyBoundsMs);
}

/** Milliseconds; percentiles null where there were no turns. */
export function latencySummary(sums: Sums, part: LatencyPart) {
  const histogram = latencyOf(sums, part);
  const at = (share: number) => {
    const ms = percentile(histogram, latencyBoundsMs, share);
    return ms === null ? null : Math.round(ms);
  };
  return {
    count: histogram.count,
    average: averageOf(histogram),
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
  };
}

/** By provider: what it answered, how it failed, and what it cost where that is known. */
function providersOf(sums: Sums) {
  const providers: Record<
    string,
    { answers: number; failures: Record<string, number>; costMicroUsd?: number }
  > = {};
  const of = (name: string) => {
    providers[name] ??= { answers: 0, failures: {} };
    return providers[name];
  };
  for (const [name, count] of Object.entries(sums[families.answers] ?? {})) of(name).answers = count;
  for (const [label, count] of Object.entries(sums[families.failures] ?? {})) {
    const [name, kind] = twoLabels(label);
    of(name).failures[kind] = count;
  }
  for (const [name, cost] of Object.entries(sums[families.costMicroUsd] ?? {})) of(name).costMicroUsd = cost;
  return providers;
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** Which shard counts a call: FNV-1a over the id, which spreads ids that differ in one character. */
export function shardOf(callId: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < callId.length; i++) hash = Math.imul(hash ^ callId.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}
