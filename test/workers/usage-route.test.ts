import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { bearer, codeOf, guardedService } from './auth-support.ts';
import { database } from './support.ts';

const mine = `spender-${crypto.randomUUID()}`;
const theirs = `other-${crypto.randomUUID()}`;
const guarded = await guardedService();
const { tokens, userToken, ask } = guarded;

beforeAll(async () => {
  guarded.project.listen();
  const call = (id: string, user: string, campaign: string | null, day: string, cost: object) => ({
    call_id: `${id}-${user}`,
    user_id: user,
    campaign_id: campaign,
    start_time: `${day}T23:00:00Z`,
    end_time: `${day}T23:01:00Z`,
    status: 'ended',
    end_reason: 'hangup',
    cost_by_provider: [],
    usage_by_turn: [],
    cost_unpriced: [],
    ...cost,
  });
  const { error } = await database()
    .from('call_logs')
    .insert([
      call('1', mine, 'survey', '2026-03-01', { cost: 0.1 }),
      call('2', mine, 'survey', '2026-03-01', { cost: 0.200001 }),
      call('3', mine, null, '2026-03-02', { cost: null, cost_unpriced: ['x/model'] }),
      call('4', theirs, 'survey', '2026-03-01', { cost: 5 }),
    ]);
  expect(error).toBeNull();
});
afterAll(() => vi.restoreAllMocks());

const march = 'from=2026-03-01&to=2026-03-31';
const read = async (query: string, token: string) =>
  ask(`/api/v1/usage?${query}`, { headers: bearer(token) });

describe('GET /api/v1/usage', () => {
  it('tells a person what their own calls cost, by day and campaign, and what of it is not known', async () => {
    const response = await read(march, await userToken(mine));
    expect(response.status).toBe(200);
    expect(response.headers.get('Cache-Control')).toBe('no-store');
    const day = { callsPartlyUnpriced: 0, callsNotPricedYet: 0 };
    expect(await response.json()).toEqual({
      userId: mine,
      campaignId: null,
      from: '2026-03-01',
      to: '2026-03-31',
      currency: 'USD',
      total: { ...day, calls: 3, callsPartlyUnpriced: 1, seconds: 180, cost: 0.300001 },
      days: [
        {
          ...day,
          day: '2026-03-02',
          campaignId: null,
          calls: 1,
          callsPartlyUnpriced: 1,
          seconds: 60,
          cost: null,
        },
        { ...day, day: '2026-03-01', campaignId: 'survey', calls: 2, seconds: 120, cost: 0.300001 },
      ],
      truncated: false,
    });
  });

  it('tells the operator’s programs anybody’s', async () => {
    const response = await read(`${march}&userId=${theirs}&campaignId=survey`, tokens.service);
    expect(await response.json()).toMatchObject({ userId: theirs, total: { calls: 1, cost: 5 } });
    expect(await codeOf(await read(march, tokens.service))).toBe('BAD_MESSAGE');
  });

  it('tells nobody else', async () => {
    const status = async (query: string, token: string) => (await read(query, token)).status;
    expect((await ask(`/api/v1/usage?${march}`)).status).toBe(401);
    expect(await status(`userId=${theirs}`, await userToken(mine))).toBe(403);
    expect(await status('userId=user-1&campaignId=campaign-1', tokens.node)).toBe(403);
    expect(await status(`userId=${mine}`, tokens.metrics)).toBe(403);
  });

  it.each([
    ['from=2026-01-01&to=2026-12-31'],
    ['from=2026-03-02&to=2026-03-01'],
    ['from=yesterday'],
    ['campaignId='],
    ['group=provider'],
  ])('refuses the question %s', async (query) => {
    const response = await read(query, await userToken(mine));
    expect(response.status).toBe(400);
    expect(await codeOf(response)).toBe('BAD_MESSAGE');
  });

  it('says so where the database does not answer', async () => {
    const headers = bearer(tokens.service);
    const down = { SUPABASE_URL: 'http://127.0.0.1:1' };
    const response = await ask(`/api/v1/usage?userId=${mine}`, { headers }, down);
    expect(response.status).toBe(503);
    expect(response.headers.get('Retry-After')).toBe('5');
  });
});
