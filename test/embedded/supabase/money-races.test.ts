import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectBooksInOrder } from '../../support/money.ts';
import { PostgresServer, type Session } from '../../support/postgres.ts';
import { seeded } from '../../support/random.ts';

/** Many connections to a real PostgreSQL, each as the service: the Worker's isolates are as many clients. */
let postgres: PostgresServer;
beforeAll(async () => {
  postgres = await PostgresServer.start();
});
afterEach(() => postgres.closeSessions());
afterAll(() => postgres?.close());

type Answer = { outcome: string; seconds?: number; charged?: number };

async function newAccount(session: Session, id: string, balance: number): Promise<void> {
  session.run(`insert into public.users (id, price_per_second) values ('${id}', 0.01)`);
  await session.ask(balance > 0 ? `public.top_up_user('${id}', ${balance}, 'first of ${id}')` : 'true');
}

const text = (call: object) => `'${JSON.stringify({ startTime: '2026-11-22T09:00:00Z', ...call })}'::jsonb`;
const reserve = (userId: string, callId: string, leastSeconds = 300) =>
  `public.reserve_call(${text({ callId, userId, leastSeconds, mostSeconds: 300 })})`;
const settle = (userId: string, callId: string, seconds: number) =>
  `public.settle_call(${text({ callId, userId, seconds })})`;
const release = (userId: string, callId: string) => `public.release_call(${text({ callId, userId })})`;

/** Until so many connections wait for a row that another holds. */
async function untilWaiting(count: number): Promise<void> {
  for (;;) {
    const waiting = await postgres.query("select from pg_stat_activity where wait_event_type = 'Lock'");
    if (waiting.length >= count) return;
  }
}

const balances = (id: string) =>
  postgres.query(`select balance, reserved from public.users where id = '${id}'`);

describe('calls that begin at once', () => {
  it('wait for each other, and the second finds what the first has left', async () => {
    const [first, second] = [postgres.session(), postgres.session()];
    await newAccount(first, 'pair', 4);
    first.run('begin');
    expect(await first.ask(reserve('pair', 'pair-1'))).toMatchObject({ outcome: 'reserved' });
    const asked = second.ask<Answer>(reserve('pair', 'pair-2'));
    await untilWaiting(1);
    first.run('commit');
    expect(await asked).toEqual({ outcome: 'insufficient funds' });
    expect(await balances('pair')).toEqual([{ balance: 4, reserved: 3 }]);
  });

  it('of which the account can pay for five: five of sixteen are taken', async () => {
    const sessions = Array.from({ length: 16 }, () => postgres.session());
    await newAccount(sessions[0]!, 'crowd', 17.99);
    // All of them stand at the door before it opens.
    sessions[0]!.run('begin');
    await sessions[0]!.ask("(select 1 from public.users where id = 'crowd' for update)");
    const asked = sessions
      .slice(1)
      .map((session, at) => session.ask<Answer>(reserve('crowd', `crowd-${at}`)));
    await untilWaiting(15);
    sessions[0]!.run('commit');
    const outcomes = (await Promise.all(asked)).map(({ outcome }) => outcome).sort();
    expect(outcomes).toEqual([...Array(10).fill('insufficient funds'), ...Array(5).fill('reserved')]);
    expect(await balances('crowd')).toEqual([{ balance: 17.99, reserved: 15 }]);
  });

  it('of the same name is one: eight requests for it set its price aside once', async () => {
    const sessions = Array.from({ length: 8 }, () => postgres.session());
    await newAccount(sessions[0]!, 'same', 100);
    const answers = await Promise.all(sessions.map((session) => session.ask<Answer>(reserve('same', 'one'))));
    expect(new Set(answers.map(({ outcome }) => outcome))).toEqual(new Set(['reserved']));
    expect(await balances('same')).toEqual([{ balance: 100, reserved: 3 }]);
  });
});

describe('ends that are delivered at once', () => {
  it('charge the call once', async () => {
    const sessions = Array.from({ length: 8 }, () => postgres.session());
    await newAccount(sessions[0]!, 'ends', 100);
    await sessions[0]!.ask(reserve('ends', 'ending'));
    const asked = sessions.map((session) => session.ask<Answer>(settle('ends', 'ending', 100)));
    const outcomes = (await Promise.all(asked)).map(({ outcome }) => outcome).sort();
    expect(outcomes).toEqual(['charged', ...Array(7).fill('repeated')]);
    expect(await balances('ends')).toEqual([{ balance: 99, reserved: 0 }]);
  });

  it('and a payment that arrives eight times is one', async () => {
    const sessions = Array.from({ length: 8 }, () => postgres.session());
    await newAccount(sessions[0]!, 'payer', 0);
    const paid = await Promise.all(
      sessions.map((session) => session.ask<boolean>("public.top_up_user('payer', 5, 'the same payment')")),
    );
    expect(paid.filter(Boolean)).toHaveLength(1);
    expect(await balances('payer')).toEqual([{ balance: 5, reserved: 0 }]);
  });
});

describe('what a call cost', () => {
  it('that is told eight times at once, each time otherwise, is one of them, whole', async () => {
    const sessions = Array.from({ length: 8 }, () => postgres.session());
    const call = {
      callId: 'costly',
      userId: 'anybody',
      status: 'ended',
      endReason: 'hangup',
      turns: [],
      failures: [],
    };
    await sessions[0]!.ask(`public.call_ended(${text({ ...call, endTime: '2026-11-22T09:01:00Z' })})`);
    const told = (cost: number) => {
      const provider = `vendor/${cost}`;
      return `'${JSON.stringify({ cost, unpriced: [], providers: [{ provider, cost }], turns: [] })}'::jsonb`;
    };
    const took = await Promise.all(
      sessions.map((session, at) => session.ask<boolean>(`public.call_costed('costly', ${told(at + 1)})`)),
    );
    expect(took.filter(Boolean)).toHaveLength(1);
    const [row] = await postgres.query(
      "select cost::float, cost_by_provider from public.call_logs where call_id = 'costly'",
    );
    const cost = took.indexOf(true) + 1;
    expect(row).toEqual({ cost, cost_by_provider: [{ provider: `vendor/${cost}`, cost }] });
  });
});

describe('everything at once', () => {
  it.each([1, 2, 3])('on twelve connections adds up, seed %d', async (seed) => {
    const random = seeded(seed);
    const sessions = Array.from({ length: 12 }, () => postgres.session());
    const users = ['x', 'y', 'z'].map((name) => `${name}-${seed}`);
    for (const user of users) await newAccount(sessions[0]!, user, 10);
    const callsOf = (user: string) => Array.from({ length: 12 }, (_, index) => `${user}-call-${index}`);
    const step = () => {
      const user = random.of(users);
      const call = random.of(callsOf(user));
      return random.of([
        reserve(user, call, 30),
        reserve(user, call, 30),
        settle(user, call, random.whole(301)),
        release(user, call),
        `public.top_up_user('${user}', 0.5, 'payment-${seed}-${user}-${random.whole(10)}')`,
        'public.release_lost_reservations()',
      ]);
    };
    const plans = sessions.map(() => Array.from({ length: 60 }, step));
    // Meanwhile reservations expire, at moments that nobody chose: of single rows, since the functions hold several.
    const expire = async () => {
      for (let times = 0; times < 25; times++) {
        const call = random.of(callsOf(random.of(users)));
        await postgres.execute(
          `update public.call_reservations set expires_at = now() where call_id = '${call}'`,
        );
      }
    };
    const expiring = expire();
    await Promise.all(
      sessions.map(async (session, index) => {
        for (const call of plans[index]!) await session.ask(call);
      }),
    );
    await expiring;
    await expectBooksInOrder((sql) => postgres.query(sql));
    // Every call's end comes in the end.
    const ends = users.flatMap((user) => callsOf(user).map((call) => settle(user, call, 50)));
    await Promise.all(
      sessions.map(async (session, index) => {
        for (const [at, end] of ends.entries()) if (at % 4 === index % 4) await session.ask(end);
      }),
    );
    await expectBooksInOrder((sql) => postgres.query(sql));
    const [sums] = await postgres.query(
      `select count(*)::integer as charged, sum(reserved)::float as reserved from (
         select (select sum(reserved) from public.users where id like '%-${seed}') as reserved
         from public.payment_transactions where kind = 'settle' and user_id like '%-${seed}'
       ) as settled`,
    );
    expect(sums).toEqual({ charged: 36, reserved: 0 });
  });
});
