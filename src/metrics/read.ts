import { systemClock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import type { Env } from '../env.ts';
import type { NodeReport } from './nodes.ts';
import { addTotals, noTotals, shardOf, type Totals } from './totals.ts';

/** The object that counts a shard's calls. Its name has the number of shards: a change starts the counts anew. */
export function metricsShard(env: Env, shard: number, shards: number) {
  return env.METRICS.get(env.METRICS.idFromName(`${shards}/${shard}`));
}

/** The longest wait for all of them: who asks whether the service is well wants to be told that it is not. */
const TIMEOUT_MS = 2_000;

/** The counts of the whole deployment, at `now` (milliseconds since the epoch). Rejects where not all objects that count answer. */
export async function readTotals(env: Env, shards: number, now: number): Promise<Totals> {
  const all = await ofEveryShard(env, shards, (shard) => shard.read(now));
  return all.reduce(addTotals, noTotals);
}

/** Of each node the last report. A node's reports go to the shard of its name. Rejects likewise. */
export async function readNodes(env: Env, shards: number): Promise<NodeReport[]> {
  const all = await ofEveryShard(env, shards, (shard) => shard.nodes());
  return all.flat().sort((a, b) => (a.name < b.name ? -1 : 1));
}

function ofEveryShard<T>(
  env: Env,
  shards: number,
  ask: (shard: ReturnType<typeof metricsShard>) => Promise<T>,
): Promise<T[]> {
  return within(systemClock, TIMEOUT_MS, () =>
    Promise.all(Array.from({ length: shards }, (_, shard) => ask(metricsShard(env, shard, shards)))),
  );
}

export async function writeHeartbeat(env: Env, shards: number, report: NodeReport): Promise<void> {
  await metricsShard(env, shardOf(report.name, shards), shards).heartbeat(report);
}
