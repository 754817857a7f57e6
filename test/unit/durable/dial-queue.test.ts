import { describe, expect, it } from 'vitest';
import {
  CLAIM_MS,
  type Claimed,
  type DialNode,
  DialQueue,
  KEPT_MS,
  REPEAT_MS,
  SILENT_MS,
} from '../../../src/durable/dial-queue.ts';
import { type DialSql, migrateDials, type NewDial } from '../../../src/durable/dial-tables.ts';
import { seeded } from '../../support/random.ts';
import { memorySql } from '../../support/sqlite.ts';

const T0 = 1_000_000_000;
const pace = { perSecond: 100, atOnce: 100 };
const node1: DialNode = { name: 'node1', users: '*', campaigns: '*' };
const node2: DialNode = { ...node1, name: 'node2' };

function opened(sql: DialSql = memorySql()): { sql: DialSql; queue: DialQueue } {
  let ids = 0;
  migrateDials(sql);
  return { sql, queue: new DialQueue(sql, () => `claim-${++ids}`) };
}

const dialOf = (callId: string, more: Partial<NewDial> = {}): NewDial => ({
  callId,
  digest: 'a',
  userId: 'anna',
  campaignId: null,
  to: '+4930901820',
  callerId: '+493012345',
  trunk: null,
  metadata: null,
  ringMs: 30_000,
  expiresAt: T0 + 300_000,
  ...more,
});

const add = (queue: DialQueue, callId: string, more: Partial<NewDial> = {}) =>
  queue.add(dialOf(callId, more), 1_000, 10_000, T0);

/** A dial that node1 has begun at T0. */
function begun(queue: DialQueue, callId = 'a'): Claimed {
  add(queue, callId);
  const [dial] = queue.claim(node1, 1, pace, T0);
  expect(queue.begin('node1', callId, dial!.claim, T0)).toBe(true);
  return dial!;
}

describe('a dial', () => {
  it('goes to one node, which begins it, and tells how it goes', () => {
    const { queue } = opened();
    expect(add(queue, 'a', { campaignId: 'spring', trunk: 'carrier-a' })).toBe('queued');
    const [dial, none] = queue.claim(node1, 5, pace, T0);
    expect(none).toBeUndefined();
    expect(dial).toEqual({
      ...{ callId: 'a', claim: 'claim-1', userId: 'anna', campaignId: 'spring', trunk: 'carrier-a' },
      ...{ to: '+4930901820', callerId: '+493012345', ringMs: 30_000 },
    });
    expect(queue.claim(node2, 5, pace, T0)).toEqual([]);
    expect(queue.begin('node1', 'a', 'claim-1', T0 + 1)).toBe(true);
    expect(queue.progress('node1', 'a', 'claim-1', { state: 'ringing' }, T0 + 2)).toBe(true);
    expect(queue.find('a')).toMatchObject({ state: 'ringing', ringingAt: T0 + 2, node: 'node1' });
    const end = { state: 'failed', sipStatus: 486, q850: 17, cause: 'USER_BUSY' } as const;
    expect(queue.progress('node1', 'a', 'claim-1', end, T0 + 3)).toBe(true);
    expect(queue.find('a')).toMatchObject({
      state: 'failed',
      reason: 'busy',
      sipStatus: 486,
      overAt: T0 + 3,
    });
    // The first end stands.
    expect(queue.progress('node1', 'a', 'claim-1', { state: 'answered' }, T0 + 4)).toBe(true);
    expect(queue.find('a')).toMatchObject({ state: 'failed' });
  });

  it('that is asked for again is the same, if it asks for the same', () => {
    const { queue } = opened();
    expect(add(queue, 'a')).toBe('queued');
    expect(add(queue, 'a')).toBe('repeated');
    expect(add(queue, 'a', { digest: 'b' })).toBe('another');
    expect(queue.claim(node1, 5, pace, T0)).toHaveLength(1);
  });

  it('is begun by nobody but who has claimed it, and in time', () => {
    const { queue } = opened();
    add(queue, 'a');
    const [{ claim }] = queue.claim(node1, 1, pace, T0) as [Claimed];
    expect(queue.begin('node2', 'a', claim, T0)).toBe(false);
    expect(queue.begin('node1', 'a', 'guessed', T0)).toBe(false);
    expect(queue.begin('node1', 'b', claim, T0)).toBe(false);
    expect(queue.progress('node1', 'a', claim, { state: 'answered' }, T0), 'it has not begun').toBe(false);
    expect(queue.begin('node1', 'a', claim, T0 + CLAIM_MS), 'too late, also where nobody has looked').toBe(
      false,
    );
  });

  it('whose claim lapses goes to another node, and the first may not begin it any more', () => {
    const { queue } = opened();
    add(queue, 'a');
    const [first] = queue.claim(node1, 1, pace, T0) as [Claimed];
    queue.expire(T0 + CLAIM_MS);
    const [second] = queue.claim(node2, 1, pace, T0 + CLAIM_MS) as [Claimed];
    expect(second.callId).toBe('a');
    expect(queue.begin('node1', 'a', first.claim, T0 + CLAIM_MS)).toBe(false);
    expect(queue.begin('node2', 'a', second.claim, T0 + CLAIM_MS)).toBe(true);
  });

  it('that has begun is begun again by the same claim alone, whose answer was lost; not once it rings, nor later', () => {
    const { queue } = opened();
    const { claim } = begun(queue);
    expect(queue.begin('node1', 'a', claim, T0 + REPEAT_MS - 1)).toBe(true);
    expect(queue.begin('node1', 'a', claim, T0 + REPEAT_MS)).toBe(false);
    const other = begun(queue, 'b');
    queue.progress('node1', 'b', other.claim, { state: 'ringing' }, T0 + 1);
    expect(queue.begin('node1', 'b', other.claim, T0 + 2)).toBe(false);
  });

  it('that has begun never goes back: if its node falls silent it has failed', () => {
    const { queue } = opened();
    begun(queue);
    queue.expire(T0 + 30_000 + SILENT_MS - 1);
    expect(queue.find('a')).toMatchObject({ state: 'begun' });
    queue.expire(T0 + 30_000 + SILENT_MS);
    expect(queue.find('a')).toMatchObject({ state: 'failed', reason: 'node lost' });
    expect(queue.claim(node2, 5, pace, T0 + 100_000)).toEqual([]);
  });

  it('that no node takes in time expires', () => {
    const { queue } = opened();
    add(queue, 'a', { expiresAt: T0 + 1_000 });
    expect(queue.nextDue).toBe(T0 + 1_000);
    expect(queue.claim(node1, 1, pace, T0 + 1_000), 'nobody has looked yet').toEqual([]);
    queue.expire(T0 + 1_000);
    expect(queue.find('a')).toMatchObject({ state: 'expired', reason: 'expired' });
  });

  it('is given up at once as long as nobody dials, else when its node says so', () => {
    const { queue } = opened();
    add(queue, 'a');
    expect(queue.cancel('a', T0)).toMatchObject({ state: 'cancelled' });
    expect(queue.cancel('none', T0)).toBeNull();
    add(queue, 'b');
    const [claimed] = queue.claim(node1, 1, pace, T0) as [Claimed];
    expect(queue.cancel('b', T0)).toMatchObject({ state: 'cancelled' });
    expect(queue.begin('node1', 'b', claimed.claim, T0)).toBe(false);
    const { claim } = begun(queue, 'c');
    expect(queue.cancel('c', T0)).toMatchObject({ state: 'begun', cancelled: true });
    expect(queue.begin('node1', 'c', claim, T0), 'it may not have dialled yet').toBe(false);
    expect([queue.cancelledOf('node1'), queue.cancelledOf('node2')]).toEqual([['c'], []]);
    queue.progress('node1', 'c', claim, { state: 'failed', sipStatus: 487, cause: 'ORIGINATOR_CANCEL' }, T0);
    expect(queue.find('c')).toMatchObject({ state: 'cancelled', reason: 'cancelled', sipStatus: 487 });
    expect(queue.cancelledOf('node1')).toEqual([]);
  });

  it('that is over is told until it has arrived, then its number is forgotten, and a day later all of it', () => {
    const { queue } = opened();
    const { claim } = begun(queue);
    queue.progress('node1', 'a', claim, { state: 'answered' }, T0);
    expect(queue.untold(10, T0)).toMatchObject([{ dial: { callId: 'a', to: '+4930901820' }, attempts: 0 }]);
    queue.untoldAgain('a', 0.5, T0);
    expect(queue.untold(10, T0)).toEqual([]);
    const [again] = queue.untold(10, T0 + 750);
    expect(again?.attempts).toBe(1);
    queue.told('a', T0 + 750);
    expect(queue.untold(10, T0 + 10_000_000)).toEqual([]);
    expect(queue.find('a')).toMatchObject({ to: '', state: 'answered' });
    queue.expire(T0 + 750 + KEPT_MS);
    expect([queue.find('a'), queue.nextDue]).toEqual([null, null]);
  });
});

describe('the queue', () => {
  it('serves users in turn, of each the one that waits longest', () => {
    const { queue } = opened();
    for (let i = 0; i < 6; i++) add(queue, `many-${i}`, { userId: 'many' });
    for (const userId of ['few', 'one']) add(queue, `${userId}-0`, { userId });
    add(queue, 'few-1', { userId: 'few' });
    const order = queue.claim(node1, 20, pace, T0).map(({ callId }) => callId);
    expect(order.slice(0, 5).sort()).toEqual(['few-0', 'few-1', 'many-0', 'many-1', 'one-0']);
    expect(order.slice(5)).toEqual(['many-2', 'many-3', 'many-4', 'many-5']);
  });

  it('gives a node those of its users and campaigns alone', () => {
    const { queue } = opened();
    add(queue, 'a', { campaignId: 'spring' });
    add(queue, 'b', { userId: 'ben', campaignId: 'spring' });
    add(queue, 'c', { campaignId: 'autumn' });
    add(queue, 'd');
    const claim = (users: DialNode['users'], campaigns: DialNode['campaigns']) =>
      queue.claim({ name: 'n', users, campaigns }, 9, pace, T0).map(({ callId }) => callId);
    expect(claim(['nobody'], '*')).toEqual([]);
    expect(claim(['anna'], [])).toEqual(['d']);
    expect(claim(['anna'], ['autumn'])).toEqual(['c']);
    expect(claim('*', ['spring']).sort()).toEqual(['a', 'b']);
  });

  it('gives a node no more at once, and a second, than its pace, and than it has room for', () => {
    const { queue } = opened();
    for (let i = 0; i < 40; i++) add(queue, `c${i}`);
    const claim = (room: number, perSecond: number, atOnce: number, now: number) =>
      queue.claim(node1, room, { perSecond, atOnce }, now).length;
    expect(claim(3, 10, 100, T0)).toBe(3);
    expect(claim(99, 10, 100, T0)).toBe(7);
    expect(claim(99, 10, 100, T0 + 500)).toBe(5);
    expect(claim(99, 10, 20, T0 + 9_000)).toBe(5);
    expect(claim(99, 10, 20, T0 + 9_999)).toBe(0);
    expect(claim(0, 10, 100, T0 + 9_999)).toBe(0);
    expect(queue.claim(node2, 9, { perSecond: 0.5, atOnce: 9 }, T0)).toHaveLength(1);
    expect(queue.claim(node2, 9, { perSecond: 0.5, atOnce: 9 }, T0 + 1_900)).toHaveLength(0);
    expect(queue.claim(node2, 9, { perSecond: 0.5, atOnce: 9 }, T0 + 2_000)).toHaveLength(1);
  });

  it('takes no more of a user, and of all, than may wait', () => {
    const { queue } = opened();
    const try_ = (callId: string, userId: string) => queue.add(dialOf(callId, { userId }), 2, 3, T0);
    expect([try_('a', 'anna'), try_('b', 'anna'), try_('c', 'anna')]).toEqual([
      'queued',
      'queued',
      'user full',
    ]);
    expect([try_('d', 'ben'), try_('e', 'ben'), try_('a', 'anna')]).toEqual(['queued', 'full', 'repeated']);
    queue.claim(node1, 1, pace, T0);
    expect(try_('e', 'ben')).toBe('queued');
  });

  it('passes over a user whose claim was put back, for a while', () => {
    const { queue } = opened();
    add(queue, 'a');
    add(queue, 'b', { userId: 'ben' });
    const claims = queue.claim(node1, 9, pace, T0);
    const { claim } = claims.find(({ userId }) => userId === 'anna')!;
    queue.putBack('a', claim, 5_000, T0);
    expect(queue.begin('node1', 'a', claim, T0)).toBe(false);
    expect(queue.claim(node1, 9, pace, T0 + 4_999)).toEqual([]);
    expect(queue.claim(node1, 9, pace, T0 + 5_000)).toMatchObject([{ callId: 'a' }]);
  });

  it('keeps the place of a lapsed claim’s user where it is claimed anew in the same moment', () => {
    const { queue } = opened();
    add(queue, 'a');
    queue.claim(node1, 1, pace, T0);
    queue.expire(T0 + CLAIM_MS);
    expect(queue.claim(node2, 1, pace, T0 + CLAIM_MS)).toHaveLength(1);
    expect(queue.takeFreed()).toEqual([]);
    queue.expire(T0 + 2 * CLAIM_MS);
    expect(queue.takeFreed()).toEqual([{ callId: 'a', userId: 'anna' }]);
  });

  it('reads no table from end to end where a node asks: it does so every second', () => {
    const sql = memorySql();
    const plans: string[] = [];
    let planning = false;
    const watched: DialSql = {
      exec: (query, ...bindings) => {
        if (planning) {
          const plan = sql.exec<{ detail: string }>(`EXPLAIN QUERY PLAN ${query}`, ...bindings).toArray();
          plans.push(...plan.map(({ detail }) => `${detail}: ${query}`));
        }
        return sql.exec(query, ...bindings);
      },
    };
    const { queue } = opened(watched);
    add(queue, 'a');
    planning = true;
    queue.expire(T0);
    const [{ claim }] = queue.claim(node1, 1, pace, T0) as [Claimed];
    queue.cancelledOf('node1');
    queue.begin('node1', 'a', claim, T0);
    queue.progress('node1', 'a', claim, { state: 'answered' }, T0);
    queue.untold(10, T0);
    expect(plans.length).toBeGreaterThan(10);
    expect(plans.filter((plan) => /^SCAN (?:dials|users)(?! USING)/.test(plan))).toEqual([]);
  });

  it('refuses what is not to be dialled after all', () => {
    const { queue } = opened();
    add(queue, 'a');
    const [{ claim }] = queue.claim(node1, 1, pace, T0) as [Claimed];
    queue.refuse('a', claim, 'insufficient funds', T0);
    expect(queue.find('a')).toMatchObject({ state: 'failed', reason: 'insufficient funds' });
    expect(queue.begin('node1', 'a', claim, T0)).toBe(false);
  });
});

/**
 * Clients, nodes and the object that has the queue, with a network between them that loses, repeats and delays whatever it carries, nodes that
 * crash, and an object that is restarted at any moment. A node is honest: it dials when it is told that it may, once for each claim that it was given.
 */
class World {
  readonly #random: ReturnType<typeof seeded>;
  readonly #sql = memorySql();
  #queue: DialQueue;
  now = T0;
  /** What is on its way. */
  #messages: { at: number; deliver: () => void }[] = [];
  /** What each node is at; gone when it crashes. */
  readonly #jobs = new Map<string, Map<string, Job>>([
    ['node1', new Map()],
    ['node2', new Map()],
    ['node3', new Map()],
  ]);
  readonly invites = new Map<string, number>();
  readonly grants = new Map<string, Set<string>>();
  readonly arrived = new Map<string, string[]>();
  readonly asked = new Set<string>();
  readonly #answeredFor = new Set<string>();
  #ids = 0;
  crashes = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
    migrateDials(this.#sql);
    this.#queue = this.#open();
  }

  get queue(): DialQueue {
    return this.#queue;
  }

  step(): void {
    const { whole } = this.#random;
    this.now += whole(900);
    const chance = whole(100);
    if (chance < 18) this.#ask();
    else if (chance < 22 && this.asked.size > 0) this.#cancel();
    else if (chance < 60) this.#poll(this.#random.of([...this.#jobs.keys()]));
    else if (chance < 62) this.#crashNode(this.#random.of([...this.#jobs.keys()]));
    else if (chance < 66) this.#queue = this.#open();
    else if (chance < 80) this.#queue.expire(this.now);
    else this.#tell(whole(3) > 0);
    this.#deliverDue();
    if (whole(10) === 0) this.check();
  }

  /** The network, nodes and database are well; everything comes to its end. */
  finish(): void {
    for (let i = 0; i < 400; i++) {
      this.now += 1_000;
      this.#deliverDue();
      this.#queue.expire(this.now);
      this.#tell(true);
    }
    this.check();
  }

  check(): void {
    for (const [callId, count] of this.invites) expect(count, `${callId} was dialled twice`).toBe(1);
    for (const [callId, claims] of this.grants) expect(claims.size, `${callId} begun by two claims`).toBe(1);
    const [{ wrong }] = this.#sql
      .exec<{ wrong: number }>(
        `SELECT count(*) AS wrong FROM users WHERE waiting <>
         (SELECT count(*) FROM dials WHERE dials.user_id = users.user_id AND state = 'queued')`,
      )
      .toArray() as [{ wrong: number }];
    expect(wrong, 'users whose waiting dials are miscounted').toBe(0);
  }

  checkEnd(): void {
    for (const callId of this.asked) {
      const told = this.arrived.get(callId);
      expect(told, `${callId} was never told`).toBeDefined();
      expect(new Set(told).size, `${callId} had several ends: ${told}`).toBe(1);
      const [end] = told!;
      if (end === 'expired')
        expect(this.invites.has(callId), `${callId} expired, and was dialled`).toBe(false);
      if (this.invites.has(callId)) expect(['answered', 'failed', 'cancelled']).toContain(end);
      if (end === 'answered') expect(this.#answeredFor.has(callId)).toBe(true);
    }
  }

  #open(): DialQueue {
    return new DialQueue(this.#sql, () => `claim-${++this.#ids}`);
  }

  /** At the other end at once, later, twice, or never. */
  #send(deliver: () => void): void {
    const { whole } = this.#random;
    if (whole(6) === 0) return;
    for (let copies = whole(8) === 0 ? 2 : 1; copies > 0; copies--) {
      this.#messages.push({ at: this.now + (whole(4) === 0 ? whole(15_000) : whole(300)), deliver });
    }
  }

  #deliverDue(): void {
    for (;;) {
      const due = this.#messages.filter(({ at }) => at <= this.now);
      if (due.length === 0) return;
      this.#messages = this.#messages.filter(({ at }) => at > this.now);
      for (const { deliver } of due) deliver();
    }
  }

  #ask(): void {
    const { whole, of } = this.#random;
    const again = this.asked.size > 0 && whole(4) === 0;
    const callId = again ? of([...this.asked]) : `call-${this.asked.size}`;
    const userId = `user-${Number(callId.slice(5)) % 4}`;
    const expiresAt = this.now + 20_000 + whole(100_000);
    const known = this.#queue.find(callId) !== null;
    const answer = this.#queue.add(dialOf(callId, { userId, expiresAt }), 1_000, 1_000, this.now);
    expect(answer).toBe(known ? 'repeated' : 'queued');
    this.asked.add(callId);
  }

  #cancel(): void {
    const callId = this.#random.of([...this.asked]);
    this.#send(() => this.#queue.cancel(callId, this.now));
  }

  #poll(name: string): void {
    const room = 1 + this.#random.whole(4);
    const incarnation = this.#jobs.get(name);
    this.#send(() => {
      const claims = this.#queue.claim({ ...node1, name }, room, { perSecond: 4, atOnce: 8 }, this.now);
      this.#send(() => {
        const jobs = this.#jobs.get(name)!;
        // A node that has crashed meanwhile knows nothing of what it asked; one that gets an answer twice takes it once.
        if (jobs !== incarnation) return;
        for (const { callId, claim } of claims) {
          if (jobs.has(claim)) continue;
          const job: Job = { callId, claim, dialled: false };
          jobs.set(claim, job);
          for (let i = 0; i < 3; i++) this.#begin(name, job, jobs);
        }
      });
    });
  }

  #begin(name: string, job: Job, jobs: Map<string, Job>): void {
    this.#send(() => {
      if (!this.#queue.begin(name, job.callId, job.claim, this.now)) return;
      const claims = this.grants.get(job.callId) ?? new Set();
      this.grants.set(job.callId, claims.add(job.claim));
      this.#send(() => {
        if (this.#jobs.get(name) !== jobs || job.dialled) return;
        job.dialled = true;
        this.invites.set(job.callId, (this.invites.get(job.callId) ?? 0) + 1);
        this.#goOn(name, job);
      });
    });
  }

  #goOn(name: string, { callId, claim }: Job): void {
    const tell = (progress: Parameters<DialQueue['progress']>[3]) => {
      for (let i = 0; i < 3; i++)
        this.#send(() => this.#queue.progress(name, callId, claim, progress, this.now));
    };
    if (this.#random.whole(2) === 0) tell({ state: 'ringing' });
    if (this.#random.whole(2) === 0) tell({ state: 'failed', sipStatus: this.#random.of([486, 603, 487]) });
    else {
      this.#answeredFor.add(callId);
      tell({ state: 'answered' });
    }
  }

  #crashNode(name: string): void {
    this.crashes++;
    this.#jobs.set(name, new Map());
  }

  #tell(up: boolean): void {
    for (const { dial } of this.#queue.untold(5, this.now)) {
      // The database may have taken it, and the answer be lost: it is told again.
      if (up || this.#random.whole(2) === 0) {
        this.arrived.set(dial.callId, [...(this.arrived.get(dial.callId) ?? []), dial.state]);
      }
      if (up) this.#queue.told(dial.callId, this.now);
      else this.#queue.untoldAgain(dial.callId, this.#random.fraction(), this.now);
    }
  }
}

interface Job {
  callId: string;
  claim: string;
  dialled: boolean;
}

describe('dials in random interleavings', () => {
  it.each(Array.from({ length: 25 }, (_, seed) => seed))(
    'seed %d: none is dialled twice, each comes to one end, and each end arrives',
    (seed) => {
      const world = new World(seed);
      for (let step = 0; step < 700; step++) world.step();
      world.finish();
      world.checkEnd();
      expect(world.asked.size).toBeGreaterThan(60);
      expect(world.invites.size).toBeGreaterThan(20);
      expect(world.crashes).toBeGreaterThan(2);
    },
  );
});
