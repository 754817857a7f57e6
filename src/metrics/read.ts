import { systemClock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { loadConfig } from '../config.ts';
import type { Env } from '../env.ts';
import type { NodeReport } from './nodes.ts';
import type { SendRefusals } from './refusals.ts';
import { addTotals, type Counts, noTotals, shardOf } from './totals.ts';

/** What the objects keep; another form has objects of other names. */
const FORM = 2;

/** The object that counts a shard's calls. Its name has the number of shards: a change starts the counts anew. */
export function metricsShard(env: Pick<Env, 'METRICS'>, shard: number, shards: number) {
  return env.METRICS.get(env.METRICS.idFromName(`${FORM}/${shards}/${shard}`));
}

/** The longest wait for all of them: who asks whether the service is well wants to be told that it is not. */
const TIMEOUT_MS = 2_000;

/** The counts of the whole deployment, at `now` (milliseconds since the epoch). Rejects where not all objects that count answer. */
export async function readCounts(env: Env, shards: number, now: number): Promise<Counts> {
  const { NODES: settings } = loadConfig(env);
  return await within(systemClock, TIMEOUT_MS, async () => {
    const objects = Array.from({ length: shards }, (_, shard) => metricsShard(env, shard, shards));
    const shares = await Promise.all(objects.map((object) => object.read(now)));
    return {
      totals: shares.map(({ totals }) => totals).reduce(addTotals, noTotals),
      // A node's reports go to the shard of its name. One that is not in the settings any more was taken away: its silence is nobody's concern.
      nodes: shares
        .flatMap(({ nodes }) => nodes)
        .filter(({ name }) => Object.hasOwn(settings, name))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    };
  });
}

/** A node's last report; null: it has never sent one. */
export async function readNode(env: Env, shards: number, name: string): Promise<NodeReport | null> {
  return await metricsShard(env, shardOf(name, shards), shards).node(name);
}

export async function writeHeartbeat(env: Env, shards: number, report: NodeReport): Promise<void> {
  await metricsShard(env, shardOf(report.name, shards), shards).heartbeat(report);
}

/** How long an isolate waits for its refusals to be counted. */
const REFUSALS_TIMEOUT_MS = 3_000;

/** Takes the refusals of an isolate to its shard. */
export function sendRefusals(env: Pick<Env, 'METRICS'>, shards: number): SendRefusals {
  return (isolate, batch, refusals) =>
    within(systemClock, REFUSALS_TIMEOUT_MS, async () => {
      await metricsShard(env, shardOf(isolate, shards), shards).refused(isolate, batch, refusals);
    });
}
