import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedSupabase, startSupabase } from '../../../embedded/supabase/supabase.ts';
import { expectBooksInOrder } from '../../support/money.ts';
import { seeded } from '../../support/random.ts';

let supabase: EmbeddedSupabase;
beforeAll(async () => {
  supabase = await startSupabase();
});
afterAll(() => supabase?.close());

/** Amounts in ten-thousandths, prices in hundred-millionths: whole numbers, to be added up exactly. */
interface Account {
  id: string;
  balance: number;
  reserved: number;
  price: number;
}

interface ModelCall {
  callId: string;
  account: Account;
  most: number;
  /** What its object will send: none before it has ended. */
  seconds: number | null;
  /** What is set aside. */
  held: number;
  /** Seconds and price for which it was reserved, ever. */
  granted: { seconds: number; price: number } | null;
  settled: boolean;
  released: boolean;
}

/** Ten-thousandths, rounded as Postgres rounds: half away from zero. */
const priceOf = (seconds: number, price: number) => Math.floor((seconds * price + 5_000) / 10_000);

/** What the database should hold, kept beside it. Each step does one thing to both and compares. */
class Ledger {
  readonly accounts: Account[];
  readonly calls: ModelCall[] = [];
  readonly #name: string;
  #payments = 0;

  constructor(name: string) {
    this.#name = name;
    this.accounts = [0, 83_333, 1_000_000].map((price, index) => ({
      id: `${name}-user-${index}`,
      balance: 0,
      reserved: 0,
      price,
    }));
  }

  async open(): Promise<void> {
    for (const { id, price } of this.accounts) {
      await supabase.query('insert into users (id, price_per_second) values ($1, $2)', [id, price / 1e8]);
    }
  }

  newCall(account: Account, most: number): ModelCall {
    const call = {
      callId: `${this.#name}-call-${this.calls.length}`,
      account,
      most,
      seconds: null,
      held: 0,
      granted: null,
      settled: false,
      released: false,
    };
    this.calls.push(call);
    return call;
  }

  async topUp(account: Account, amount: number, times: number): Promise<void> {
    const payment = `${this.#name}-payment-${++this.#payments}`;
    for (let time = 0; time < times; time++) {
      const args = [account.id, amount / 1e4, payment];
      expect(await this.#run('top_up_user($1, $2, $3)', args)).toBe(time === 0);
    }
    account.balance += amount;
  }

  async reserve(call: ModelCall): Promise<void> {
    const { account } = call;
    const answer = await this.#run('reserve_call($1)', [
      this.#payload(call, { leastSeconds: 30, mostSeconds: call.most }),
    ]);
    if (call.held > 0 || (call.granted !== null && !call.settled && !call.released)) {
      expect(answer).toEqual({ outcome: 'reserved', seconds: call.granted?.seconds });
      return;
    }
    if (call.settled || call.released) {
      expect(answer).toEqual({ outcome: 'over' });
      return;
    }
    const available = account.balance - account.reserved;
    const seconds = Math.min(
      call.most,
      account.price === 0 ? call.most : Math.floor((available * 10_000) / account.price),
    );
    if (seconds < Math.min(30, call.most)) {
      expect(answer).toEqual({ outcome: 'insufficient funds' });
      return;
    }
    expect(answer).toEqual({ outcome: 'reserved', seconds });
    call.granted = { seconds, price: account.price };
    call.held = priceOf(seconds, account.price);
    account.reserved += call.held;
  }

  async settle(call: ModelCall): Promise<void> {
    const answer = await this.#run('settle_call($1)', [this.#payload(call, { seconds: call.seconds })]);
    if (call.settled) {
      expect(answer).toEqual({ outcome: 'repeated' });
      return;
    }
    const { account } = call;
    const cost = priceOf(call.seconds ?? 0, call.granted?.price ?? account.price);
    account.reserved -= call.held;
    call.held = 0;
    const charged = Math.min(cost, account.balance - account.reserved);
    account.balance -= charged;
    call.settled = true;
    expect(answer).toEqual({
      outcome: 'charged',
      charged: charged / 1e4,
      uncollected: (cost - charged) / 1e4,
    });
    // Of a call within what was set aside for it, nothing is ever left to collect.
    if (call.granted !== null && !call.released) expect(cost - charged).toBe(0);
  }

  async release(call: ModelCall): Promise<void> {
    const changed = !call.settled && !call.released;
    expect(await this.#run('release_call($1)', [this.#payload(call, {})])).toBe(changed);
    if (changed) this.#free(call);
  }

  /** A day and more later: what these calls set aside is given back by the sweep. */
  async expire(calls: readonly ModelCall[]): Promise<void> {
    for (const { callId } of calls) {
      await supabase.query('update call_reservations set expires_at = now() where call_id = $1', [callId]);
    }
    const lost = calls.filter((call) => call.granted !== null && !call.settled && !call.released);
    expect(await this.#run('release_lost_reservations()', [])).toBe(lost.length);
    for (const call of lost) this.#free(call);
  }

  async compare(): Promise<void> {
    const rows = await supabase.query(
      `select id, balance * 10000 as balance, reserved * 10000 as reserved from users
       where id = any ($1) order by id`,
      [this.accounts.map(({ id }) => id)],
    );
    expect(rows).toEqual(this.accounts.map(({ id, balance, reserved }) => ({ id, balance, reserved })));
    await expectBooksInOrder(supabase.query);
  }

  #free(call: ModelCall): void {
    call.account.reserved -= call.held;
    call.held = 0;
    call.released = true;
  }

  #payload({ callId, account }: ModelCall, more: object): object {
    return { callId, userId: account.id, startTime: '2026-11-22T09:00:00Z', pricePerSecond: '1', ...more };
  }

  async #run(call: string, args: unknown[]): Promise<unknown> {
    const [row] = await supabase.query<{ answer: unknown }>(`select public.${call} as answer`, args);
    return row?.answer;
  }
}

describe('random interleavings of starts, ends, crashes and replays', () => {
  it.each([1, 2, 3, 4, 5, 6])('add up to the coin, seed %d', async (seed) => {
    const random = seeded(seed);
    const ledger = new Ledger(`seed-${seed}`);
    await ledger.open();
    const end = (call: ModelCall) => {
      call.seconds ??= random.whole((call.granted?.seconds ?? call.most) + 1);
      return ledger.settle(call);
    };
    const steps: (() => Promise<void>)[] = [
      () => ledger.topUp(random.of(ledger.accounts), 1 + random.whole(50_000), 1 + random.whole(2)),
      // Begins, with its reservation once, twice, or (the database did not answer) not at all.
      async () => {
        const call = ledger.newCall(random.of(ledger.accounts), 1 + random.whole(600));
        for (let times = random.whole(3); times > 0; times--) await ledger.reserve(call);
      },
      () => end(random.of(ledger.calls)),
      () => end(random.of(ledger.calls)),
      // Deliveries of anything, again or late.
      () => ledger.reserve(random.of(ledger.calls)),
      () => ledger.release(random.of(ledger.calls)),
      async () => {
        if (random.whole(4) === 0)
          await ledger.expire([...new Set([random.of(ledger.calls), random.of(ledger.calls)])]);
      },
    ];
    await steps[1]!();
    for (let step = 0; step < 150; step++) {
      await random.of(steps)();
      await ledger.compare();
    }
    // In the end every object has told its end: nothing is set aside any more, and each call is charged once.
    for (const call of ledger.calls) await end(call);
    for (const call of ledger.calls) await ledger.settle(call);
    await ledger.compare();
    expect(ledger.accounts.map(({ reserved }) => reserved)).toEqual([0, 0, 0]);
    const [counts] = await supabase.query<{ calls: number; charged: number }>(
      `select count(distinct call_id)::integer as calls, count(*)::integer as charged
       from payment_transactions where kind = 'settle' and call_id like $1`,
      [`seed-${seed}-%`],
    );
    expect(counts).toEqual({ calls: ledger.calls.length, charged: ledger.calls.length });
  });
});
