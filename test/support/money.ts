import { createHmac, randomUUID } from 'node:crypto';
import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { expect } from 'vitest';
import type { EmbeddedSupabase } from '../../embedded/supabase/supabase.ts';

/** Makes somebody who can log in, and returns their id: the `auth_id` of an account. */
export async function newLogin(supabase: EmbeddedSupabase): Promise<string> {
  const id = randomUUID();
  await supabase.query('insert into auth.users (id) values ($1)', [id]);
  return id;
}

/** A browser of somebody who is logged in: the token is the one that Supabase Auth would sign. */
export function loggedIn(
  supabase: EmbeddedSupabase,
  authId: string,
  claims: Record<string, unknown> = {},
): SupabaseClient {
  const token = userToken(supabase.jwtSecret, authId, claims);
  return createClient(supabase.url, supabase.publishableKey, {
    global: { headers: { Authorization: `Bearer ${token}` } },
  });
}

/** HS256 (RFC 7515), valid for an hour. */
export function userToken(secret: string, authId: string, claims: Record<string, unknown> = {}): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const exp = Math.floor(Date.now() / 1_000) + 3_600;
  const payload = { sub: authId, role: 'authenticated', aud: 'authenticated', exp, ...claims };
  const unsigned = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(payload)}`;
  return `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`;
}

/** One of the functions that move money. Throws what the database says against it. */
export async function money<Answer>(
  service: SupabaseClient,
  name: 'reserve_call' | 'settle_call' | 'release_call' | 'top_up_user' | 'release_lost_reservations',
  args: Record<string, unknown>,
): Promise<Answer> {
  const { data, error } = await service.rpc(name, args);
  if (error !== null) throw error;
  return data as Answer;
}

export interface Account {
  balance: number;
  reserved: number;
}

export async function accountOf(service: SupabaseClient, userId: string): Promise<Account> {
  const { data, error } = await service.from('users').select('balance, reserved').eq('id', userId).single();
  if (error !== null) throw error;
  return data;
}

/** Every invariant of the accounts, by queries that know nothing of the functions. Throws where one does not hold. */
export async function expectBooksInOrder(query: (sql: string) => Promise<object[]>): Promise<void> {
  const wrong = await query(`
    select 'balance or reserved is not the sum of its movements' as what, id from public.users
    where balance <> (
      select coalesce(sum(balance_change), 0) from public.payment_transactions where user_id = users.id
    ) or reserved <> (
      select coalesce(sum(reserved_change), 0) from public.payment_transactions where user_id = users.id
    )
    union all
    select 'reserved is not what is set aside', id from public.users
    where reserved <> (select coalesce(sum(amount), 0) from public.call_reservations where user_id = users.id)
    union all
    select 'overdrawn', id from users where balance < 0 or reserved < 0 or reserved > balance
    union all
    select 'charged twice', call_id from public.payment_transactions
    where kind = 'settle' group by user_id, call_id, call_start having count(*) > 1
    union all
    select 'a call that is over has money set aside', call_id from public.call_reservations
    where exists (
      select from public.payment_transactions as done
      where done.user_id = call_reservations.user_id
        and done.call_id = call_reservations.call_id and done.call_start = call_reservations.call_start
        and done.kind in ('settle', 'release')
    )
    union all
    select 'charged and not collected do not make the price', call_id from public.payment_transactions
    where kind = 'settle' and uncollected - balance_change <> round(seconds * price_per_second, 4)
  `);
  expect(wrong).toEqual([]);
}
