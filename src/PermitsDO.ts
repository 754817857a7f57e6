import { DurableObject } from 'cloudflare:workers';
import { systemClock } from './call/clock.ts';
import { PERMIT_LEASE_MS, PermitShard } from './durable/permit-shard.ts';
import type { Env } from './env.ts';

/** One shard of the permits for the deployment's calls at once. */
export class PermitsDO extends DurableObject<Env> {
  readonly #shard: PermitShard;
  #alarmSet = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#shard = new PermitShard(ctx.storage.kv);
  }

  async take(isolate: string, wanted: number, share: number): Promise<number> {
    const granted = this.#shard.take(isolate, wanted, share, systemClock.now());
    await this.#setAlarm();
    return granted;
  }

  async hold(isolate: string, permits: number): Promise<void> {
    this.#shard.hold(isolate, permits, systemClock.now());
    await this.#setAlarm();
  }

  async give(isolate: string, permits: number): Promise<void> {
    this.#shard.give(isolate, permits, systemClock.now());
  }

  /** Isolates come and go: what they left is forgotten. */
  override async alarm(): Promise<void> {
    this.#alarmSet = false;
    this.#shard.expire(systemClock.now());
    if (this.#shard.held > 0) await this.#setAlarm();
    else await this.ctx.storage.deleteAll();
  }

  async #setAlarm(): Promise<void> {
    if (this.#alarmSet) return;
    this.#alarmSet = true;
    await this.ctx.storage.setAlarm(systemClock.now() + PERMIT_LEASE_MS);
  }
}
