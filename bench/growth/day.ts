import { LEASE_MS, quietMs, RENEW_MS } from '../../src/call/call-slots.ts';
import type { Clock } from '../../src/call/clock.ts';
import { CallLeases, type LeaseStore } from '../../src/durable/call-leases.ts';
import { IsolatePermits, PERMIT_RENEW_MS, type PermitShards } from '../../src/durable/isolate-permits.ts';
import { PermitShard, type PermitStore } from '../../src/durable/permit-shard.ts';
import { REPORT_LEASE_MS, REPORT_MS } from '../../src/metrics/call-report.ts';
import { countReport } from '../../src/metrics/counting.ts';
import { add, type Sums, sumAt } from '../../src/metrics/sums.ts';
import { shardOf } from '../../src/metrics/totals.ts';
import { seeded } from '../../test/support/random.ts';
import { Calendar, TICK_MS } from './calendar.ts';
import { ObjectLoads } from './loads.ts';
import { Users } from './users.ts';

/** A stretch of the simulated time. */
export interface Phase {
  name: string;
  seconds: number;
  /** Calls that are asked for, a second: at its beginning, and at its end. */
  from: number;
  to: number;
}

export interface DayScene {
  phases: readonly Phase[];
  /** Mean length of a call, in seconds; lengths are exponential. */
  callSeconds: number;
  isolates: number;
  users: number;
  metricsShards: number;
  permitShards: number;
  /** Calls at once that the permits are for. */
  ceiling: number;
  seed: number;
}

export interface DayOutcome {
  metrics: ObjectLoads;
  permits: ObjectLoads;
  /** Of them the first is the largest user's. */
  userCalls: ObjectLoads;
  largestUser: ObjectLoads;
  calls: number;
  refused: number;
  mostLive: number;
  /** Of the last phase: calls at once on average, and what part of those that were asked for was refused. */
  last: { meanLive: number; refused: number };
  /** The fewest calls at which one was refused; null: none was. */
  fewestAtRefusal: number | null;
  /** The most that an object kept, of each kind. */
  kept: { metricsLeases: number; permitGrants: number; userLeases: number };
  /** What the first metrics shard has counted, by the rules of the real one. */
  firstShard: { started: number; ended: number; active: number; toldStarted: number };
}

/** What is due of a call, or of an isolate. */
const KINDS = { end: 0, renewSlot: 1, report: 2, renewPermits: 3 } as const;
const KIND_BITS = 2;
/** The refusals of an isolate are told so often at most: `COLLECT_MS` of src/metrics/refusals.ts. */
const REFUSALS_MS = 2_000;
/** Nobody's account is the limit here: what its object has to do is looked at. */
const NO_LIMIT = 1_000_000;

/**
 * All calls of a deployment on a clock of its own, and of the objects that they share the real code: the isolates' permits and their shards,
 * the leases of each user's calls, which shard a call reports to and how a shard counts. Requests take no time and none is lost; those of a
 * tick of 100 ms are under way together. Deterministic by its seed.
 */
export async function simulateDay(scene: DayScene): Promise<DayOutcome> {
  const day = new Day(scene);
  await day.run();
  return day.outcome();
}

class Day {
  readonly #scene: DayScene;
  readonly #random;
  readonly #users: Users;
  readonly #calendar: Calendar;
  /** Milliseconds since the epoch; the scene begins at {@link BEGIN}. */
  #now = BEGIN;
  readonly #metrics: ObjectLoads;
  readonly #permits: ObjectLoads;
  readonly #userCalls: ObjectLoads;
  readonly #largestUser = new ObjectLoads(['largest']);
  readonly #isolates: IsolatePermits[];
  readonly #shards: PermitShard[];
  readonly #stores: CountedStore[] = [];
  readonly #reached: PermitShards;
  readonly #leases: (CallLeases | undefined)[] = [];
  /** By place of a call among those that live. */
  readonly #calls: LiveCall[] = [];
  readonly #places: number[] = [];
  readonly #toldRefusals: number[];
  /** Calls that each metrics shard has leases of. */
  readonly #active: number[];
  #live = 0;
  #began = 0;
  #sums: Sums = {};
  #activeInFirst = 0;
  #toldStarted = 0;
  readonly #most = { live: 0, metricsLeases: 0, permitGrants: 0, userLeases: 0 };
  readonly #refusals = { all: 0, fewestLive: Number.POSITIVE_INFINITY };
  /** Of the phase that goes on. */
  #phase = { seconds: 0, live: 0, began: 0, refused: 0 };

  constructor(scene: DayScene) {
    this.#scene = scene;
    this.#random = seeded(scene.seed);
    this.#users = new Users(scene.users);
    this.#calendar = new Calendar(1_000 * scene.phases.reduce((sum, { seconds }) => sum + seconds, 0));
    this.#metrics = new ObjectLoads(numbered('metrics', scene.metricsShards));
    this.#permits = new ObjectLoads(numbered('permits', scene.permitShards));
    this.#userCalls = new ObjectLoads(numbered('user', scene.users));
    // Nothing hangs here, so no time-out is ever due.
    const clock: Clock = { now: () => this.#now, after: () => ({ cancel() {} }) };
    this.#isolates = Array.from(
      { length: scene.isolates },
      (_, i) => new IsolatePermits(clock, { id: () => `isolate-${i}`, fraction: this.#random.fraction }),
    );
    this.#shards = Array.from({ length: scene.permitShards }, () => {
      const store = new CountedStore();
      this.#stores.push(store);
      return new PermitShard(store);
    });
    this.#reached = this.#reach();
    this.#toldRefusals = Array<number>(scene.isolates).fill(Number.NEGATIVE_INFINITY);
    this.#active = Array<number>(scene.metricsShards).fill(0);
    for (let i = 0; i < scene.isolates; i++) {
      this.#put(this.#random.fraction() * PERMIT_RENEW_MS, KINDS.renewPermits, i);
    }
  }

  async run(): Promise<void> {
    let tick = 0;
    for (const phase of this.#scene.phases) {
      this.#phase = { seconds: 0, live: 0, began: this.#began, refused: this.#refusals.all };
      const ticks = (phase.seconds * 1_000) / TICK_MS;
      for (let i = 0; i < ticks; i++, tick++) {
        await this.#tick(tick, phase.from + ((phase.to - phase.from) * i) / ticks);
        if ((tick + 1) % (1_000 / TICK_MS) === 0) this.#endSecond(phase.name);
      }
    }
  }

  outcome(): DayOutcome {
    const { all, fewestLive } = this.#refusals;
    const { live: mostLive, ...kept } = this.#most;
    const refused = all - this.#phase.refused;
    const asked = this.#began - this.#phase.began + refused;
    return {
      metrics: this.#metrics,
      permits: this.#permits,
      userCalls: this.#userCalls,
      largestUser: this.#largestUser,
      calls: this.#began,
      refused: all,
      mostLive,
      last: { meanLive: this.#phase.live / this.#phase.seconds, refused: refused / asked },
      fewestAtRefusal: Number.isFinite(fewestLive) ? fewestLive : null,
      kept,
      firstShard: {
        started: sumAt(this.#sums, 'calls', 'started'),
        ended: sumAt(this.#sums, 'calls', 'ended'),
        active: this.#activeInFirst,
        toldStarted: this.#toldStarted,
      },
    };
  }

  async #tick(tick: number, perSecond: number): Promise<void> {
    this.#now = BEGIN + tick * TICK_MS;
    const underWay: Promise<void>[] = [];
    for (const event of this.#calendar.take(tick)) {
      const [kind, index] = [event & ((1 << KIND_BITS) - 1), event >> KIND_BITS];
      if (kind === KINDS.renewPermits) this.#renewPermits(index, underWay);
      else if (kind === KINDS.end) this.#end(index, underWay);
      else if (kind === KINDS.report) this.#reportAgain(index);
      else this.#renewSlot(index);
    }
    // A Poisson stream.
    for (let at = this.#wait(perSecond); at < TICK_MS; at += this.#wait(perSecond)) {
      const begun = this.#begin();
      if (begun !== null) underWay.push(begun);
    }
    await Promise.all(underWay);
  }

  #wait(perSecond: number): number {
    return (-Math.log(1 - this.#random.fraction()) * 1_000) / perSecond;
  }

  /** As `CallSessionDO.fetch` and the start of a call have it. Null: nothing was waited for. */
  #begin(): Promise<void> | null {
    const isolate = this.#random.whole(this.#isolates.length);
    const permits = this.#isolates[isolate]!;
    if (permits.free) {
      this.#opened(isolate, permits);
      return null;
    }
    return permits.getFree(this.#reached).then((free) => {
      if (free) this.#opened(isolate, permits);
      else this.#refused(isolate);
    });
  }

  #opened(isolate: number, permits: IsolatePermits): void {
    const place = this.#places.pop() ?? this.#calls.length;
    const number = this.#began++;
    const id = `call-${number}`;
    const lasts = -Math.log(1 - this.#random.fraction()) * this.#scene.callSeconds * 1_000;
    const call: LiveCall = {
      id,
      user: this.#users.of(this.#random),
      isolate,
      shard: shardOf(id, this.#scene.metricsShards),
      startedAt: this.#now,
      endsAt: this.#now + lasts,
      quietUntil: 0,
      kept: null,
    };
    this.#calls[place] = call;
    permits.opened(id, call.endsAt + NO_LIMIT);
    this.#live++;
    this.#most.live = Math.max(this.#most.live, this.#live);
    this.#userRequest(call.user);
    const leases = this.#leasesOf(call.user);
    leases.take(id, NO_LIMIT, this.#now);
    this.#most.userLeases = Math.max(this.#most.userLeases, leases.count);
    this.#active[call.shard]!++;
    this.#report(call, false);
    this.#later(place, call, RENEW_MS, KINDS.renewSlot);
    this.#later(place, call, REPORT_MS, KINDS.report);
    this.#put(call.endsAt - BEGIN, KINDS.end, place);
  }

  #refused(isolate: number): void {
    this.#refusals.all++;
    this.#refusals.fewestLive = Math.min(this.#refusals.fewestLive, this.#live);
    if (this.#now - this.#toldRefusals[isolate]! < REFUSALS_MS) return;
    this.#toldRefusals[isolate] = this.#now;
    this.#metrics.request(shardOf(`isolate-${isolate}`, this.#scene.metricsShards));
  }

  #end(place: number, underWay: Promise<void>[]): void {
    const call = this.#calls[place]!;
    this.#places.push(place);
    this.#live--;
    this.#active[call.shard]!--;
    this.#report(call, true);
    this.#userRequest(call.user);
    this.#leasesOf(call.user).release(call.id);
    const given = this.#isolates[call.isolate]!.closed(call.id, this.#reached);
    if (given !== null) underWay.push(given);
  }

  #renewSlot(place: number): void {
    const call = this.#calls[place]!;
    if (this.#now >= call.quietUntil) {
      this.#userRequest(call.user);
      call.quietUntil = this.#now + quietMs(this.#leasesOf(call.user).renew(call.id, this.#now));
    }
    this.#later(place, call, RENEW_MS, KINDS.renewSlot);
  }

  #reportAgain(place: number): void {
    const call = this.#calls[place]!;
    this.#report(call, false);
    this.#later(place, call, REPORT_MS, KINDS.report);
  }

  #renewPermits(isolate: number, underWay: Promise<void>[]): void {
    const permits = this.#isolates[isolate]!;
    // It is an open call's timer that does it.
    const held = permits.used === 0 ? null : permits.renew(this.#reached);
    if (held !== null) underWay.push(held);
    this.#put(this.#now - BEGIN + PERMIT_RENEW_MS, KINDS.renewPermits, isolate);
  }

  /** Every shard is sent its requests; the first also counts, as `MetricsDO` does, of a call whose turns are one in ten seconds. */
  #report(call: LiveCall, over: boolean): void {
    this.#metrics.request(call.shard);
    if (call.shard !== 0) return;
    if (call.kept === null) this.#toldStarted++;
    const turns = Math.floor((this.#now - call.startedAt) / 10_000);
    const counted = countReport(
      {
        call: call.id,
        startedAt: call.startedAt,
        at: this.#now,
        aliveUntil: this.#now + REPORT_LEASE_MS,
        end: over ? { at: this.#now, reason: 'hangup', failed: false } : null,
        sums: { turns: { caller: turns, agent: turns } },
      },
      call.kept,
    );
    add(this.#sums, counted.sums);
    if (call.kept === null) this.#activeInFirst++;
    if (over) this.#activeInFirst--;
    call.kept = counted.kept;
  }

  /** What is due while the call lasts. */
  #later(place: number, call: LiveCall, afterMs: number, kind: number): void {
    const at = this.#now + afterMs;
    if (at < call.endsAt) this.#put(at - BEGIN, kind, place);
  }

  #put(atMs: number, kind: number, index: number): void {
    this.#calendar.put(atMs, (index << KIND_BITS) | kind);
  }

  #userRequest(user: number): void {
    this.#userCalls.request(user);
    if (user === 0) this.#largestUser.request(0);
  }

  #leasesOf(user: number): CallLeases {
    this.#leases[user] ??= new CallLeases(noStore, LEASE_MS);
    return this.#leases[user];
  }

  #reach(): PermitShards {
    const ask = async <T>(index: number, act: (shard: PermitShard) => T): Promise<T> => {
      this.#permits.request(index);
      return act(this.#shards[index]!);
    };
    const { ceiling, permitShards: most } = this.#scene;
    return {
      ceiling,
      most,
      take: (index, isolate, wanted, share) =>
        ask(index, (shard) => shard.take(isolate, wanted, share, this.#now)),
      hold: (index, isolate, held) => ask(index, (shard) => shard.hold(isolate, held, this.#now)),
      give: (index, isolate, given) => ask(index, (shard) => shard.give(isolate, given, this.#now)),
    };
  }

  #endSecond(phase: string): void {
    this.#phase.seconds++;
    this.#phase.live += this.#live;
    for (const loads of [this.#metrics, this.#permits, this.#userCalls, this.#largestUser]) {
      loads.endSecond(phase);
    }
    this.#most.metricsLeases = Math.max(this.#most.metricsLeases, ...this.#active);
    this.#most.permitGrants = Math.max(this.#most.permitGrants, ...this.#stores.map(({ size }) => size));
  }
}

const BEGIN = 1_700_000_000_000;

interface LiveCall {
  id: string;
  user: number;
  isolate: number;
  /** Where it reports to. */
  shard: number;
  startedAt: number;
  endsAt: number;
  /** Until then its user's object need not be told that it lives. */
  quietUntil: number;
  /** What the first metrics shard keeps of it. */
  kept: Sums | null;
}

/** No object is restarted here: nothing is read again. */
const noStore: LeaseStore = { list: () => [], put() {}, delete: () => true };

/** An object's `storage.kv`, of which only the size matters. */
class CountedStore implements PermitStore {
  readonly #keys = new Set<string>();

  get size(): number {
    return this.#keys.size;
  }

  list(): [] {
    return [];
  }

  put(key: string): void {
    this.#keys.add(key);
  }

  delete(key: string): boolean {
    return this.#keys.delete(key);
  }
}

function numbered(kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${kind}-${i}`);
}
