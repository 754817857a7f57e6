import { describe, expect, it } from 'vitest';
import { MessageRate } from '../../../src/call/message-rate.ts';
import { ReturningLeg } from '../../../src/call/returning-leg.ts';
import { createCall } from '../../support/call-harness.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('the rate of a socket’s messages', () => {
  it('may be kept up for long', () => {
    const rate = new MessageRate(200, 0);
    for (let at = 0; at < 600_000; at += 5) expect(rate.take(at)).toBe(true);
  });

  it('may be fifteen seconds ahead, after a line that stood still, and no more', () => {
    const rate = new MessageRate(200, 0);
    for (let i = 0; i < 3_000; i++) expect(rate.take(1_000_000)).toBe(true);
    expect(rate.take(1_000_000)).toBe(false);
    expect(rate.take(1_000_005)).toBe(true);
  });
});

describe('a leg that sends too much', () => {
  const limits = {
    callMs: 300_000,
    startMs: 30_000,
    idleMs: 30_000,
    aheadMs: 30_000,
    graceMs: 30_000,
    messagesPerSecond: 10,
  };

  it.each(['before', 'in'])('is closed as too fast %s its call, whatever it sends', async (when) => {
    const call = createCall({ call: { limits } });
    if (when === 'in') await call.start();
    // Marks are no errors and hold no audio: nothing else bounds them.
    for (let i = 0; i < 151 && call.leg.closed === null; i++) call.call.receive('', call.callLeg);
    expect(call.leg.closed).toBe('too fast');
    expect(call.ofType('leg.error').map(({ code }) => code)).toEqual(['TOO_FAST']);
    await call.clock.advance(60_000);
    expect(call.clock.pending).toBe(0);
  });

  it('is closed as too fast also before it has shown that a call is its own', async () => {
    const call = createCall({ call: { limits } });
    await call.start();
    const clock = new FakeClock(0);
    const errors: string[] = [];
    const closed: string[] = [];
    const refused: string[] = [];
    let taken = 0;
    // Carriers' dialects let pass in silence what they do not know.
    const dialect = { ...call.dialect, receive: () => void taken++ };
    const returning = new ReturningLeg({ dialect, close: (closing) => closed.push(closing) }, clock, {
      startMs: 30_000,
      messagesPerSecond: 10,
      refusalOf: () => null,
      accept: () => call.call,
      sendError: (code) => errors.push(code),
      onRefused: (code) => refused.push(code),
      onOver: () => {},
    });
    for (let i = 0; i < 1_000; i++) returning.receive('{"event":"nothing"}');
    expect([taken, closed, errors, refused]).toEqual([150, ['too fast'], ['TOO_FAST'], ['TOO_FAST']]);
    expect(clock.pending).toBe(0);
    expect(call.leg.closed).toBeNull();
  });
});
