import { describe, expect, it } from 'vitest';
import { defaultSilence } from '../../../src/call/agent-config.ts';
import { type CallSlots, type CountedCall, RENEW_MS, type Slot } from '../../../src/call/call-slots.ts';
import type { PastCall } from '../../../src/call/past-call.ts';
import { createCall } from '../../support/call-harness.ts';

const granted: Slot = { granted: true, failure: null };
const refused: Slot = {
  granted: false,
  refusal: { code: 'TOO_MANY_CALLS', message: 'full', closing: 'refused' },
  failure: null,
};

/** A call, and what it asks of who counts. */
function countedCall(take: () => Promise<Slot>, options: Parameters<typeof createCall>[0] = {}) {
  const asked: string[] = [];
  const note = (what: string) => (of: CountedCall) => {
    asked.push(`${what} ${of.userId}/${of.callId}`);
  };
  const slots: CallSlots = {
    renewMs: RENEW_MS,
    renew: note('renew'),
    release: note('release'),
    take: (of) => {
      note('take')(of);
      return take();
    },
  };
  return { ...createCall({ ...options, call: { slots, ...options.call } }), asked };
}

describe('a call that is counted among its user’s', () => {
  it('takes its place, says that it lives, and gives the place back at its end, once', async () => {
    const patient = { silence: { ...defaultSilence, promptMs: 600_000 } };
    const call = countedCall(async () => granted, { agent: patient });
    await call.start();
    await call.silence(2 * RENEW_MS + 1_000);
    call.from.hangUp();
    call.from.hangUp();
    await call.clock.advance(10 * RENEW_MS);
    expect(call.asked).toEqual([
      'take user-1/call-1',
      'renew user-1/call-1',
      'renew user-1/call-1',
      'release user-1/call-1',
    ]);
  });

  it('is refused where there is no place, and has none to give back', async () => {
    const call = countedCall(async () => refused);
    await call.start();
    expect(call.leg.closed).toBe('refused');
    expect(call.ofType('leg.error').map(({ code }) => code)).toEqual(['TOO_MANY_CALLS']);
    expect(call.ofType('call.started')).toEqual([]);
    expect(call.asked).toEqual(['take user-1/call-1']);
    expect(call.released).toEqual(['call-1']);
  });

  it('is in its record where nobody could count it', async () => {
    const call = countedCall(async () => ({ granted: true, failure: 'not counted: reset' }));
    await call.start();
    expect(call.ofType('failure')).toMatchObject([{ code: 'UNCOUNTED', message: 'not counted: reset' }]);
    expect(call.leg.closed).toBeNull();
  });

  it('takes no place where another has its id', async () => {
    const call = countedCall(async () => granted, { call: { claimCallId: async () => false } });
    await call.start();
    expect(call.asked).toEqual([]);
  });

  it('gives the place back that it got when its client had gone, or was refused for another reason', async () => {
    let answer: (slot: Slot) => void = () => {};
    const gone = countedCall(() => new Promise((resolve) => (answer = resolve)));
    await gone.start();
    gone.call.disconnected(gone.callLeg);
    answer(granted);
    await gone.clock.advance(0);
    expect(gone.asked).toEqual(['take user-1/call-1', 'release user-1/call-1']);
    const notTheirs = countedCall(async () => granted, { agent: { owner: 'somebody else' } });
    await notTheirs.start();
    expect(notTheirs.asked).toEqual(['take user-1/call-1', 'release user-1/call-1']);
  });

  it('keeps its place while it waits for its client', async () => {
    const call = countedCall(async () => granted, {
      call: {
        limits: {
          callMs: 300_000,
          startMs: 30_000,
          idleMs: 30_000,
          aheadMs: 30_000,
          graceMs: 100_000,
          messagesPerSecond: 200,
        },
      },
    });
    await call.start();
    call.call.disconnected(call.callLeg);
    await call.clock.advance(99_000);
    expect(call.asked).toEqual(['take user-1/call-1', 'renew user-1/call-1', 'renew user-1/call-1']);
    await call.clock.advance(1_000);
    expect(call.asked.at(-1)).toBe('release user-1/call-1');
  });

  it('is counted anew at once where its object had lost it, and takes no second place', async () => {
    const startTime = 1_700_000_000_000;
    const past: PastCall = {
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
    };
    const call = countedCall(async () => granted, { startsAt: startTime + 25_000, call: { past } });
    expect(call.asked).toEqual(['renew user-1/call-1']);
    // Its client does not come back.
    await call.clock.advance(30_000);
    expect(call.asked).toEqual(['renew user-1/call-1', 'release user-1/call-1']);
  });
});
