import { type CallSlots, type CountedCall, callSlots, type UserCalls } from '../call/call-slots.ts';
import { systemClock, systemRandom, type Timer } from '../call/clock.ts';
import { type Config, LEASE_MARGIN_MS } from '../config.ts';
import type { Env } from '../env.ts';
import { describeError, log } from '../log.ts';
import { objectsIn } from '../regions/namespaces.ts';
import { homeOf } from '../regions/settings.ts';
import { IsolatePermits, PERMIT_RENEW_MS, type PermitShards } from './isolate-permits.ts';

/** The calls that this isolate has open, and its part of the deployment's permits. */
let permits: IsolatePermits | null = null;

/**
 * How many calls there may be, as one call's object asks. The ceilings are kept where calls live: the router, which may run in another
 * isolate, learns of no call's end.
 */
export class ObjectLimits {
  /** How many calls its user has at once; null: nobody counts. */
  readonly slots: CallSlots | null;
  readonly #ctx: DurableObjectState;
  readonly #env: Pick<Env, 'PERMITS' | 'USER_CALLS'>;
  readonly #config: Config;
  readonly #permits: IsolatePermits;
  #timer: Timer | null = null;

  constructor(ctx: DurableObjectState, env: Pick<Env, 'PERMITS' | 'USER_CALLS'>, config: Config) {
    this.#ctx = ctx;
    this.#env = env;
    this.#config = config;
    this.slots = userSlots(ctx, env, config);
    // Not outside of a request: a Worker has no randomness there.
    permits ??= new IsolatePermits(systemClock, systemRandom);
    this.#permits = permits;
    // An instance before this one may have had a call, and been reset under it.
    this.closed();
  }

  /** Whether the isolate, and the deployment, take one more call. */
  async mayOpen(): Promise<boolean> {
    if (this.#permits.used >= this.#config.MAX_CONCURRENT_CALLS_PER_WORKER) return false;
    return this.#permits.free || (await this.#permits.getFree(this.#shards()));
  }

  /** The object has a call from now on. */
  opened(): void {
    const longest = this.#config.WEBSOCKET_TIMEOUT + LEASE_MARGIN_MS;
    this.#permits.opened(String(this.#ctx.id), systemClock.now() + longest);
    this.#renewLater();
  }

  /** It has none any more. */
  closed(): void {
    this.#timer?.cancel();
    const work = this.#permits.closed(String(this.#ctx.id), this.#shards());
    if (work !== null) background(this.#ctx, work, 'permits were not given back');
  }

  #renewLater(): void {
    this.#timer = systemClock.after(PERMIT_RENEW_MS, () => {
      const work = this.#permits.renew(this.#shards());
      if (work !== null) background(this.#ctx, work, 'permits were not renewed');
      this.#renewLater();
    });
  }

  #shards(): PermitShards {
    const { MAX_CONCURRENT_CALLS: ceiling, PERMIT_SHARDS: most } = this.#config;
    const { PERMITS: shards } = this.#env;
    // Changed settings have new objects.
    const at = (shard: number) => shards.get(shards.idFromName(`${most}/${shard}`));
    return {
      ceiling,
      most,
      take: (shard, isolate, wanted, share) => at(shard).take(isolate, wanted, share),
      hold: (shard, isolate, held) => at(shard).hold(isolate, held),
      give: (shard, isolate, given) => at(shard).give(isolate, given),
    };
  }
}

/** How many calls users have at once, as an object asks; null: nobody counts. */
export function userSlots(
  ctx: DurableObjectState,
  env: Pick<Env, 'USER_CALLS'>,
  config: Config,
): CallSlots | null {
  if (config.MAX_CONCURRENT_CALLS_PER_USER === 0) return null;
  const { USER_CALLS: users } = env;
  // One stub a user: what is sent through it arrives in order, a release after the renewal before it.
  const stubs = new Map<string, UserCalls>();
  const of = (userId: string): UserCalls => {
    const near = objectsIn(users, homeOf(config.REGIONS, userId));
    const stub = stubs.get(userId) ?? near.get(near.idFromName(userId));
    stubs.set(userId, stub);
    return stub;
  };
  return callSlots({
    calls: {
      take: (call) => of(call.userId).take(counted(call)),
      renew: (call) => of(call.userId).renew(counted(call)),
      release: (call) => of(call.userId).release(counted(call)),
    },
    clock: systemClock,
    background: (work) => background(ctx, work, 'a call of a user was not counted, or not released'),
  });
}

function background(ctx: DurableObjectState, work: Promise<void>, failure: string): void {
  const object = String(ctx.id);
  ctx.waitUntil(
    work.catch((error: unknown) => log('warn', failure, { object, error: describeError(error) })),
  );
}

/** What crosses to another object: the names alone. */
function counted({ callId, userId, startTime }: CountedCall): CountedCall {
  return { callId, userId, startTime };
}
