import { systemClock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import type { Config } from '../config.ts';
import type { DialNode } from '../durable/dial-queue.ts';
import type { Env } from '../env.ts';
import { describeError, log } from '../log.ts';
import { type NodeReport, stateOf } from '../metrics/nodes.ts';
import { readNode } from '../metrics/read.ts';
import { shardOf } from '../metrics/totals.ts';

/** The object that has a call which is to be placed. The shards' number is part of its name: another number, another queue. */
export function dialsOf(env: Env, { DIAL_SHARDS: shards }: Config, callId: string) {
  return dialShard(env, shards, shardOf(callId, shards));
}

export function dialShard(env: Env, shards: number, shard: number) {
  return env.DIALS.get(env.DIALS.idFromName(`${shards}/${shard}`));
}

/** How long a node's report is used without asking again: it comes every 10 s. */
const FRESH_MS = 3_000;
/** The longest wait for it. */
const LOOKUP_MS = 2_000;
const reports = new Map<string, { report: NodeReport | null; until: number }>();

/** How many more calls a node takes, as it has reported of itself: none where it drains, fails or is silent. Rejects where nobody answers. */
export async function roomOf(env: Env, config: Config, { name }: Pick<DialNode, 'name'>): Promise<number> {
  const now = systemClock.now();
  let known = reports.get(name);
  if (known === undefined || known.until <= now) {
    const report = await within(systemClock, LOOKUP_MS, () => readNode(env, config.METRICS_SHARDS, name));
    known = { report, until: now + FRESH_MS };
    if (reports.size > 1_000) reports.clear();
    reports.set(name, known);
  }
  const { report } = known;
  if (report === null || stateOf(report, now) !== 'up') return 0;
  return Math.max(0, report.maxCalls - report.calls);
}

/** Logs it, and is null, where an object does not answer. */
export async function orNull<T>(what: string, ask: Promise<T>): Promise<T | null> {
  try {
    return await ask;
  } catch (error) {
    log('error', 'the queue of calls to be placed does not answer', { what, error: describeError(error) });
    return null;
  }
}
