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

/** What the objects that count know together. */
export interface Counts {
  totals: Totals;
  /** Of each node the last report. */
  nodes: NodeReport[];
}

/** The counts of the whole deployment, at `now` (milliseconds since the epoch). Rejects where not all objects that count answer. */
export async function readCounts(env: Env, shards: number, now: number): Promise<Counts> {
  return await within(systemClock, TIMEOUT_MS, async () => {
    const objects = Array.from({ length: shards }, (_, shard) => metricsShard(env, shard, shards));
    const [totals, nodes] = await Promise.all([
      Promise.all(objects.map((object) => object.read(now))),
      // A node's reports go to the shard of its name.
      Promise.all(objects.map((object) => object.nodes())),
    ]);
    return {
      totals: totals.reduce(addTotals, noTotals),
      nodes: nodes.flat().sort((a, b) => (a.name < b.name ? -1 : 1)),
    };
  });
}

/** A node's last report; null: it has never sent one. */
export async function readNode(env: Env, shards: number, name: string): Promise<NodeReport | null> {
  const nodes = await metricsShard(env, shardOf(name, shards), shards).nodes();
  return nodes.find((node) => node.name === name) ?? null;
}

export async function writeHeartbeat(env: Env, shards: number, report: NodeReport): Promise<void> {
  await metricsShard(env, shardOf(report.name, shards), shards).heartbeat(report);
}
