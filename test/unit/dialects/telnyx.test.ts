import { describe, expect, it } from 'vitest';
import { encodeAlaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { telnyx as entry } from '../../../src/dialects/telnyx.ts';
import { base64, DialectLeg, l16, tone } from '../../support/dialect-leg.ts';
import { telnyx } from '../../support/dialect-samples.ts';

const numbers = { '+13122123456': { userId: 'user-1' } };

function startWith(media_format: object) {
  return { ...telnyx.start, start: { ...telnyx.start.start, media_format } };
}

function started(start: object = telnyx.start, query = ''): DialectLeg {
  const leg = new DialectLeg(entry, { numbers, query });
  leg.receive(telnyx.connected, start);
  return leg;
}

describe('Telnyx, from the carrier', () => {
  it('makes a call id of a call control id, which has characters that no call id may have', () => {
    const leg = started();
    expect(leg.starts).toEqual([
      {
        callId: 'v2_T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ',
        userId: 'user-1',
        sampleRate: 8000,
        resumeToken: null,
        metadata: {
          customer_id: 'customer_123',
          phoneNumber: '+13122010094',
          from: '+13122010094',
          to: '+13122123456',
          carrier: {
            dialect: 'telnyx',
            callId: telnyx.start.start.call_control_id,
            callSessionId: telnyx.start.start.call_session_id,
            streamId: telnyx.start.stream_id,
            accountId: telnyx.start.start.user_id,
            clientState: telnyx.start.start.client_state,
          },
        },
      },
    ]);
  });

  it.each([
    ['PCMU', 8000, '', encodeMulaw(tone(160))],
    ['PCMA', 8000, '', encodeAlaw(tone(160))],
    ['L16', 16000, '', l16(tone(160))],
    ['L16', 16000, 'byteOrder=big', l16(tone(160), true)],
  ])('takes %s at %d Hz (%s)', (encoding, sample_rate, query, bytes) => {
    const leg = started(startWith({ encoding, sample_rate, channels: 1 }), query);
    leg.receive(telnyx.media(1, base64(bytes)));
    expect(leg.starts[0]?.sampleRate).toBe(sample_rate);
    expect(Math.max(...leg.samples.map((sample, i) => Math.abs(sample - tone(160)[i]!)))).toBeLessThan(520);
  });

  it.each(['G722', 'OPUS', 'AMR-WB'])('refuses %s, which nobody here speaks', (encoding) => {
    const leg = started(startWith({ encoding, sample_rate: 16000, channels: 1 }));
    expect(leg.refusals.map(({ code }) => code)).toEqual(['BAD_AUDIO']);
  });

  it('passes on keys, marks and the end; an error of theirs is no end', () => {
    const leg = started();
    leg.receive(telnyx.dtmf, telnyx.mark, telnyx.error, telnyx.stop);
    expect(leg.events).toEqual([{ digit: '1', durationMs: 0 }, { mark: 'greeting' }, 'hang up']);
    expect(leg.errors).toEqual([]);
  });
});

describe('Telnyx, to the carrier', () => {
  it('sends RTP payloads of at least 20 ms', () => {
    const leg = started();
    leg.dialect.say(tone(800), null);
    leg.dialect.say(tone(50), null);
    leg.dialect.flush();
    leg.dialect.mark('greeting');
    leg.dialect.clear();
    const silence = new Uint8Array(110).fill(0xff);
    expect(leg.messages).toEqual([
      { event: 'media', media: { payload: base64(encodeMulaw(tone(800))) } },
      { event: 'media', media: { payload: base64(Buffer.concat([encodeMulaw(tone(50)), silence])) } },
      { event: 'mark', mark: { name: 'greeting' } },
      { event: 'clear' },
    ]);
  });

  it('sends the codec that the stream was asked for, which may be another one than it sends', () => {
    const pcma = startWith({ encoding: 'PCMA', sample_rate: 8000, channels: 1 });
    const leg = started(pcma, 'codec=PCMU');
    leg.dialect.say(tone(160), null);
    const wide = started(pcma, 'codec=L16&rate=16000&byteOrder=big');
    wide.dialect.say(tone(1600), null);
    wide.dialect.flush();
    expect(leg.messages).toEqual([{ event: 'media', media: { payload: base64(encodeMulaw(tone(160))) } }]);
    const payloads = wide.messages.map(({ media }) => (media as { payload: string }).payload);
    const bytes = Buffer.concat(payloads.map((payload) => Buffer.from(payload, 'base64')));
    expect(bytes.length).toBe(2 * 3_200);
    // The same tone at twice the rate, and not noise: bytes in the wrong order jump.
    for (let i = 400; i < 2_000; i += 2) {
      expect(Math.abs(bytes.readInt16BE(i) - bytes.readInt16BE(i + 2))).toBeLessThan(2_000);
    }
  });
});
