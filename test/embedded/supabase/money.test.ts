import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedSupabase, startSupabase } from '../../../embedded/supabase/supabase.ts';
import { createSupabaseBooks } from '../../../src/records/supabase-books.ts';
import { accountOf, expectBooksInOrder, money } from '../../support/money.ts';

let supabase: EmbeddedSupabase;
let service: SupabaseClient;
beforeAll(async () => {
  supabase = await startSupabase();
  service = createClient(supabase.url, supabase.serviceRoleKey);
});
afterAll(() => supabase?.close());
afterEach(() => expectBooksInOrder(supabase.query));

let users = 0;
/** An account of its own for each test: its balance, and its price a second (null: the service's own). */
async function newAccount(balance: number, price: number | null = 0.01): Promise<string> {
  const id = `user-${++users}`;
  await supabase.query('insert into users (id, price_per_second) values ($1, $2)', [id, price]);
  if (balance > 0) await topUp(id, balance, `first of ${id}`);
  return id;
}

const started = '2026-11-22T09:00:00.250Z';
const topUp = (of_user: string, amount: number, payment: string) =>
  money<boolean>(service, 'top_up_user', { of_user, amount, payment });
const reserve = (userId: string, callId: string, more: object = {}) =>
  money<{ outcome: string; seconds?: number }>(service, 'reserve_call', {
    call: {
      callId,
      userId,
      startTime: started,
      leastSeconds: 30,
      mostSeconds: 300,
      pricePerSecond: '0.002',
      ...more,
    },
  });
const settle = (userId: string, callId: string, seconds: number, more: object = {}) =>
  money<{ outcome: string; charged?: number; uncollected?: number }>(service, 'settle_call', {
    call: { callId, userId, startTime: started, seconds, pricePerSecond: '0.002', ...more },
  });
const release = (userId: string, callId: string) =>
  money<boolean>(service, 'release_call', { call: { callId, userId, startTime: started } });
const expire = (callId: string) =>
  supabase.query("update call_reservations set expires_at = now() - interval '1 s' where call_id = $1", [
    callId,
  ]);

describe('the life of an amount', () => {
  it('is set aside when the call begins, and charged by the second when it has ended', async () => {
    const user = await newAccount(10);
    expect(await reserve(user, 'life')).toEqual({ outcome: 'reserved', seconds: 300 });
    expect(await accountOf(service, user)).toEqual({ balance: 10, reserved: 3 });
    expect(await settle(user, 'life', 61)).toEqual({ outcome: 'charged', charged: 0.61, uncollected: 0 });
    expect(await accountOf(service, user)).toEqual({ balance: 9.39, reserved: 0 });
    const { data } = await service
      .from('payment_transactions')
      .select('kind, call_id, balance_change, reserved_change, seconds, price_per_second')
      .eq('user_id', user)
      .order('id');
    expect(data).toEqual([
      {
        kind: 'top_up',
        call_id: null,
        balance_change: 10,
        reserved_change: 0,
        seconds: null,
        price_per_second: null,
      },
      {
        kind: 'reserve',
        call_id: 'life',
        balance_change: 0,
        reserved_change: 3,
        seconds: 300,
        price_per_second: 0.01,
      },
      {
        kind: 'settle',
        call_id: 'life',
        balance_change: -0.61,
        reserved_change: -3,
        seconds: 61,
        price_per_second: 0.01,
      },
    ]);
  });

  it('goes back whole where no call came of it', async () => {
    const user = await newAccount(10);
    await reserve(user, 'refused');
    expect(await release(user, 'refused')).toBe(true);
    expect(await release(user, 'refused'), 'a repeat').toBe(false);
    expect(await accountOf(service, user)).toEqual({ balance: 10, reserved: 0 });
    expect(await reserve(user, 'refused'), 'and never comes back').toEqual({ outcome: 'over' });
  });

  it('is as long as the account can pay for, and refused below the least', async () => {
    const user = await newAccount(4.5);
    expect(await reserve(user, 'first')).toMatchObject({ seconds: 300 });
    expect(await reserve(user, 'second')).toMatchObject({ outcome: 'reserved', seconds: 150 });
    expect(await reserve(user, 'third')).toEqual({ outcome: 'insufficient funds' });
    await settle(user, 'first', 10);
    expect(await reserve(user, 'third')).toMatchObject({ outcome: 'reserved', seconds: 290 });
  });

  it('is priced by the service where the account has no price, and may be nothing', async () => {
    const ordinary = await newAccount(1, null);
    expect(await reserve(ordinary, 'ordinary')).toMatchObject({ seconds: 300 });
    expect(await accountOf(service, ordinary)).toMatchObject({ reserved: 0.6 });
    const free = await newAccount(0, 0);
    expect(await reserve(free, 'free')).toEqual({ outcome: 'reserved', seconds: 300 });
    expect(await settle(free, 'free', 299)).toMatchObject({ charged: 0, uncollected: 0 });
  });

  it('keeps the price at which it was set aside', async () => {
    const user = await newAccount(10);
    await reserve(user, 'repriced');
    await service.from('users').update({ price_per_second: 5 }).eq('id', user);
    expect(await settle(user, 'repriced', 100)).toMatchObject({ charged: 1 });
  });

  it('rounds to the smallest coin, and never beyond the balance', async () => {
    const user = await newAccount(0.05, 0.00083333);
    expect(await reserve(user, 'coin')).toEqual({ outcome: 'reserved', seconds: 60 });
    expect(await accountOf(service, user)).toEqual({ balance: 0.05, reserved: 0.05 });
    expect(await settle(user, 'coin', 60)).toMatchObject({ charged: 0.05, uncollected: 0 });
  });

  it.each([
    ['who is blocked', { blocked_at: '2026-01-01T00:00:00Z' }, 'blocked'],
    ['who will be blocked', { blocked_at: '2999-01-01T00:00:00Z' }, 'reserved'],
  ])('of a user %s', async (_who, change, outcome) => {
    const user = await newAccount(10);
    await service.from('users').update(change).eq('id', user);
    expect(await reserve(user, `of ${user}`)).toMatchObject({ outcome });
  });

  it('of nobody is no error, so that an outbox does not repeat it for ever', async () => {
    expect(await reserve('stranger', 'x')).toEqual({ outcome: 'no account' });
    expect(await settle('stranger', 'x', 10)).toEqual({ outcome: 'no account' });
    expect(await release('stranger', 'x')).toBe(false);
  });
});

describe('deliveries that are repeated, late or out of order', () => {
  it('changes nothing when each is repeated', async () => {
    const user = await newAccount(10);
    expect(await reserve(user, 'twice')).toEqual(await reserve(user, 'twice'));
    expect(await accountOf(service, user)).toEqual({ balance: 10, reserved: 3 });
    await settle(user, 'twice', 100);
    expect(await settle(user, 'twice', 200)).toEqual({ outcome: 'repeated' });
    expect(await release(user, 'twice')).toBe(false);
    expect(await reserve(user, 'twice')).toEqual({ outcome: 'over' });
    expect(await accountOf(service, user)).toEqual({ balance: 9, reserved: 0 });
  });

  it('charges a call that was taken without a reservation, at most what there is', async () => {
    const user = await newAccount(5);
    await reserve(user, 'other');
    expect(await settle(user, 'unreserved', 300)).toEqual({ outcome: 'charged', charged: 2, uncollected: 1 });
    expect(await accountOf(service, user), 'the other call keeps its own').toEqual({
      balance: 3,
      reserved: 3,
    });
    expect(await reserve(user, 'unreserved'), 'its reservation comes too late').toEqual({ outcome: 'over' });
  });

  it('ignores a reservation that arrives after it was given up', async () => {
    const user = await newAccount(10);
    await release(user, 'slow');
    expect(await reserve(user, 'slow')).toEqual({ outcome: 'over' });
    expect(await accountOf(service, user)).toEqual({ balance: 10, reserved: 0 });
  });

  it('takes an id that is used again, later, for another call', async () => {
    const user = await newAccount(10);
    const later = { startTime: '2026-11-23T09:00:00.250Z' };
    await reserve(user, 'again');
    await settle(user, 'again', 100);
    expect(await reserve(user, 'again', later)).toMatchObject({ outcome: 'reserved' });
    expect(await settle(user, 'again', 100, later)).toMatchObject({ outcome: 'charged' });
    expect(await accountOf(service, user)).toEqual({ balance: 8, reserved: 0 });
  });

  it('touches no other account, though the call has the same id and start', async () => {
    const [user, other] = [await newAccount(10), await newAccount(10)];
    await reserve(user, 'shared');
    expect(await release(other, 'shared')).toBe(true);
    expect(await settle(other, 'shared', 100)).toMatchObject({ charged: 1 });
    expect(await accountOf(service, user)).toEqual({ balance: 10, reserved: 3 });
    expect(await settle(user, 'shared', 200)).toMatchObject({ charged: 2 });
  });

  it('pays in once a payment', async () => {
    const user = await newAccount(0);
    expect(await topUp(user, 12.3456, 'payment-1')).toBe(true);
    expect(await topUp(user, 12.3456, 'payment-1')).toBe(false);
    await expect(topUp(user, 99, 'payment-1')).rejects.toMatchObject({ code: '23505' });
    await expect(topUp('stranger', 1, 'payment-2')).rejects.toMatchObject({ code: '23503' });
    await expect(topUp(user, -1, 'payment-3')).rejects.toMatchObject({ code: '23514' });
    await expect(topUp(user, 0, 'payment-4')).rejects.toMatchObject({ code: '23514' });
    expect(await accountOf(service, user)).toEqual({ balance: 12.3456, reserved: 0 });
  });
});

describe('what is no number', () => {
  it('is not paid in: a balance that is none would pay for everything', async () => {
    const user = await newAccount(1);
    await expect(
      money(service, 'top_up_user', { of_user: user, amount: 'NaN', payment: 'nan' }),
    ).rejects.toMatchObject({ code: '23514' });
    await expect(
      supabase.query("update users set balance = 'NaN', reserved = 0 where id = $1", [user]),
      'by the owner’s own mistake neither',
    ).rejects.toMatchObject({ code: '23514' });
    expect(await accountOf(service, user)).toEqual({ balance: 1, reserved: 0 });
  });

  it('is no price: the whole balance would be charged', async () => {
    const user = await newAccount(1, null);
    for (const pricePerSecond of ['NaN', '-1', null]) {
      await expect(settle(user, 'unpriced', 10, { pricePerSecond })).rejects.toMatchObject({
        code: expect.stringMatching(/^23/),
      });
      await expect(reserve(user, 'unpriced', { pricePerSecond, leastSeconds: -999 })).rejects.toMatchObject({
        code: expect.stringMatching(/^23/),
      });
    }
    expect(await accountOf(service, user)).toEqual({ balance: 1, reserved: 0 });
  });

  it('is no length of a call: a day would be charged', async () => {
    const user = await newAccount(10);
    // JSON has no NaN: this is what becomes of one.
    await expect(
      settle(user, 'endless', 0, { seconds: JSON.parse(JSON.stringify(Number.NaN)) }),
    ).rejects.toMatchObject({ code: '22004' });
    await expect(settle(user, 'endless', -1)).rejects.toMatchObject({ code: '23514' });
    expect(await settle(user, 'endless', 10), 'and it is charged once it is known').toMatchObject({
      charged: 0.1,
    });
    expect(await settle(await newAccount(1, 0.00001), 'two-days', 172_800)).toMatchObject({
      charged: 0.864,
    });
  });
});

describe('the reservation of a call whose end never comes', () => {
  const sweep = () => money<number>(service, 'release_lost_reservations', {});

  it('stands as long as the call may last and its end may be on the way: a day more', async () => {
    const user = await newAccount(10);
    await reserve(user, 'lasting', { mostSeconds: 86_400, leastSeconds: 1 });
    const [row] = await supabase.query<{ hours: number }>(
      `select round(extract(epoch from expires_at - now()) / 3600)::integer as hours
       from call_reservations where call_id = 'lasting'`,
    );
    expect(row?.hours).toBe(48);
    expect(await sweep()).toBe(0);
    await release(user, 'lasting');
  });

  it('is given back by the sweep, once', async () => {
    const user = await newAccount(10);
    await reserve(user, 'lost-1');
    await reserve(user, 'lost-2');
    await reserve(user, 'running');
    await Promise.all(['lost-1', 'lost-2'].map(expire));
    expect(await sweep()).toBe(2);
    expect(await sweep()).toBe(0);
    expect(await accountOf(service, user)).toEqual({ balance: 10, reserved: 3 });
  });

  it('is given back where the user calls again, though nobody sweeps', async () => {
    const user = await newAccount(3);
    await reserve(user, 'lost-3');
    expect(await reserve(user, 'next-3')).toEqual({ outcome: 'insufficient funds' });
    await expire('lost-3');
    expect(await reserve(user, 'next-3')).toMatchObject({ outcome: 'reserved', seconds: 300 });
  });

  it('was given back, and the call is charged all the same when its end comes after all', async () => {
    const user = await newAccount(10);
    await reserve(user, 'late');
    await expire('late');
    await sweep();
    await service.from('users').update({ price_per_second: 5 }).eq('id', user);
    expect(await settle(user, 'late', 100), 'at the price of then').toMatchObject({
      outcome: 'charged',
      charged: 1,
    });
    expect(await settle(user, 'late', 100)).toEqual({ outcome: 'repeated' });
    expect(await accountOf(service, user)).toEqual({ balance: 9, reserved: 0 });
  });
});

describe('the books, as the Worker has them', () => {
  const never = new AbortController().signal;
  const books = (key = supabase.serviceRoleKey) =>
    createSupabaseBooks({ url: supabase.url, key, timeoutMs: 10_000, pricePerSecond: '0.00123456' });
  const seconds = { leastSeconds: 30, mostSeconds: 300 };
  const callOf = (userId: string, callId: string) => ({ callId, userId, startTime: Date.parse(started) });

  it('reserve, settle and release the same call that SQL knows, at the service’s price', async () => {
    const user = await newAccount(1, null);
    const call = callOf(user, 'by-worker');
    expect(await books().reserve(call, seconds, never)).toEqual({ outcome: 'reserved', seconds: 300 });
    expect(await accountOf(service, user)).toEqual({ balance: 1, reserved: 0.3704 });
    expect(await books().settle(call, 61, never)).toEqual({
      outcome: 'charged',
      charged: 0.0753,
      uncollected: 0,
    });
    expect(await books().settle(call, 61, never)).toEqual({ outcome: 'repeated' });
    await books().release(call, never);
    expect(await accountOf(service, user)).toEqual({ balance: 0.9247, reserved: 0 });
  });

  it.each(['insufficient funds', 'no account'])('say "%s"', async (outcome) => {
    const user = outcome === 'no account' ? 'stranger' : await newAccount(0.01, null);
    expect(await books().reserve(callOf(user, 'no'), seconds, never)).toEqual({ outcome });
  });

  it('take names that Postgres does not store for strangers, and not for an outage', async () => {
    for (const userId of ['a\u0000b', '\ud800', "'); drop table users; --"]) {
      expect(await books().reserve(callOf(userId, 'odd'), seconds, never)).toEqual({ outcome: 'no account' });
    }
  });

  it('refuse a wrong key for good', async () => {
    const wrong = books('sb_secret_wrongwrongwrongwrong_00000000');
    await expect(wrong.reserve(callOf('a', 'x'), seconds, never)).rejects.toMatchObject({
      name: 'RecordsError',
      retryable: false,
    });
  });
});
