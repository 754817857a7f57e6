import { describe, expect, it } from 'vitest';
import { anonymous, maySee, mayStartCall, type Principal } from '../../../src/call/principal.ts';

const only = (users: Principal['users'], campaigns: Principal['campaigns']): Principal => ({
  kind: 'node',
  id: 'fs-1',
  users,
  campaigns,
});

describe('who may see the rows, recordings and calls of a user', () => {
  it('is that user, and who may everything', () => {
    expect(maySee(anonymous, 'user-1', 'campaign-1')).toBe(true);
    expect(maySee(only(['user-1'], '*'), 'user-1', 'campaign-1')).toBe(true);
    expect(maySee(only(['user-2'], '*'), 'user-1', 'campaign-1')).toBe(false);
    expect(maySee(only([], '*'), 'user-1', 'campaign-1')).toBe(false);
  });

  it('is narrowed by campaigns, except for calls without one', () => {
    expect(maySee(only('*', ['campaign-1']), 'user-1', 'campaign-1')).toBe(true);
    expect(maySee(only('*', ['campaign-2']), 'user-1', 'campaign-1')).toBe(false);
    expect(maySee(only('*', []), 'user-1', null)).toBe(true);
    expect(maySee(only(['user-2'], '*'), 'user-1', null)).toBe(false);
  });
});

describe('who may start a call', () => {
  const call = { callId: 'call-1', userId: 'user-1', campaignId: 'campaign-1' };
  const holder: Principal = {
    kind: 'call',
    id: 'call-1',
    users: ['user-1'],
    campaigns: ['campaign-1'],
    call: { ...call, tokenId: 'token-1', expiresAt: 1 },
  };

  it('with a single-call token: that call, of that user and campaign, and no other', () => {
    expect(mayStartCall(holder, call)).toBe(true);
    expect(mayStartCall(holder, { ...call, callId: 'call-2' })).toBe(false);
    expect(mayStartCall(holder, { ...call, userId: 'user-2' })).toBe(false);
    expect(mayStartCall(holder, { ...call, campaignId: 'campaign-2' })).toBe(false);
    expect(mayStartCall(holder, { ...call, campaignId: null })).toBe(false);
  });

  it('with a token for the metrics: nobody', () => {
    expect(mayStartCall({ ...anonymous, kind: 'metrics' }, call)).toBe(false);
  });
});
