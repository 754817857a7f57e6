import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedSupabase, startSupabase } from '../../../embedded/supabase/supabase.ts';
import { createFindAccounts } from '../../../src/records/accounts.ts';
import { createFindCampaign } from '../../../src/records/campaigns.ts';
import { loggedIn, money, newLogin, userToken } from '../../support/money.ts';

const start = new Date(Date.UTC(2026, 10, 22, 9)).toISOString();

let supabase: EmbeddedSupabase;
let authA: string;
let authB: string;
let service: SupabaseClient;
let anon: SupabaseClient;
let a: SupabaseClient;
let b: SupabaseClient;

const turn = (text: string) => ({
  position: 0,
  role: 'caller',
  text,
  startMs: 0,
  endMs: 900,
  interrupted: false,
  latency: null,
});

beforeAll(async () => {
  supabase = await startSupabase();
  authA = await newLogin(supabase);
  authB = await newLogin(supabase);
  service = createClient(supabase.url, supabase.serviceRoleKey);
  anon = createClient(supabase.url, supabase.publishableKey);
  a = loggedIn(supabase, authA);
  b = loggedIn(supabase, authB);
  for (const [id, auth_id] of [
    ['a', authA],
    ['b', authB],
    ['nobody-logs-in', null],
  ] as const) {
    const { error } = await service.from('users').insert({ id, auth_id, price_per_second: 0.01 });
    expect(error).toBeNull();
    await service.from('campaigns').insert({ id: `campaign-of-${id}`, user_id: id, name: 'A campaign' });
    const call = { callId: `call-of-${id}`, userId: id, startTime: start };
    await money(service, 'top_up_user', { of_user: id, amount: 10, payment: `payment-of-${id}` });
    await money(service, 'reserve_call', { call: { ...call, leastSeconds: 30, mostSeconds: 300 } });
    await service.rpc('call_started', { call });
    await service.rpc('call_conversation', { of_call: call.callId, turns: [turn(`words of ${id}`)] });
  }
});
afterAll(() => supabase?.close());

/** What one may read of each table, as the ids in it. */
async function readable(client: SupabaseClient) {
  const column = {
    users: 'id',
    campaigns: 'id',
    call_logs: 'call_id',
    call_turns: 'text',
    payment_transactions: 'user_id',
    call_failures: 'call_id',
    call_reservations: 'call_id',
  } as const;
  const answers = Object.entries(column).map(async ([table, name]) => {
    const { data, error, status } = await client.from(table).select();
    if (error !== null) return [table, `${status} ${error.code}`] as const;
    return [table, [...new Set(data.map((row) => row[name] as string))].sort()] as const;
  });
  return Object.fromEntries(await Promise.all(answers));
}

describe('who may read what, through the REST interface', () => {
  it('shows user A the rows of A, and user B those of B', async () => {
    const own = (id: string) => ({
      users: [id],
      campaigns: [`campaign-of-${id}`],
      call_logs: [`call-of-${id}`],
      call_turns: [`words of ${id}`],
      payment_transactions: [id],
      call_failures: '403 42501',
      call_reservations: '403 42501',
    });
    expect(await readable(a)).toEqual(own('a'));
    expect(await readable(b)).toEqual(own('b'));
  });

  it('shows somebody who is logged in and has no account nothing', async () => {
    const rows = await readable(loggedIn(supabase, await newLogin(supabase)));
    expect(rows).toEqual({
      users: [],
      campaigns: [],
      call_logs: [],
      call_turns: [],
      payment_transactions: [],
      call_failures: '403 42501',
      call_reservations: '403 42501',
    });
  });

  it('shows nobody anything without a login', async () => {
    expect(new Set(Object.values(await readable(anon)))).toEqual(new Set(['401 42501']));
  });

  it('shows the service everything', async () => {
    const rows = await readable(service);
    expect(rows.users).toEqual(['a', 'b', 'nobody-logs-in']);
    expect(rows.call_reservations).toEqual(['call-of-a', 'call-of-b', 'call-of-nobody-logs-in']);
  });

  it.each([
    ['asked for by name', () => a.from('call_logs').select().eq('call_id', 'call-of-b')],
    ['asked for by user', () => a.from('payment_transactions').select().eq('user_id', 'b')],
    ['turns by call', () => a.from('call_turns').select().eq('call_id', 'call-of-b')],
    ['with turns inside', () => a.from('call_logs').select('call_id, call_turns(*)').eq('user_id', 'b')],
  ])('hides the rows of B from A: %s', async (_how, ask) => {
    expect(await ask()).toMatchObject({ data: [], error: null });
  });

  it('knows no role of a node: its token is the Worker’s own matter, and none of the database’s', async () => {
    const headers = (token: string) => ({
      apikey: supabase.publishableKey,
      authorization: `Bearer ${token}`,
    });
    for (const token of ['node-token', userToken(supabase.jwtSecret, authA, { role: 'node' })]) {
      const response = await fetch(`${supabase.url}/rest/v1/call_logs`, { headers: headers(token) });
      expect(response.ok).toBe(false);
      expect(await response.text()).not.toContain('call-of');
    }
  });

  it('refuses a token that is over, or that another secret has signed', async () => {
    const stale = loggedIn(supabase, authA, { exp: 1_000_000 });
    const forged = loggedIn({ ...supabase, jwtSecret: 'x'.repeat(32) }, authA);
    expect(await stale.from('users').select()).toMatchObject({ data: null, status: 401 });
    expect(await forged.from('users').select()).toMatchObject({ data: null, status: 401 });
  });
});

describe('who may write', () => {
  const payment = { of_user: 'a', amount: 1_000, payment: 'made up' };
  const attempts = (client: SupabaseClient) => [
    client.from('users').insert({ id: 'another' }),
    client.from('users').update({ balance: 1_000 }).eq('id', 'a'),
    client.from('users').update({ price_per_second: 0 }).eq('id', 'a'),
    client.from('users').update({ auth_id: authA }).eq('id', 'b'),
    client.from('users').delete().eq('id', 'b'),
    client.from('campaigns').insert({ id: 'mine', user_id: 'a', name: 'Mine' }),
    client.from('campaigns').update({ user_id: 'a' }).eq('id', 'campaign-of-b'),
    client.from('call_logs').update({ user_id: 'a' }).eq('call_id', 'call-of-b'),
    client.from('call_turns').delete().eq('call_id', 'call-of-b'),
    client.from('payment_transactions').insert({
      user_id: 'a',
      kind: 'top_up',
      reference: 'made up',
      balance_change: 1_000,
      reserved_change: 0,
    }),
    client.from('payment_transactions').delete().eq('user_id', 'a'),
    client.from('call_reservations').delete().eq('user_id', 'a'),
    client.rpc('top_up_user', payment),
    client.rpc('reserve_call', { call: {} }),
    client.rpc('settle_call', { call: {} }),
    client.rpc('release_call', { call: { callId: 'call-of-a', userId: 'a', startTime: start } }),
    client.rpc('release_lost_reservations'),
    client.rpc('release_expired', { of_user: 'a' }),
    client.rpc('unreserve', { of_user: 'a', of_call: 'call-of-a', started: start }),
  ];

  it('keeps everybody but the service from changing anything', async () => {
    const before = await readable(service);
    for (const client of [anon, a, b]) {
      for (const { data, error } of await Promise.all(attempts(client))) {
        expect({ data, code: error?.code }).toEqual({ data: null, code: '42501' });
      }
    }
    expect(await readable(service)).toEqual(before);
  });

  it('lets the service open and block accounts, but move money by the functions alone', async () => {
    const { error } = await service
      .from('users')
      .update({ blocked_at: start, max_concurrent_calls: 3, tokens_valid_from: start })
      .eq('id', 'nobody-logs-in');
    expect(error).toBeNull();
    const refused = await Promise.all([
      service.from('users').update({ balance: 1_000 }).eq('id', 'a'),
      service.from('users').update({ reserved: 0 }).eq('id', 'a'),
      service.from('users').insert({ id: 'rich', balance: 1_000 }),
      service.from('payment_transactions').delete().eq('user_id', 'a'),
      service.from('payment_transactions').update({ balance_change: 1_000 }).eq('user_id', 'a'),
      service.from('call_reservations').delete().eq('user_id', 'a'),
      service.rpc('unreserve', { of_user: 'a', of_call: 'call-of-a', started: start }),
      service.rpc('release_expired', { of_user: 'a' }),
    ]);
    for (const { error } of refused) expect(error?.code).toBe('42501');
  });

  it('keeps the movements of money from the owner’s own mistakes', async () => {
    for (const sql of [
      'delete from payment_transactions',
      'update payment_transactions set balance_change = 0',
      'truncate payment_transactions',
    ]) {
      await expect(supabase.query(sql)).rejects.toMatchObject({ code: '23001' });
    }
    await expect(supabase.query("update users set balance = -1 where id = 'a'")).rejects.toMatchObject({
      code: '23514',
    });
    const { error } = await service.from('users').delete().eq('id', 'a');
    expect(error?.code, 'an account with payments stays').toBe('23503');
  });

  it.each([
    [
      'a campaign of nobody',
      "insert into campaigns (id, user_id, name) values ('c', 'stranger', 'C')",
      '23503',
    ],
    [
      'settings that are no object',
      "insert into campaigns (id, user_id, name, agent) values ('c', 'a', 'C', '[]')",
      '23514',
    ],
    [
      'an unknown status',
      "insert into campaigns (id, user_id, name, status) values ('c', 'a', 'C', 'maybe')",
      '23514',
    ],
    [
      'two accounts of one login',
      "insert into users (id, auth_id) select 'c', auth_id from users where id = 'a'",
      '23505',
    ],
    [
      'a price that would overflow a day’s call',
      "insert into users (id, price_per_second) values ('c', 1001)",
      '23514',
    ],
    ['a user without a name', "insert into users (id) values ('')", '23514'],
  ])('refuses %s', async (_what, sql, code) => {
    await expect(supabase.query(sql)).rejects.toMatchObject({ code });
  });

  it('uses an index for each policy and each list', async () => {
    const plan = async (sql: string) => JSON.stringify(await supabase.query(`explain ${sql}`));
    await supabase.query('set enable_seqscan = off');
    try {
      expect(await plan(`select id from users where auth_id = '${authA}'`)).toContain('users_auth_id_key');
      expect(await plan("select * from campaigns where user_id = 'a' order by created_at desc")).toContain(
        'campaigns_by_user',
      );
      expect(
        await plan("select * from payment_transactions where user_id = 'a' order by id desc limit 20"),
      ).toContain('payment_transactions_by_user');
      expect(await plan('select * from call_reservations where expires_at <= now()')).toContain(
        'call_reservations_by_expiry',
      );
    } finally {
      await supabase.query('reset enable_seqscan');
    }
  });
});

describe('the Worker’s look at a campaign', () => {
  const never = new AbortController().signal;
  const find = (key = supabase.serviceRoleKey) => createFindCampaign({ url: supabase.url, key });

  it.each(['007', '+15550100', 'a"b\\c', 'a,b)', "'; drop table campaigns; --"])(
    'finds the one that is called %s',
    async (id) => {
      const agent = { greeting: 'Hello.', recording: false };
      const { error } = await service.from('campaigns').insert({ id, user_id: 'a', name: 'Odd', agent });
      expect(error).toBeNull();
      expect(await find()(id, never)).toEqual({ id, owner: 'a', settings: agent });
    },
  );

  it('finds none that is not there, and rejects where it may not look', async () => {
    expect(await find()('unknown', never)).toBeNull();
    await expect(find(supabase.publishableKey)('campaign-of-a', never)).rejects.toMatchObject({
      name: 'RecordsError',
      code: '42501',
    });
  });
});

describe('the Worker’s look at an account', () => {
  const never = new AbortController().signal;
  const find = (key = supabase.serviceRoleKey) => createFindAccounts({ url: supabase.url, key });
  const account = { authId: null, blockedAt: null, tokensValidFrom: null };

  it.each([
    '007',
    '+15550100',
    'a"b\\c',
    'a,b)',
    '*',
    '%',
    'a),auth_id.not.is.null',
    "'; drop table users; --",
  ])('finds the one that is called %s, and no other', async (id) => {
    expect(await find()(id, never)).toEqual([]);
    expect((await service.from('users').insert({ id })).error).toBeNull();
    expect(await find()(id, never)).toEqual([{ ...account, userId: id }]);
  });

  it('finds who logs in to it, and whose tokens are revoked or who is blocked', async () => {
    expect(await find()(authA, never)).toEqual([{ ...account, userId: 'a', authId: authA }]);
    const [blockedAt, tokensValidFrom] = [Date.UTC(2026, 0, 1), Date.UTC(2026, 1, 1, 12, 0, 0, 250)];
    await service.from('users').insert({
      id: authA,
      blocked_at: new Date(blockedAt).toISOString(),
      tokens_valid_from: new Date(tokensValidFrom).toISOString(),
    });
    const both = await find()(authA, never);
    expect(both).toHaveLength(2);
    expect(both).toContainEqual({ userId: authA, authId: null, blockedAt, tokensValidFrom });
  });

  it('rejects where it may not look', async () => {
    await expect(find(supabase.publishableKey)('a', never)).rejects.toMatchObject({ code: '42501' });
  });
});
