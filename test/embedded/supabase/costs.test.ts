import { createClient, type SupabaseClient } from '@supabase/supabase-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedSupabase, startSupabase } from '../../../embedded/supabase/supabase.ts';
import { createSupabaseDials } from '../../../src/records/dials.ts';
import { createSupabaseCallRecords } from '../../../src/records/supabase-call-records.ts';
import { readUsage } from '../../../src/records/usage-sums.ts';
import { readReport } from '../../../tools/report/report.ts';
import { loggedIn, newLogin } from '../../support/money.ts';

let supabase: EmbeddedSupabase;
let service: SupabaseClient;
let anon: SupabaseClient;
let a: SupabaseClient;
let b: SupabaseClient;

beforeAll(async () => {
  supabase = await startSupabase();
  service = createClient(supabase.url, supabase.serviceRoleKey);
  anon = createClient(supabase.url, supabase.publishableKey);
  const login = async (id: string) => {
    const auth_id = await newLogin(supabase);
    expect((await service.from('users').insert({ id, auth_id })).error).toBeNull();
    return loggedIn(supabase, auth_id);
  };
  a = await login('a');
  b = await login('b');
});
afterAll(() => supabase?.close());

describe('what calls cost', () => {
  const never = new AbortController().signal;
  const records = () =>
    createSupabaseCallRecords({ url: supabase.url, key: supabase.serviceRoleKey, timeoutMs: 10_000 });
  const ended = (callId: string, userId: string, campaignId: string | null, day: number) => ({
    callId,
    userId,
    campaignId,
    phoneNumber: null,
    startTime: Date.UTC(2026, 9, day, 23, 59),
    metadata: {},
    status: 'ended' as const,
    endReason: 'hangup',
    endTime: Date.UTC(2026, 9, day, 23, 59, 30),
    recording: null,
    turns: [],
    failures: [],
    usage: [],
    transfers: [],
    counts: null,
  });
  const part = (provider: string, costMicroUsd: number | null) => ({
    costMicroUsd,
    unpriced: costMicroUsd === null ? [provider] : [],
    providers: [{ provider, costMicroUsd }],
    turns: [{ turn: 1, provider, characters: 10, costMicroUsd }],
  });
  const sums = (client: SupabaseClient, view = 'usage_by_day') =>
    client
      .from(view)
      .select()
      .in('user_id', ['a', 'b'])
      .lt('day', '2026-11-01')
      .order('day')
      .order('user_id');

  it('waits for the call’s end, and stands as it was told first', async () => {
    await records().started(ended('cost-1', 'a', 'campaign-of-a', 1), never);
    const cost = part('x/model', 1_234);
    await expect(records().costed('cost-1', cost, never)).rejects.toMatchObject({
      code: '23503',
      retryable: true,
    });
    await records().ended(ended('cost-1', 'a', 'campaign-of-a', 1), never);
    await records().costed('cost-1', cost, never);
    const row = () => service.from('call_logs').select().eq('call_id', 'cost-1').single();
    const first = await row();
    expect(first.data).toMatchObject({
      cost: 0.001234,
      cost_unpriced: [],
      cost_by_provider: [{ provider: 'x/model', cost: 0.001234 }],
      usage_by_turn: [{ turn: 1, provider: 'x/model', characters: 10, cost: 0.001234 }],
    });
    await records().costed('cost-1', part('y/model', 9_999), never);
    expect(await row()).toEqual(first);
  });

  it('is summed by user, campaign and UTC day, and what has no price is counted and not free', async () => {
    for (const [id, user, day, cost] of [
      ['cost-2', 'a', 1, 1_000_000],
      ['cost-3', 'a', 2, null],
      ['cost-4', 'b', 2, 2],
    ] as const) {
      await records().ended(ended(id, user, `campaign-of-${user}`, day), never);
      await records().costed(id, part('x/model', cost), never);
    }
    await records().ended(ended('cost-5', 'a', null, 2), never);
    const day = { calls: 1, calls_partly_unpriced: 0, calls_not_priced_yet: 0, seconds: 30 };
    const ofA = [
      {
        ...day,
        user_id: 'a',
        campaign_id: 'campaign-of-a',
        day: '2026-10-01',
        calls: 2,
        seconds: 60,
        cost: 1.001234,
      },
      {
        ...day,
        user_id: 'a',
        campaign_id: 'campaign-of-a',
        day: '2026-10-02',
        calls_partly_unpriced: 1,
        cost: null,
      },
      { ...day, user_id: 'a', campaign_id: null, day: '2026-10-02', calls_not_priced_yet: 1, cost: null },
    ];
    const ofB = [{ ...day, user_id: 'b', campaign_id: 'campaign-of-b', day: '2026-10-02', cost: 0.000002 }];
    const found = async (client: SupabaseClient) => {
      const { data } = await sums(client);
      return (data ?? []).map((row) => ({
        ...row,
        calls: Number(row.calls),
        calls_partly_unpriced: Number(row.calls_partly_unpriced),
        calls_not_priced_yet: Number(row.calls_not_priced_yet),
      }));
    };
    expect(await found(service)).toHaveLength(4);
    expect(await found(a)).toHaveLength(3);
    for (const row of ofA) expect(await found(a)).toContainEqual(row);
    expect(await found(b)).toEqual(ofB);
    expect(await sums(anon)).toMatchObject({ data: null, error: { code: '42501' } });
    const byProvider = (await sums(b, 'usage_by_day_and_provider')).data;
    expect(byProvider).toMatchObject([{ user_id: 'b', provider: 'x/model', characters: 10, cost: 0.000002 }]);
    expect(await a.rpc('call_costed', { of_call: 'cost-5', cost: {} })).toMatchObject({
      error: { code: '42501' },
    });
  });

  it('is nothing where a call was placed and nobody talked: that is no call, and ringing is no talk', async () => {
    const { url, serviceRoleKey: key } = supabase;
    const dials = createSupabaseDials({ url, key, timeoutMs: 10_000, pricePerSecond: '0' });
    const before = (await sums(b)).data;
    const dialled = (callId: string, state: string, reason: string | null) => ({
      ...ended(callId, 'b', 'campaign-of-b', 2),
      end: reason === null ? null : { status: 'failed' as const, reason },
      dial: {
        ...{ state, reason, queuedMs: 0, ringMs: 30_000, node: 'fs-1', trunk: null, callerId: '+4930123456' },
        ...{ cause: null, sipStatus: null, q850: null },
      },
    });
    const unanswered = [dialled('dial-1', 'failed', 'busy'), dialled('dial-2', 'answered', 'no stream')];
    expect(await dials.ended(unanswered, never)).toEqual([]);
    expect((await sums(b)).data).toEqual(before);

    // One that was answered is a call like any other.
    await records().ended(ended('dial-3', 'b', 'campaign-of-b', 2), never);
    expect(await dials.ended([dialled('dial-3', 'answered', null)], never)).toEqual([]);
    const [day] = (await sums(b)).data ?? [];
    expect([Number(day.calls), Number(day.seconds)]).toEqual([2, 60]);
    const range = { since: new Date(Date.UTC(2026, 9, 2)), until: new Date(Date.UTC(2026, 9, 3)), top: 5 };
    const report = await readReport({ url, key }, 'k'.repeat(32), range);
    expect(report).toMatchObject({ ended: report.calls, failed: 0, averageSeconds: 30 });
    expect(report.users.find(({ userId }) => userId === 'b')).toMatchObject({ calls: 2, seconds: 60 });
    expect((await service.from('call_logs').delete().eq('call_id', 'dial-3')).error).toBeNull();
  });

  it('is read by the Worker for one user, and for one campaign', async () => {
    const database = { url: supabase.url, key: supabase.serviceRoleKey };
    const asked = { userId: 'a', campaignId: null, from: '2026-10-01', to: '2026-10-31' };
    const days = await readUsage(database, asked, never);
    expect(days.map(({ day, campaignId }) => [day, campaignId])).toEqual([
      ['2026-10-02', 'campaign-of-a'],
      ['2026-10-02', null],
      ['2026-10-01', 'campaign-of-a'],
    ]);
    expect(
      await readUsage(database, { ...asked, campaignId: 'campaign-of-a', to: '2026-10-01' }, never),
    ).toEqual([
      {
        day: '2026-10-01',
        campaignId: 'campaign-of-a',
        calls: 2,
        callsPartlyUnpriced: 0,
        callsNotPricedYet: 0,
        seconds: 60,
        cost: 1.001234,
      },
    ]);
  });
});
