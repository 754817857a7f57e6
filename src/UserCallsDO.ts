import { DurableObject } from 'cloudflare:workers';
import { type CountedCall, DIALLED, LEASE_MS, type UserCalls } from './call/call-slots.ts';
import { systemClock } from './call/clock.ts';
import { within } from './call/within.ts';
import { loadConfig } from './config.ts';
import { CallLeases } from './durable/call-leases.ts';
import type { Env } from './env.ts';
import { describeError, log } from './log.ts';
import { connectUserLimits } from './records/connect.ts';

/** How long an account's own limit is used without asking again. */
const FRESH_MS = 60_000;
/** After a failure; until then the limit that was known, or the default. */
const RETRY_MS = 10_000;
/** The longest wait for the database: a call waits for this object meanwhile, `TIMEOUT_MS` of `call-slots.ts` at most. */
const LOOKUP_MS = 1_000;

/** The calls of one user, counted exactly: its name is the user's id. */
export class UserCallsDO extends DurableObject<Env> implements UserCalls {
  readonly #leases: CallLeases;
  /** Calls that wait to be counted. */
  readonly #taking = new Set<string>();
  #limit: { calls: number; until: number } | null = null;
  #alarmSet = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#leases = new CallLeases(ctx.storage.kv, LEASE_MS);
  }

  async take(call: CountedCall): Promise<'taken' | 'full'> {
    const key = keyOf(call);
    this.#taking.add(key);
    const limit = await this.#limitOf(call.userId);
    // It was given up meanwhile: whoever asked has been told so, or does not listen any more.
    if (!this.#taking.delete(key)) return 'full';
    // What was dialled is counted already: the call takes the place of the dialling, and no second one.
    if (call.startTime !== DIALLED) this.#leases.release(keyOf({ ...call, startTime: DIALLED }));
    if (!this.#leases.take(key, limit, systemClock.now())) return 'full';
    await this.#setAlarm();
    return 'taken';
  }

  async renew(call: CountedCall): Promise<number> {
    const leaseMs = this.#leases.renew(keyOf(call), systemClock.now());
    await this.#setAlarm();
    return leaseMs;
  }

  async release(call: CountedCall): Promise<void> {
    this.#taking.delete(keyOf(call));
    this.#leases.release(keyOf(call));
  }

  /** Forgets what is over; with the last call all of the object: there is no end of user ids. */
  override async alarm(): Promise<void> {
    this.#alarmSet = false;
    this.#leases.expire(systemClock.now());
    if (this.#leases.count > 0) await this.#setAlarm();
    else await this.ctx.storage.deleteAll();
  }

  async #setAlarm(): Promise<void> {
    if (this.#alarmSet) return;
    this.#alarmSet = true;
    await this.ctx.storage.setAlarm(systemClock.now() + LEASE_MS);
  }

  /** The account's own limit, or the default one where there is none, or the database does not answer. */
  async #limitOf(userId: string): Promise<number> {
    const now = systemClock.now();
    if (this.#limit !== null && now < this.#limit.until) return this.#limit.calls;
    const config = loadConfig(this.env);
    const standard = config.MAX_CONCURRENT_CALLS_PER_USER;
    try {
      const find = connectUserLimits(config)();
      const found = await within(systemClock, LOOKUP_MS, (signal) => find(userId, signal));
      this.#limit = { calls: found ?? standard, until: now + FRESH_MS };
    } catch (error) {
      log('warn', 'the calls that a user may have could not be looked up', { error: describeError(error) });
      this.#limit = { calls: this.#limit?.calls ?? standard, until: now + RETRY_MS };
    }
    return this.#limit.calls;
  }
}

function keyOf({ callId, startTime }: CountedCall): string {
  return `${callId}/${startTime}`;
}
