import { loadConfig } from '../config.ts';
import type { Env } from '../env.ts';
import { describeError, log } from '../log.ts';
import { families } from '../metrics/call-report.ts';
import { averageOf } from '../metrics/histogram.ts';
import { nodeCounts } from '../metrics/nodes.ts';
import { readCounts } from '../metrics/read.ts';
import { sumAt, sumOf } from '../metrics/sums.ts';
import { type Counts, endings, latencyOf, providerFailures } from '../metrics/totals.ts';
import type { CostSoFar } from './cost-hours.ts';
import type { CountedFigures } from './figures.ts';

/** What is looked at each minute. */
export interface Look {
  /** Milliseconds since the epoch. */
  at: number;
  /** Null: the objects that count did not all answer. */
  counts: CountedFigures | null;
  /** Null also where no price is known. */
  cost: CostSoFar | null;
}

/** What the objects that count know at `now`, of what the rules look at. */
export async function figuresNow(env: Env, now: number): Promise<Look> {
  try {
    const counts = await readCounts(env, loadConfig(env).METRICS_SHARDS, now);
    return { at: now, counts: figuresOf(counts, now), cost: costOf(counts) };
  } catch (error) {
    log('error', 'the counts could not be read', { error: describeError(error) });
    return { at: now, counts: null, cost: null };
  }
}

export function figuresOf({ totals, nodes }: Counts, now: number): CountedFigures {
  const { minute, fiveMinutes } = totals.recent;
  const latency = latencyOf(fiveMinutes, 'total');
  return {
    ...endings(fiveMinutes),
    answers: latency.count,
    latencyMs: averageOf(latency),
    providerFailures: providerFailures(minute),
    waiting: totals.waiting,
    nodes: nodeCounts(nodes, now),
  };
}

function costOf({ totals: { sums } }: Counts): CostSoFar | null {
  if (sums[families.costMicroUsd] === undefined) return null;
  return {
    microUsd: sumOf(sums, families.costMicroUsd),
    callSeconds: sumAt(sums, families.calls, 'durationMs') / 1_000,
  };
}
