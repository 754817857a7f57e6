import { systemClock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import type { Env } from '../env.ts';
import { addTotals, noTotals, type Totals } from './totals.ts';

/** The object that counts a shard's calls. Its name has the number of shards: a change starts the counts anew. */
export function metricsShard(env: Env, shard: number, shards: number) {
  return env.METRICS.get(env.METRICS.idFromName(`${shards}/${shard}`));
}

/** The longest wait for all of them: who asks whether the service is well wants to be told that it is not. */
const TIMEOUT_MS = 2_000;

/** The counts of the whole deployment, at `now` (milliseconds since the epoch). Rejects where not all objects that count answer. */
export async function readTotals(env: Env, shards: number, now: number): Promise<Totals> {
  const all = await within(systemClock, TIMEOUT_MS, () =>
    Promise.all(Array.from({ length: shards }, (_, shard) => metricsShard(env, shard, shards).read(now))),
  );
  return all.reduce(addTotals, noTotals);
}
