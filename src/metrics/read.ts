import type { Env } from '../env.ts';
import type { NodeReport } from './nodes.ts';
import { addTotals, noTotals, shardOf, type Totals } from './totals.ts';

/** The object that counts a shard's calls. Its name has the number of shards: a change starts the counts anew. */
export function metricsShard(env: Env, shard: number, shards: number) {
  return env.METRICS.get(env.METRICS.idFromName(`${shards}/${shard}`));
}

/** The counts of the whole deployment, at `now` (milliseconds since the epoch). */
export async function readTotals(env: Env, shards: number, now: number): Promise<Totals> {
  const all = await Promise.all(
    Array.from({ length: shards }, (_, shard) => metricsShard(env, shard, shards).read(now)),
  );
  return all.reduce(addTotals, noTotals);
}

/** Of each node the last report. A node's reports go to the shard of its name. */
export async function readNodes(env: Env, shards: number): Promise<NodeReport[]> {
  const all = await Promise.all(
    Array.from({ length: shards }, (_, shard) => metricsShard(env, shard, shards).nodes()),
  );
  return all.flat().sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function writeHeartbeat(env: Env, shards: number, report: NodeReport): Promise<void> {
  await metricsShard(env, shardOf(report.name, shards), shards).heartbeat(report);
}
