import { describe, expect, it } from 'vitest';
import { healthReasons } from '../../../src/metrics/health.ts';
import { type Counts, noTotals } from '../../../src/metrics/totals.ts';

const now = 1_800_000_000_000;
const facts = (counts: Partial<Counts> = {}) => ({
  counts: { totals: noTotals, nodes: [], ...counts },
  missing: [],
  closed: false,
  now,
});
const recent = (ended: number, failedEnds: Record<string, number>) => {
  const failed = Object.values(failedEnds).reduce((sum, count) => sum + count, 0);
  const fiveMinutes = { calls: { ended, failed }, failedEnds };
  return { totals: { ...noTotals, recent: { minute: {}, fiveMinutes } } };
};
const node = (state: 'up' | 'failing', at: number) => ({
  name: 'fs-1',
  at,
  state,
  calls: 0,
  maxCalls: 1,
  callsPerSecond: 0,
  idleCpu: 0,
  loadAverage: 0,
  cores: 1,
});

describe('the service', () => {
  it('is well where there is nothing against it', () => {
    expect(healthReasons(facts())).toEqual([]);
    expect(healthReasons(facts({ nodes: [node('up', now)] }))).toEqual([]);
  });

  it('is degraded over 5 % of failed calls in five minutes, not at 5 %, and says what they failed of', () => {
    expect(healthReasons(facts(recent(20, { error: 1 })))).toEqual([]);
    expect(healthReasons(facts(recent(1_000, { error: 30, disconnected: 21 })))).toEqual([
      {
        reason: 'error rate',
        detail:
          '51 of the 1000 calls that ended in the last 5 minutes failed, 5.1 % (error: 30, disconnected: 21); more than 5 %',
      },
    ]);
  });

  it('is degraded where somebody is to be told of alerts and nobody looks for them', () => {
    const why = (alerts: { evaluatedAt: number } | null | undefined) =>
      healthReasons({ ...facts(), alerts }).map(({ reason, detail }) => `${reason}: ${detail}`);
    expect(why(undefined)).toEqual([]);
    expect(why({ evaluatedAt: now - 300_000 })).toEqual([]);
    const idle = 'no alerts: Nobody has looked for alerts for 5 minutes: does the schedule run?';
    expect(why({ evaluatedAt: now - 300_001 })).toEqual([idle]);
    expect(why({ evaluatedAt: 0 })).toEqual([idle]);
    expect(why(null)).toEqual(['no alerts: The object that knows the alerts does not answer']);
  });

  it('is degraded where nobody knows its counts, where no node takes calls, and where it cannot take any', () => {
    expect(healthReasons({ ...facts(), counts: null }).map(({ reason }) => reason)).toEqual([
      'counts unavailable',
    ]);
    const nodes = [node('failing', now), { ...node('up', 0), name: 'fs-2' }];
    expect(healthReasons(facts({ nodes }))).toEqual([
      { reason: 'nodes down', detail: 'No FreeSWITCH node takes calls (failing: 1, silent: 1)' },
    ]);
    const closed = healthReasons({ ...facts(), missing: ['OPENAI_API_KEY'], closed: true });
    expect(closed.map(({ reason }) => reason)).toEqual(['settings missing', 'not public']);
    expect(closed[0]!.detail).toBe('Not set: OPENAI_API_KEY');
  });
});
