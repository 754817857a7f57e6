import { describe, expect, it } from 'vitest';
import { vonage as entry } from '../../../src/dialects/vonage.ts';
import { DialectLeg, l16, tone } from '../../support/dialect-leg.ts';
import { vonage } from '../../support/dialect-samples.ts';

function started(connected: object = vonage.connected): DialectLeg {
  const leg = new DialectLeg(entry);
  leg.receive(connected);
  return leg;
}

describe('Vonage, from the carrier', () => {
  it('starts with the headers of the NCCO, which stand beside the event', () => {
    expect(started().starts).toEqual([
      {
        callId: vonage.connected.uuid,
        userId: 'user-1',
        sampleRate: 16000,
        resumeToken: null,
        metadata: {
          phoneNumber: '447700900000',
          from: '447700900000',
          carrier: { dialect: 'vonage', callId: vonage.connected.uuid },
        },
      },
    ]);
  });

  it('takes binary L16, low byte first, also before the start and several frames at once', () => {
    const leg = new DialectLeg(entry);
    leg.receive(l16(tone(320)), vonage.connected, l16(tone(960)));
    expect(leg.pieces).toEqual([320, 960]);
    expect(leg.starts[0]?.earlyMs).toBe(20);
    expect(leg.samples).toEqual([...tone(320), ...tone(960)]);
  });

  it('runs at 8 kHz where the NCCO says so', () => {
    const leg = started({ ...vonage.connected, 'content-type': 'audio/l16;rate=8000' });
    expect(leg.starts[0]?.sampleRate).toBe(8000);
  });

  it('passes on keys and notifications, and answers half a sample with its error', () => {
    const leg = started();
    leg.receive(vonage.dtmf, vonage.notify, vonage.cleared, new Uint8Array(641));
    expect(leg.events).toEqual([{ digit: '5', durationMs: 260 }, { mark: 'greeting' }]);
    expect(leg.errors).toEqual(['BAD_AUDIO']);
  });
});

describe('Vonage, to the carrier', () => {
  it('sends messages of 20 ms, of which silence fills the last', () => {
    const leg = started();
    const speech = tone(1_700);
    for (let at = 0; at < speech.length; at += 190) leg.dialect.say(speech.subarray(at, at + 190), null);
    leg.dialect.flush();
    expect(leg.binary.map((bytes) => bytes.length)).toEqual(Array(6).fill(640));
    const all = Buffer.concat(leg.binary);
    expect(all.subarray(0, 3_400).equals(l16(speech))).toBe(true);
    expect(all.subarray(3_400).every((byte) => byte === 0)).toBe(true);
  });

  it('clears, and asks to be notified', () => {
    const leg = started();
    leg.dialect.clear();
    leg.dialect.mark('greeting');
    expect(leg.messages).toEqual([{ action: 'clear' }, { action: 'notify', payload: { name: 'greeting' } }]);
  });
});
