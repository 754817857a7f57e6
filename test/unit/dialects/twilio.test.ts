import { describe, expect, it } from 'vitest';
import { encodeAlaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { twilio as entry, modTwilioStream as modEntry } from '../../../src/dialects/twilio.ts';
import { base64, DialectLeg, l16, tone } from '../../support/dialect-leg.ts';
import { modTwilioStream, twilio } from '../../support/dialect-samples.ts';

const streamSid = twilio.start.streamSid;

function started(): DialectLeg {
  const leg = new DialectLeg(entry);
  leg.receive(twilio.connected, twilio.start);
  return leg;
}

describe('Twilio, from the carrier', () => {
  it('starts a call with what its custom parameters name, and keeps the carrier’s ids', () => {
    const leg = started();
    expect(leg.starts).toEqual([
      {
        callId: 'CAXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
        userId: 'user-1',
        sampleRate: 8000,
        resumeToken: null,
        metadata: {
          RemoteParty: 'Bob',
          campaignId: 'spring',
          phoneNumber: '+15550100',
          from: '+15550100',
          carrier: {
            dialect: 'twilio',
            callId: 'CAXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
            accountSid: 'ACXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX',
            streamSid,
          },
        },
      },
    ]);
    expect([leg.errors, leg.refusals]).toEqual([[], []]);
  });

  it('takes frames of μ-law, and several in one message', () => {
    const leg = started();
    const frame = base64(encodeMulaw(tone(160)));
    leg.receive(twilio.media(1, frame), twilio.media(2, base64(encodeMulaw(tone(480)))));
    expect(leg.pieces).toEqual([160, 480]);
    expect(Math.max(...leg.samples.slice(0, 160).map((s, i) => Math.abs(s - tone(160)[i]!)))).toBeLessThan(
      260,
    );
  });

  it.each([
    ['audio/x-alaw', 8000, encodeAlaw(tone(160))],
    ['audio/x-l16', 16000, l16(tone(160))],
    ['audio/x-l16', 24000, l16(tone(240))],
  ])('takes what mediaFormat announces: %s at %d Hz', (encoding, sampleRate, bytes) => {
    const leg = new DialectLeg(entry);
    const start = structuredClone(twilio.start);
    start.start.mediaFormat = { encoding, sampleRate, channels: 1 };
    leg.receive(start, twilio.media(1, base64(bytes)), twilio.media(2, base64(bytes)));
    expect(leg.starts[0]?.sampleRate).toBe(sampleRate === 8000 ? 8000 : 16000);
    expect(leg.errors).toEqual([]);
    expect(leg.samples.length).toBeGreaterThan(250);
  });

  it('puts frames in order that have overtaken each other, and drops one that comes twice', () => {
    const leg = started();
    const frames = [1, 2, 3, 4].map((n) => base64(encodeMulaw(new Int16Array(160).fill(1_000 * n))));
    for (const n of [1, 3, 2, 3, 4]) leg.receive(twilio.media(n, frames[n - 1]));
    const firsts = [0, 160, 320, 480].map((at) => Math.round(leg.samples[at]! / 1_000));
    expect([firsts, leg.samples.length]).toEqual([[1, 2, 3, 4], 640]);
  });

  it('puts silence where frames were lost, so that what follows stands where it was said', () => {
    const leg = started();
    const frame = base64(encodeMulaw(tone(160)));
    for (const n of [1, 2, 5, 6, 7, 8, 9]) leg.receive(twilio.media(n, frame));
    expect(leg.samples.length).toBe(9 * 160);
    expect(leg.samples.slice(320, 640).every((sample) => sample === 0)).toBe(true);
  });

  it('hands on a second of silence at most, however long the frames are that were lost', () => {
    const leg = started();
    const frame = base64(encodeMulaw(tone(1_600)));
    for (const n of [1, 12, 13, 14, 15, 16]) leg.receive(twilio.media(n, frame));
    expect(leg.pieces).toEqual([1_600, 8_000, 1_600, 1_600, 1_600, 1_600, 1_600]);
  });

  it('has what was said behind a lost frame, also where the call ends with it', () => {
    const leg = started();
    const frame = base64(encodeMulaw(tone(160)));
    leg.receive(twilio.media(1, frame), twilio.media(3, frame), twilio.media(4, frame), twilio.stop);
    expect([leg.samples.length, leg.events]).toEqual([4 * 160, ['hang up']]);
  });

  it('goes on hearing a far end that begins to count anew', () => {
    const leg = started();
    for (let n = 500; n < 600; n++) leg.receive(twilio.media(n));
    leg.receive(twilio.media(700));
    for (let n = 1; n <= 100; n++) leg.receive(twilio.media(n));
    // A second of it was taken for frames that come twice.
    expect(leg.samples.length).toBe((100 + 51) * 160);
  });

  it('does not take frames that come late for a new count', () => {
    const leg = started();
    for (const n of [1, 20, 21, 22, 23, 24]) leg.receive(twilio.media(n));
    const before = leg.samples.length;
    for (let n = 2; n < 20; n++) leg.receive(twilio.media(n));
    leg.receive(twilio.media(25));
    expect(leg.samples.length).toBe(before + 160);
  });

  it('does not hear the agent’s own track', () => {
    const leg = started();
    leg.receive(twilio.media(1, undefined, 'outbound'));
    expect(leg.pieces).toEqual([]);
  });

  it('keeps frames that come before the start, five seconds of them at most', () => {
    const leg = new DialectLeg(entry);
    for (let n = 1; n <= 300; n++) leg.receive(twilio.media(n));
    leg.receive(twilio.start);
    expect(leg.samples.length).toBe(5 * 8_000);
  });

  it('passes on keys, marks and the end', () => {
    const leg = started();
    leg.receive(twilio.dtmf, twilio.mark, twilio.stop);
    expect(leg.events).toEqual([{ digit: '1', durationMs: 0 }, { mark: 'my label' }, 'hang up']);
  });

  it('refuses a call that names no user, saying what is missing', () => {
    const leg = new DialectLeg(entry);
    const start = structuredClone(twilio.start) as { start: { customParameters?: unknown } };
    delete start.start.customParameters;
    leg.receive(start, twilio.media(1));
    expect(leg.refusals).toEqual([
      { code: 'UNAUTHORIZED', message: 'twilio: the leg names no userId, and no number either' },
    ]);
    expect([leg.starts, leg.pieces]).toEqual([[], []]);
  });

  it('ignores events of tomorrow, and answers nonsense with its error', () => {
    const leg = started();
    leg.receive({ event: 'dance' }, { event: 7 }, 'hello', '[1]', twilio.start, new Uint8Array(320));
    leg.receive(twilio.media(1, '***'), { event: 'media', media: { payload: 7 } });
    leg.receive({ event: 'dtmf', dtmf: { digit: '12' } });
    expect(leg.errors).toEqual([
      'BAD_MESSAGE',
      'BAD_MESSAGE',
      'BAD_MESSAGE',
      'ALREADY_STARTED',
      'BAD_MESSAGE',
      'BAD_AUDIO',
      'BAD_AUDIO',
      'BAD_MESSAGE',
    ]);
  });
});

describe('mod_twilio_stream of somleng-switch', () => {
  it('has its customParameters beside start, and numbers its frames from any number on', () => {
    const leg = new DialectLeg(modEntry);
    leg.receive(modTwilioStream.start, modTwilioStream.media(0), modTwilioStream.media(1));
    expect(leg.starts[0]).toMatchObject({
      callId: 'call-7',
      userId: 'user-1',
      metadata: { carrier: { dialect: 'mod_twilio_stream' } },
    });
    expect(leg.samples.length).toBe(320);
  });
});

describe('Twilio, to the carrier', () => {
  it('sends audio, marks and the clear as the documents have them', () => {
    const leg = started();
    leg.dialect.say(tone(800), 'Hello.');
    leg.dialect.flush();
    leg.dialect.mark('sentence-0');
    leg.dialect.clear();
    expect(leg.messages).toEqual([
      { event: 'media', streamSid, media: { payload: base64(encodeMulaw(tone(800))) } },
      { event: 'mark', streamSid, mark: { name: 'sentence-0' } },
      { event: 'clear', streamSid },
    ]);
    expect([leg.dialect.canClear, leg.dialect.canMark]).toEqual([true, true]);
  });

  it('can neither transfer nor press keys, and hangs up by its socket alone', () => {
    const leg = started();
    leg.dialect.hangUp();
    expect([leg.dialect.transfer('+4930', 30), leg.dialect.pressDigits('1'), leg.sent]).toEqual([
      false,
      false,
      [],
    ]);
  });
});
