import { defaultPace, shareOf } from '../../src/dialling/pace.ts';
import { shardsToAsk } from '../../src/dialling/shards.ts';
import { type Claimed, DialQueue } from '../../src/durable/dial-queue.ts';
import { migrateDials } from '../../src/durable/dial-tables.ts';
import { shardOf } from '../../src/metrics/totals.ts';
import { seeded } from '../../test/support/random.ts';
import { memorySql } from '../../test/support/sqlite.ts';
import { Calendar, TICK_MS } from './calendar.ts';
import { ObjectLoads } from './loads.ts';
import { Users } from './users.ts';

export interface DialScene {
  shards: number;
  /** Calls that are asked for, a second. */
  perSecond: number;
  seconds: number;
  nodes: number;
  users: number;
  seed: number;
}

export interface DialOutcome {
  loads: ObjectLoads;
  asked: number;
  begun: number;
  /** Of those that were begun: how long they had waited for a node, in milliseconds. */
  waitedMs: number[];
  /** What waited at the end. */
  left: number;
  /** The most that one object kept. */
  mostRows: number;
}

/** A node asks for work so often (`waitMs` of `/api/v1/nodes/work`), and takes so many at once. */
const POLL_MS = 1_000;
const MOST_AT_ONCE = 50;
/** Rows that are delivered at once. */
const MOST_TOLD = 100;
/** Until it rings; until somebody answers, on average; four in ten do not. */
const RING_AFTER_MS = 2_000;
const ANSWER_AFTER_MS = 12_000;
const ANSWERED = 0.6;

const KINDS = { poll: 0, ring: 1, over: 2 } as const;
const KIND_BITS = 2;
const BEGIN = 1_700_000_000_000;

/**
 * Calls that the service places: clients who ask for them, nodes that take them, with the real queue in SQLite, its pace, and the shards that a
 * node asks. Counted are the requests to the objects of the queue. Requests take no time; deterministic by its seed.
 */
export function simulateDialling(scene: DialScene): DialOutcome {
  const random = seeded(scene.seed);
  const users = new Users(scene.users);
  const calendar = new Calendar(scene.seconds * 1_000);
  const loads = new ObjectLoads(Array.from({ length: scene.shards }, (_, i) => `dials-${i}`));
  let claims = 0;
  const queues = Array.from({ length: scene.shards }, () => {
    const sql = memorySql();
    migrateDials(sql);
    return { sql, queue: new DialQueue(sql, () => `claim-${claims++}`) };
  });
  const dials: { claimed: Claimed; node: string; shard: number }[] = [];
  const waitedMs: number[] = [];
  let asked = 0;
  let now = BEGIN;
  /** A request to an object; afterwards it looks when it is to be woken. */
  const ask = <T>(shard: number, act: (queue: DialQueue) => T): T => {
    loads.request(shard);
    const { queue } = queues[shard]!;
    const answer = act(queue);
    queue.takeFreed();
    void queue.nextDue;
    return answer;
  };
  const put = (atMs: number, kind: number, index: number) =>
    calendar.put(atMs - BEGIN, (index << KIND_BITS) | kind);
  const askedAt = new Map<string, number>();

  const add = () => {
    const callId = `dial-${asked++}`;
    const userId = `user-${users.of(random)}`;
    askedAt.set(callId, now);
    const dial = {
      ...{ callId, digest: callId, userId, campaignId: null, to: '+4930901820', callerId: '+4930901821' },
      ...{ trunk: null, ringMs: 45_000, expiresAt: now + 300_000, metadata: null },
    };
    ask(shardOf(callId, scene.shards), (queue) => queue.add(dial, 1_000_000, 1_000_000, now));
  };
  const poll = (index: number) => {
    const name = `node-${index}`;
    let free = MOST_AT_ONCE;
    for (const shard of shardsToAsk(scene.shards, random)) {
      const claimed = ask(shard, (queue) => {
        queue.expire(now);
        const node = { name, users: '*', campaigns: '*' } as const;
        const found = queue.claim(node, free, shareOf(defaultPace, scene.shards), now);
        queue.cancelledOf(name);
        return found;
      });
      free -= claimed.length;
      for (const dial of claimed) begin(dial, name, shard);
    }
    put(now + POLL_MS, KINDS.poll, index);
  };
  const begin = (claimed: Claimed, node: string, shard: number) => {
    if (!ask(shard, (queue) => queue.begin(node, claimed.callId, claimed.claim, now))) return;
    waitedMs.push(now - askedAt.get(claimed.callId)!);
    askedAt.delete(claimed.callId);
    const index = dials.push({ claimed, node, shard }) - 1;
    put(now + RING_AFTER_MS, KINDS.ring, index);
    put(now + RING_AFTER_MS - Math.log(1 - random.fraction()) * ANSWER_AFTER_MS, KINDS.over, index);
  };
  const progress = (index: number, over: boolean) => {
    const { claimed, node, shard } = dials[index]!;
    const answered = random.fraction() < ANSWERED;
    const state = over ? (answered ? 'answered' : 'failed') : 'ringing';
    ask(shard, (queue) =>
      queue.progress(
        node,
        claimed.callId,
        claimed.claim,
        state === 'failed' ? { state, sipStatus: 486 } : { state },
        now,
      ),
    );
    // The call's object asks what it was given along (`CallSessionDO`).
    if (over && answered) ask(shard, (queue) => queue.find(claimed.callId));
  };

  for (let i = 0; i < scene.nodes; i++) put(BEGIN + random.whole(POLL_MS), KINDS.poll, i);
  const rowsOf = () =>
    queues.map(({ sql }) => sql.exec<{ n: number }>('SELECT count(*) AS n FROM dials').toArray()[0]?.n ?? 0);
  for (let tick = 0; tick < (scene.seconds * 1_000) / TICK_MS; tick++) {
    now = BEGIN + tick * TICK_MS;
    for (const event of calendar.take(tick)) {
      const [kind, index] = [event & ((1 << KIND_BITS) - 1), event >> KIND_BITS];
      if (kind === KINDS.poll) poll(index);
      else progress(index, kind === KINDS.over);
    }
    const wait = () => (-Math.log(1 - random.fraction()) * 1_000) / scene.perSecond;
    for (let at = wait(); at < TICK_MS; at += wait()) add();
    if ((tick + 1) % (1_000 / TICK_MS) !== 0) continue;
    loads.endSecond('all');
    // Its alarm carries what is over to the database.
    for (const { queue } of queues) {
      for (let told = MOST_TOLD; told === MOST_TOLD; ) {
        const untold = queue.untold(MOST_TOLD, now);
        for (const { dial } of untold) queue.told(dial.callId, now);
        told = untold.length;
      }
    }
  }
  return {
    ...{ loads, asked, begun: dials.length, waitedMs, left: askedAt.size },
    mostRows: Math.max(...rowsOf()),
  };
}
