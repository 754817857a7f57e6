import type { Clock } from '../../src/call/clock.ts';
import { IsolatePermits, PERMIT_RENEW_MS, type PermitShards } from '../../src/durable/isolate-permits.ts';
import { PERMIT_LEASE_MS, PermitShard, type PermitStore } from '../../src/durable/permit-shard.ts';
import { seeded } from './random.ts';

export interface PermitScene {
  isolates: number;
  shards: number;
  ceiling: number;
  /** New calls that are asked for a second, and how long one lasts on average, in milliseconds. */
  startsPerSecond: number;
  callMs: number;
  seconds: number;
  /** Of an isolate in a second: its calls are lost, and another isolate takes its place. */
  crashChance: number;
  /** Of a request to a shard. */
  lossChance: number;
  /** Of a shard in a second: its object begins anew from its storage. */
  restartChance: number;
  seed: number;
}

export interface PermitOutcome {
  mostLive: number;
  /** Calls that lived when the first was refused; the fewest at which any was. */
  fewestAtRefusal: number;
  refused: number;
  /** Requests to one shard in one second, the most. */
  mostRequests: number;
  /** Permits that the shards hold when the last call has ended, and a lease after it. */
  heldAtEnd: number;
  heldAfterLease: number;
}

interface Isolate {
  permits: IsolatePermits;
  /** Live calls, and when each ends. */
  calls: Map<string, number>;
}

/** Isolates that begin and end calls and crash, and shards that hand out the permits, on a clock of its own. */
export async function simulatePermits(scene: PermitScene): Promise<PermitOutcome> {
  const random = seeded(scene.seed);
  let now = 1_700_000_000_000;
  const timers: { at: number; task: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    after: (ms, task) => {
      const timer = { at: now + ms, task };
      timers.push(timer);
      return { cancel: () => void timers.splice(timers.indexOf(timer) >>> 0, 1) };
    },
  };
  const stores = Array.from({ length: scene.shards }, mapStore);
  const shards = stores.map((store) => new PermitShard(store));
  let requests = Array<number>(scene.shards).fill(0);
  let mostRequests = 0;
  /** A request that may get lost, before it arrives or on its way back. */
  const ask = async <T>(index: number, act: (shard: PermitShard) => T): Promise<T> => {
    requests[index]!++;
    const lost = random.fraction() < scene.lossChance;
    if (lost && random.whole(2) === 0) throw new Error('lost');
    const answer = act(shards[index]!);
    if (lost) throw new Error('lost on its way back');
    return answer;
  };
  const reached: PermitShards = {
    ceiling: scene.ceiling,
    most: scene.shards,
    take: (index, isolate, wanted, share) => ask(index, (shard) => shard.take(isolate, wanted, share, now)),
    hold: (index, isolate, held) => ask(index, (shard) => shard.hold(isolate, held, now)),
    give: (index, isolate, given) => ask(index, (shard) => shard.give(isolate, given, now)),
  };
  let names = 0;
  const newIsolate = (): Isolate => ({
    permits: new IsolatePermits(clock, { id: () => `isolate-${names++}`, fraction: random.fraction }),
    calls: new Map(),
  });
  const isolates = Array.from({ length: scene.isolates }, newIsolate);
  const live = () => isolates.reduce((sum, { calls }) => sum + calls.size, 0);
  const outcome = { mostLive: 0, fewestAtRefusal: Number.POSITIVE_INFINITY, refused: 0 };
  let began = 0;
  const begin = async () => {
    const isolate = random.of(isolates);
    if (!(await isolate.permits.getFree(reached))) {
      outcome.refused++;
      outcome.fewestAtRefusal = Math.min(outcome.fewestAtRefusal, live());
      return;
    }
    const id = `object-${began++}`;
    const until = now - Math.log(1 - random.fraction()) * scene.callMs;
    isolate.permits.opened(id, until + 60_000);
    isolate.calls.set(id, until);
  };
  const endDue = async (isolate: Isolate) => {
    for (const [id, until] of isolate.calls) {
      if (until > now) continue;
      isolate.calls.delete(id);
      await isolate.permits.closed(id, reached)?.catch(() => {});
    }
  };
  const second = async (starts: number) => {
    requests = Array<number>(scene.shards).fill(0);
    for (let i = 0; i < 10; i++) {
      now += 100;
      for (const isolate of isolates) await endDue(isolate);
      await Promise.all(Array.from({ length: Math.round(starts / 10) }, begin));
    }
    for (const isolate of isolates)
      if (isolate.calls.size > 0) await isolate.permits.renew(reached)?.catch(() => {});
    for (const timer of timers.splice(0)) if (timer.at > now) timers.push(timer);
    mostRequests = Math.max(mostRequests, ...requests);
    outcome.mostLive = Math.max(outcome.mostLive, live());
  };
  for (let i = 0; i < scene.seconds; i++) {
    await second(scene.startsPerSecond);
    for (const [index] of isolates.entries())
      if (random.fraction() < scene.crashChance) isolates[index] = newIsolate();
    for (const [index, store] of stores.entries()) {
      if (random.fraction() < scene.restartChance) shards[index] = new PermitShard(store);
    }
  }
  for (const isolate of isolates) for (const id of isolate.calls.keys()) isolate.calls.set(id, now);
  await second(0);
  const held = () => {
    for (const shard of shards) shard.expire(now);
    return shards.reduce((sum, shard) => sum + shard.held, 0);
  };
  const heldAtEnd = held();
  now += PERMIT_LEASE_MS + PERMIT_RENEW_MS;
  return { ...outcome, mostRequests, heldAtEnd, heldAfterLease: held() };
}

function mapStore(): PermitStore {
  const values = new Map<string, unknown>();
  return {
    list: ({ prefix }) => [...values].filter(([key]) => key.startsWith(prefix)),
    put: (key, value) => values.set(key, { ...value }),
    delete: (key) => values.delete(key),
  };
}
