import { DurableObject } from 'cloudflare:workers';
import { type CallSlots, DIALLED } from './call/call-slots.ts';
import { systemClock, systemRandom } from './call/clock.ts';
import { within } from './call/within.ts';
import { type Config, loadConfig } from './config.ts';
import type { DialReason } from './dialling/dial.ts';
import type { DialPace } from './dialling/pace.ts';
import { reasonAgainst } from './dialling/permission.ts';
import { DialDeliveries } from './durable/dial-deliveries.ts';
import { type Claimed, type DialNode, DialQueue, type Progress } from './durable/dial-queue.ts';
import { type Dial, migrateDials, type NewDial } from './durable/dial-tables.ts';
import { userSlots } from './durable/object-limits.ts';
import type { Env } from './env.ts';
import { describeError, log, personalId } from './log.ts';
import { connectDials } from './records/connect.ts';

/** How long what the database said of a user and a campaign is used without asking again. */
const FRESH_MS = 10_000;
/** The longest wait for the database, while a node waits for work. */
const LOOKUP_MS = 1_500;
/** A user with as many calls as allowed, and one of whom nobody could be asked, is passed over for so long. */
const PASS_OVER_MS = 3_000;

/** One shard of the queue of calls that are to be placed. A thin shell around `DialQueue`: alarms, a user's places, the database. */
export class DialQueueDO extends DurableObject<Env> {
  readonly #config: Config;
  readonly #queue: DialQueue;
  readonly #deliveries: DialDeliveries;
  readonly #slots: CallSlots | null;
  readonly #permissions = new Map<string, { reason: DialReason | null; until: number }>();
  #alarmAt: number | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#config = loadConfig(env);
    migrateDials(ctx.storage.sql);
    this.#queue = new DialQueue(ctx.storage.sql, () => systemRandom.id());
    this.#slots = userSlots(ctx, env, this.#config);
    this.#deliveries = new DialDeliveries({
      queue: this.#queue,
      records: connectDials(this.#config),
      config: this.#config,
      clock: systemClock,
      random: systemRandom,
    });
  }

  async add(dial: NewDial): Promise<{ outcome: ReturnType<DialQueue['add']>; dial: Dial | null }> {
    const { DIALS_PER_USER, DIALS_QUEUED } = this.#config;
    const outcome = this.#queue.add(dial, DIALS_PER_USER, DIALS_QUEUED, systemClock.now());
    await this.#settle();
    return { outcome, dial: this.#queue.find(dial.callId) };
  }

  /** Work for a node that has room, and what it shall give up. */
  async work(
    node: DialNode,
    room: number,
    pace: DialPace,
  ): Promise<{ dials: Claimed[]; cancelled: string[] }> {
    const now = systemClock.now();
    this.#queue.expire(now);
    const claimed = this.#queue.claim(node, room, pace, now);
    const dials = await Promise.all(claimed.map((dial) => this.#mayBegin(dial)));
    await this.#settle();
    return { dials: dials.flatMap((dial) => dial ?? []), cancelled: this.#queue.cancelledOf(node.name) };
  }

  async begin(node: string, callId: string, claim: string): Promise<boolean> {
    const granted = this.#queue.begin(node, callId, claim, systemClock.now());
    await this.#settle();
    return granted;
  }

  async progress(node: string, callId: string, claim: string, progress: Progress): Promise<boolean> {
    const known = this.#queue.progress(node, callId, claim, progress, systemClock.now());
    await this.#settle();
    return known;
  }

  async cancel(callId: string): Promise<Dial | null> {
    const dial = this.#queue.cancel(callId, systemClock.now());
    await this.#settle();
    return dial;
  }

  find(callId: string): Dial | null {
    return this.#queue.find(callId);
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    this.#queue.expire(systemClock.now());
    await this.#settle();
    await this.#deliveries.run();
    await this.#settle();
  }

  /** Gives back the places of calls that are over, and sets the alarm. */
  async #settle(): Promise<void> {
    for (const { callId, userId } of this.#queue.takeFreed()) {
      this.#slots?.release({ callId, userId, startTime: DIALLED });
    }
    const due = this.#queue.nextDue;
    if (due === null || (this.#alarmAt !== null && this.#alarmAt <= due)) return;
    this.#alarmAt = due;
    await this.ctx.storage.setAlarm(due);
  }

  /** A claim whose user may have one more call, and can pay for it; null: it may not be dialled now, or not at all. */
  async #mayBegin(dial: Claimed): Promise<Claimed | null> {
    const { callId, claim, userId } = dial;
    const reason = await this.#against(dial);
    const now = systemClock.now();
    if (reason === 'unknown') {
      this.#queue.putBack(callId, claim, PASS_OVER_MS, now);
      return null;
    }
    if (reason !== null) {
      this.#queue.refuse(callId, claim, reason, now);
      return null;
    }
    const slot = await this.#slots?.take({ callId, userId, startTime: DIALLED });
    if (slot?.granted === false) {
      this.#queue.putBack(callId, claim, PASS_OVER_MS, systemClock.now());
      return null;
    }
    return dial;
  }

  /**
   * What there is by now against a call of this user's in this campaign; null: nothing. `unknown`: the database does not answer, and calls have
   * to be paid for.
   */
  async #against({ userId, campaignId }: Claimed): Promise<DialReason | 'unknown' | null> {
    const { BILLING, BILLING_WITHOUT_DATABASE } = this.#config;
    const key = JSON.stringify([userId, campaignId]);
    const known = this.#permissions.get(key);
    const now = systemClock.now();
    if (known !== undefined && known.until > now) return known.reason;
    try {
      const permission = await within(systemClock, LOOKUP_MS, (signal) =>
        connectDials(this.#config)().permission(userId, campaignId, signal),
      );
      const reason = reasonAgainst(permission, this.#config);
      if (this.#permissions.size > 1_000) this.#permissions.clear();
      this.#permissions.set(key, { reason, until: now + FRESH_MS });
      return reason;
    } catch (error) {
      log('warn', 'an account could not be asked before a call is placed', {
        userId: personalId(userId),
        error: describeError(error),
      });
      return BILLING && BILLING_WITHOUT_DATABASE === 'refuse' ? 'unknown' : null;
    }
  }
}
