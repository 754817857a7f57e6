import { describe, expect, it } from 'vitest';
import { defaultSilence } from '../../../src/call/agent-config.ts';
import {
  type Books,
  billedSeconds,
  callFunds,
  type PaidCall,
  type Reservation,
} from '../../../src/call/funds.ts';
import type { PastCall } from '../../../src/call/past-call.ts';
import { createCall } from '../../support/call-harness.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Books that answer as they are told, and note what they were asked. */
function scriptedBooks(reserve: Books['reserve']) {
  const released: PaidCall[] = [];
  const books = {
    reserve,
    async release(call: PaidCall) {
      released.push(call);
    },
  };
  return { books, released };
}

/** A call of which the account says this; its time is five minutes at most. */
function paidCall(
  answer: () => Promise<Reservation>,
  more: { withoutAnswer?: 'allow' | 'refuse'; call?: Parameters<typeof createCall>[0] } = {},
) {
  const requests: { seconds: object; signal: AbortSignal }[] = [];
  const { books, released } = scriptedBooks((_call, seconds, signal) => {
    requests.push({ seconds, signal });
    return answer();
  });
  const background: Promise<void>[] = [];
  // The call's own clock is made with it.
  const clock = {
    now: () => call.clock.now(),
    after: (ms: number, task: () => void) => call.clock.after(ms, task),
  };
  const funds = callFunds({
    books: () => books,
    clock,
    callMs: 300_000,
    leastSeconds: 30,
    timeoutMs: 3_000,
    withoutAnswer: more.withoutAnswer ?? 'allow',
    background: (work) => background.push(work),
  });
  const call = createCall({
    agent: { silence: { ...defaultSilence, promptMs: 600_000 } },
    ...more.call,
    call: { funds, ...more.call?.call },
  });
  return { ...call, requests, releasedFunds: released, background };
}

const never = () => new Promise<Reservation>(() => {});
const errorsOf = (call: ReturnType<typeof createCall>) => call.ofType('leg.error').map(({ code }) => code);

describe('a call that is paid for', () => {
  it('begins once the longest call’s price is set aside, and says so in its facts', async () => {
    const call = paidCall(async () => ({ outcome: 'reserved', seconds: 300 }));
    await call.start();
    expect(call.requests.map(({ seconds }) => seconds)).toEqual([{ leastSeconds: 30, mostSeconds: 300 }]);
    expect(call.ofType('call.started')[0]?.call.funds).toEqual({ limitMs: 300_000 });
    expect(call.ofType('failure')).toEqual([]);
    call.from.hangUp();
    await call.clock.advance(0);
    expect(call.releasedFunds, 'its end is settled, not given back').toEqual([]);
  });

  it('ends when what the account could pay for is used up, with an error that says so', async () => {
    const call = paidCall(async () => ({ outcome: 'reserved', seconds: 45 }));
    await call.start();
    await call.silence(44_900);
    expect(call.leg.closed).toBe(null);
    await call.silence(200);
    expect(call.leg.closed).toBe('funds used up');
    expect(call.ofType('call.ended')).toMatchObject([{ reason: 'funds used up', status: 'ended' }]);
    const [closed] = call.ofType('call.closed');
    const { startTime, funds } = call.ofType('call.started')[0]!.call;
    expect(billedSeconds(startTime, closed!.endTime, funds!.limitMs)).toBe(45);
  });

  it.each([
    ['insufficient funds', 'INSUFFICIENT_FUNDS', 'refused'],
    ['blocked', 'UNAUTHORIZED', 'refused'],
    ['no account', 'UNAUTHORIZED', 'refused'],
    ['over', 'CALL_ID_IN_USE', 'id in use'],
  ] as const)('is refused where the answer is "%s", and leaves nothing', async (outcome, code, closing) => {
    const call = paidCall(async () => ({ outcome }));
    await call.start();
    expect(errorsOf(call)).toEqual([code]);
    expect(call.leg.closed).toBe(closing);
    expect(call.leg.said).toEqual([]);
    expect(call.ofType('call.started')).toEqual([]);
    expect(call.released, 'its id is free again').toEqual(['call-1']);
    expect(call.releasedFunds).toEqual([]);
    expect(call.clock.pending).toBe(0);
  });

  it('asks for nothing before it holds its id', async () => {
    const call = paidCall(never, { call: { call: { claimCallId: async () => false } } });
    await call.start();
    expect(call.leg.closed).toBe('id in use');
    expect(call.requests).toEqual([]);
    expect(call.releasedFunds).toEqual([]);
  });
});

describe('where the account cannot be asked', () => {
  it('is taken all the same, unreserved, for its whole time, and the failure stands in its record', async () => {
    const call = paidCall(async () => Promise.reject(new Error('the database is down')));
    await call.start();
    expect(call.ofType('call.started')[0]?.call.funds).toEqual({ limitMs: 300_000 });
    expect(call.ofType('failure')).toEqual([
      {
        type: 'failure',
        code: 'UNRESERVED',
        provider: null,
        message: 'nothing was reserved: the database is down',
      },
    ]);
    const types = call.events.map(({ type }) => type);
    expect(types.indexOf('failure'), 'after the start: it belongs to the record').toBeGreaterThan(
      types.indexOf('call.started'),
    );
  });

  it('waits no longer than it is told, and lets the request go', async () => {
    const call = paidCall(never);
    await call.start();
    await call.silence(2_980);
    expect(call.ofType('call.started')).toEqual([]);
    await call.silence(40);
    expect(call.ofType('call.started').length).toBe(1);
    expect(call.requests[0]?.signal.aborted).toBe(true);
  });

  it('is refused where that is the setting, and what may have been set aside is given back', async () => {
    const call = paidCall(never, { withoutAnswer: 'refuse' });
    await call.start();
    await call.silence(3_020);
    expect(errorsOf(call)).toEqual(['INTERNAL_ERROR']);
    expect(call.leg.closed).toBe('error');
    expect(call.ofType('call.started')).toEqual([]);
    expect(call.releasedFunds).toMatchObject([{ callId: 'call-1', userId: 'user-1' }]);
    expect(call.clock.pending).toBe(0);
  });
});

describe('a call that does not begin after all', () => {
  it('gives back what was set aside when the caller hangs up meanwhile', async () => {
    let answer = (_reservation: Reservation) => {};
    const call = paidCall(
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    );
    await call.start();
    call.from.hangUp();
    answer({ outcome: 'reserved', seconds: 300 });
    await call.clock.advance(0);
    expect(call.ofType('call.started')).toEqual([]);
    expect(call.releasedFunds).toMatchObject([{ callId: 'call-1' }]);
  });

  it('gives it back when its agent cannot be found', async () => {
    const call = paidCall(async () => ({ outcome: 'reserved', seconds: 300 }), {
      call: { call: { resolveAgent: () => Promise.reject(new Error('no agent')) } },
    });
    await call.start();
    expect(call.leg.closed).toBe('error');
    expect(call.releasedFunds).toMatchObject([{ callId: 'call-1' }]);
  });
});

describe('a call that its object has lost', () => {
  const startTime = 1_700_000_000_000;
  const past = (funds?: { limitMs: number }): PastCall => ({
    call: {
      callId: 'call-1',
      userId: 'user-1',
      campaignId: null,
      phoneNumber: null,
      startTime,
      metadata: {},
      sampleRate: 8000,
      recording: false,
      chunkSamples: 16_000,
      ...(funds === undefined ? {} : { funds }),
    },
    history: [],
    heard: [],
    unheard: [],
    written: true,
    keys: '',
    acts: [],
    transfers: { pending: null, untold: null, tried: 0 },
    owed: null,
    language: null,
    counts: null,
    nextTurn: 0,
    spooledSamples: 0,
    callerAudio: () => [],
    lostAt: startTime + 20_000,
  });

  it.each([
    ['what was paid for', { limitMs: 30_000 }, 'funds used up'],
    ['its longest time, where nobody pays', undefined, 'time limit'],
  ])('is taken up for %s, and asks for no second reservation', async (_what, funds, reason) => {
    const call = paidCall(never, {
      call: {
        startsAt: startTime + 25_000,
        call: {
          past: past(funds),
          limits: {
            callMs: 60_000,
            startMs: 30_000,
            idleMs: 600_000,
            aheadMs: 30_000,
            graceMs: 30_000,
            messagesPerSecond: 200,
          },
        },
      },
    });
    call.call.attach(call.callLeg);
    await call.clock.advance(4_900);
    expect(call.leg.closed).toBe(null);
    await call.clock.advance(40_000);
    expect(call.leg.closed).toBe(reason);
    expect(call.requests).toEqual([]);
  });
});

describe('the seconds that are charged', () => {
  it.each([
    [0, 300_000, 0],
    [1, 300_000, 1],
    [1_000, 300_000, 1],
    [1_001, 300_000, 2],
    [45_012, 45_000, 45],
    [-5_000, 300_000, 0],
  ])('of a call of %d ms, paid for %d ms: %d', (lasted, limitMs, seconds) => {
    expect(billedSeconds(1_000, 1_000 + lasted, limitMs)).toBe(seconds);
  });

  it('never make the least longer than the longest call', async () => {
    const clock = new FakeClock();
    const asked: object[] = [];
    const { books } = scriptedBooks(async (_call, seconds) => {
      asked.push(seconds);
      return { outcome: 'reserved', seconds: 10 };
    });
    const funds = callFunds({
      books: () => books,
      clock,
      callMs: 9_500,
      leastSeconds: 30,
      timeoutMs: 3_000,
      withoutAnswer: 'refuse',
      background: () => {},
    });
    expect(await funds.reserve({ callId: 'c', userId: 'u', startTime: 0 })).toMatchObject({ limitMs: 9_500 });
    expect(asked).toEqual([{ leastSeconds: 10, mostSeconds: 10 }]);
    expect(clock.pending).toBe(0);
  });
});
