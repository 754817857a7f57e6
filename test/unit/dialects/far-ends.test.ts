import { describe, expect, it } from 'vitest';
import { dialectAt } from '../../../src/dialects/registry.ts';
import { farEndNames, farEndOf } from '../../../tools/caller/ends/registry.ts';
import type { ReceivedMessage } from '../../../tools/caller/server-messages.ts';
import { DialectLeg, tone } from '../../support/dialect-leg.ts';

/** What `npm run call -- --as` speaks, and what the service speaks, face to face: each is strict about the other. */
function connect(name: (typeof farEndNames)[number], sampleRate: 8000 | 16000) {
  const leg = new DialectLeg(dialectAt(name, null)!);
  const heard: number[] = [];
  const told: ReceivedMessage[] = [];
  const failures: string[] = [];
  let closed = false;
  const end = farEndOf(name).create({
    sampleRate,
    put: (data) => leg.receive(data),
    close: () => {
      closed = true;
    },
    message: (message) => told.push(message),
    audio: (samples) => heard.push(...samples),
    failed: (what) => failures.push(what),
  });
  /** Carries over what the service has sent since the last time. */
  let carried = 0;
  const carry = () => {
    for (const message of leg.sent.slice(carried)) {
      if (typeof message === 'string') end.receiveText(message);
      else end.receiveBinary(message);
    }
    carried = leg.sent.length;
  };
  end.opened();
  const ready = told[0] as { callId?: string };
  const metadata = { phoneNumber: '+15550100', to: '+15550199', campaignId: 'spring' };
  end.send({ type: 'start_call', callId: ready.callId!, userId: 'user-1', metadata });
  return { leg, end, carry, heard, told, failures, callId: ready.callId!, isClosed: () => closed };
}

const pairs = farEndNames.flatMap((name) => farEndOf(name).sampleRates.map((rate) => [name, rate] as const));

describe.each(pairs)('%s at %d Hz', (name, rate) => {
  it('begins the call that it was told to', () => {
    const { leg, callId, failures } = connect(name, rate);
    expect(leg.starts).toMatchObject([
      {
        callId,
        userId: 'user-1',
        sampleRate: rate,
        metadata: {
          phoneNumber: '+15550100',
          to: '+15550199',
          campaignId: 'spring',
          carrier: { dialect: name },
        },
      },
    ]);
    expect([leg.errors, leg.refusals, failures]).toEqual([[], [], []]);
  });

  it('hears and is heard', () => {
    const { leg, end, carry, heard, failures } = connect(name, rate);
    const frame = rate / 50;
    // A whole number of everybody's blocks.
    const speech = tone(20 * frame);
    for (let at = 0; at < speech.length; at += frame) end.sendAudio(speech.subarray(at, at + frame));
    leg.dialect.say(speech, 'Hello.');
    leg.dialect.flush();
    carry();
    for (const samples of [leg.samples, heard]) {
      expect(samples.length).toBe(speech.length);
      expect(Math.max(...samples.map((s, i) => Math.abs(s - speech[i]!)))).toBeLessThan(520);
    }
    expect([leg.errors, failures]).toEqual([[], []]);
  });

  it('clears, tells of marks where it can, presses keys, hangs up', () => {
    const { leg, end, carry, told, failures, isClosed } = connect(name, rate);
    if (leg.dialect.canMark) leg.dialect.mark('sentence-0');
    leg.dialect.clear();
    carry();
    const kinds = told.map(({ type }) => type);
    expect(kinds.includes('mark')).toBe(leg.dialect.canMark);
    expect(kinds).toContain('clear');
    if (leg.dialect.canMark) {
      leg.dialect.mark('sentence-1');
      carry();
      end.send({ type: 'mark', name: 'sentence-1' });
      expect(leg.events).toContainEqual({ mark: 'sentence-1' });
    }
    end.send({ type: 'dtmf', digit: '#', durationMs: 120 });
    const key = leg.events.find((event) => typeof event === 'object' && event !== null && 'digit' in event);
    expect(key).toMatchObject({ digit: '#' });
    end.send({ type: 'end_call' });
    expect(isClosed() ? leg.dialect.hangsUpByClosing : leg.events.includes('hang up')).toBe(true);
    expect([leg.errors, failures]).toEqual([[], []]);
  });
});
