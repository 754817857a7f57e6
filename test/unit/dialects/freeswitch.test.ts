import { describe, expect, it } from 'vitest';
import { freeSwitch as entry } from '../../../src/dialects/freeswitch.ts';
import { DialectLeg, type LegOptions, l16, tone } from '../../support/dialect-leg.ts';
import { freeSwitch } from '../../support/dialect-samples.ts';

function started(options: LegOptions = {}, more: object = {}): DialectLeg {
  const leg = new DialectLeg(entry, options);
  leg.receive({ ...freeSwitch.start, ...more });
  return leg;
}

describe('FreeSWITCH’s raw bridge, from the node', () => {
  it('starts with what the connect hook sends', () => {
    expect(started().starts).toEqual([
      {
        callId: 'fs-1',
        userId: 'user-1',
        sampleRate: 8000,
        resumeToken: null,
        metadata: {
          phoneNumber: '+15550100',
          from: '+15550100',
          to: '+15550199',
          carrier: { dialect: 'freeswitch' },
        },
      },
    ]);
  });

  it('tells of a call that the node has placed whom it called, and that it did', () => {
    const placed = {
      type: 'start_call',
      userId: 'user-1',
      direction: 'outbound',
      from: '+15550199',
      to: '+15550100',
    };
    const leg = new DialectLeg(entry);
    leg.receive(placed);
    expect(leg.starts[0]?.metadata).toMatchObject({ phoneNumber: '+15550100', direction: 'outbound' });
  });

  it('takes L16 as binary messages, whole multiples of a frame, also before the start', () => {
    const leg = new DialectLeg(entry);
    leg.receive(l16(tone(160)), l16(tone(160)), freeSwitch.start, l16(tone(1_600)));
    expect(leg.pieces).toEqual([320, 1_600]);
    expect(leg.starts[0]?.earlyMs).toBe(40);
    expect(leg.samples.slice(320)).toEqual([...tone(1_600)]);
  });

  it('hands a message of several seconds on second by second, and refuses one of more than five', () => {
    const leg = started();
    leg.receive(l16(tone(20_000)), l16(tone(40_001)));
    expect(leg.pieces).toEqual([8_000, 8_000, 4_000]);
    expect(leg.errors).toEqual(['TOO_LARGE']);
  });

  it('begins with the first audio where the URL tells for whom the call is', () => {
    const query = 'userId=user-1&campaignId=spring&rate=16000&from=%2B15550100';
    const leg = new DialectLeg(entry, { query, callId: 'in-url', callIdBound: true });
    leg.receive(l16(tone(320)), freeSwitch.start, l16(tone(320)));
    expect(leg.starts).toMatchObject([
      {
        callId: 'in-url',
        userId: 'user-1',
        sampleRate: 16000,
        metadata: { campaignId: 'spring', phoneNumber: '+15550100' },
      },
    ]);
    expect([leg.samples.length, leg.errors]).toEqual([640, []]);
  });

  it('reads the same from headers, as STREAM_EXTRA_HEADERS sends them', () => {
    const headers = { 'X-User-Id': 'user-1', 'X-Campaign-Id': 'spring', 'X-From': '+15550100' };
    const leg = new DialectLeg(entry, { headers, callId: 'in-header', callIdBound: true });
    leg.receive(l16(tone(160)));
    expect(leg.starts).toMatchObject([
      { callId: 'in-header', userId: 'user-1', metadata: { campaignId: 'spring', phoneNumber: '+15550100' } },
    ]);
  });

  it('hears the caller alone where both parties come, side by side', () => {
    const leg = started({ query: 'channels=2' });
    const both = new Int16Array(320);
    for (const [i, sample] of tone(160).entries()) {
      both[2 * i] = sample;
      both[2 * i + 1] = -1;
    }
    leg.receive(l16(both), l16(both.subarray(0, 319)));
    expect(leg.samples).toEqual([...tone(160)]);
    expect(leg.errors).toEqual(['BAD_AUDIO']);
  });

  it('takes 24 kHz, the module’s default, as 16', () => {
    const leg = started({ query: 'rate=24000' });
    for (let i = 0; i < 10; i++) leg.receive(l16(tone(480)));
    expect(leg.starts[0]?.sampleRate).toBe(16000);
    expect(Math.abs(leg.samples.length - 3_200)).toBeLessThan(40);
  });

  it('passes on keys, whose duration is in samples, and what else hooks send', () => {
    const leg = started();
    leg.receive(freeSwitch.dtmf, { type: 'mark', name: 'm1' }, { type: 'interrupt' }, { type: 'hangup' });
    expect(leg.events).toEqual([{ digit: '7', durationMs: 120 }, { mark: 'm1' }, 'interrupt', 'hang up']);
  });

  it('comes back to a call with the token that it was told', () => {
    const leg = new DialectLeg(entry, { callId: 'fs-1', callIdBound: true });
    leg.dialect.show({ type: 'leg.accepted', callId: 'fs-1', resumeToken: 'secret' });
    expect(leg.messages).toEqual([{ type: 'accepted', callId: 'fs-1', resumeToken: 'secret' }]);
    leg.receive({ ...freeSwitch.start, resume_token: 'secret' });
    expect(leg.starts[0]).toMatchObject({ callId: 'fs-1', resumeToken: 'secret' });
    expect(leg.starts[0]?.metadata).not.toHaveProperty('resume_token');
  });
});

describe('FreeSWITCH’s raw bridge, to the node', () => {
  it('sends binary L16 in whole frames of 20 ms, the end of each sentence, and the clear that the module knows', () => {
    const leg = started();
    leg.dialect.say(tone(800), 'Hello.');
    leg.dialect.say(tone(37), null);
    leg.dialect.flush();
    leg.dialect.clear();
    expect(leg.binary.map((bytes) => Buffer.from(bytes))).toEqual([
      l16(tone(800)),
      Buffer.concat([l16(tone(37)), Buffer.alloc(320 - 74)]),
    ]);
    expect(leg.messages).toEqual([
      { type: 'response.output_audio.done' },
      { type: 'input_audio_buffer.speech_started' },
    ]);
  });

  it('sends the rate that the module was told to play', () => {
    const leg = started({ query: 'rate=8000&playbackRate=24000' });
    leg.dialect.say(tone(800), null);
    leg.dialect.flush();
    expect(leg.binary.reduce((sum, bytes) => sum + bytes.length, 0)).toBe(2 * 2_400);
  });

  it('transfers, presses keys and marks where a hook says that it can', () => {
    const plain = started();
    expect([
      plain.dialect.transfer('+4930', 30),
      plain.dialect.pressDigits('1'),
      plain.dialect.canMark,
    ]).toEqual([false, false, false]);
    expect(plain.sent).toEqual([]);
    const leg = started({}, { features: ['transfer', 'dtmf', 'mark'] });
    expect([leg.dialect.transfer('+4930', 30), leg.dialect.pressDigits('1'), leg.dialect.canMark]).toEqual([
      true,
      true,
      true,
    ]);
    leg.dialect.mark('sentence-0');
    leg.dialect.hangUp();
    expect(leg.messages).toEqual([
      { type: 'transfer', to: '+4930', ringSeconds: 30 },
      { type: 'dtmf', digits: '1' },
      { type: 'mark', name: 'sentence-0' },
      { type: 'hangup' },
    ]);
  });

  it('takes what the node tells of a transfer, and gives one up that it can make', () => {
    const leg = started({}, { features: ['transfer'] });
    leg.receive({ type: 'transfer', state: 'ringing' });
    leg.receive({ type: 'transfer', state: 'failed', cause: 'NO_ANSWER', sipStatus: 480 });
    leg.receive({ type: 'transfer', state: 'elsewhere' });
    expect(leg.events).toEqual([
      { transfer: { state: 'ringing' } },
      { transfer: { state: 'failed', cause: 'NO_ANSWER', sipStatus: 480 } },
    ]);
    expect(leg.errors).toEqual(['BAD_MESSAGE']);
    leg.dialect.cancelTransfer();
    expect(leg.messages.at(-1)).toEqual({ type: 'cancel_transfer' });
    const plain = started();
    plain.dialect.cancelTransfer();
    expect(plain.sent).toEqual([]);
  });
});
