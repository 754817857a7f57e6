import { describe, expect, it } from 'vitest';
import { exotel as entry } from '../../../src/dialects/exotel.ts';
import { base64, DialectLeg, l16, tone } from '../../support/dialect-leg.ts';
import { exotel } from '../../support/dialect-samples.ts';

const numbers = { '+918047491899': { userId: 'user-1', campaignId: 'spring' } };
const streamSid = exotel.start.stream_sid;

function started(query = ''): DialectLeg {
  const leg = new DialectLeg(entry, { numbers, query });
  leg.receive(exotel.connected, exotel.start);
  return leg;
}

/** What was sent as audio, in bytes a message, and all of it. */
function played(leg: DialectLeg): { lengths: number[]; bytes: Buffer } {
  const payloads = leg.messages.flatMap(({ event, media }) =>
    event === 'media' ? [Buffer.from((media as { payload: string }).payload, 'base64')] : [],
  );
  return { lengths: payloads.map((bytes) => bytes.length), bytes: Buffer.concat(payloads) };
}

describe('Exotel, from the carrier', () => {
  it('finds user and campaign by the number that was called, where no parameter names them', () => {
    expect(started().starts).toEqual([
      {
        callId: 'CAxxxxxxxxxxxxxxxxxxxxxxxx',
        userId: 'user-1',
        sampleRate: 8000,
        resumeToken: null,
        metadata: {
          key1: 'value1',
          phoneNumber: '+919876543210',
          campaignId: 'spring',
          from: '+919876543210',
          to: '+918047491899',
          carrier: {
            dialect: 'exotel',
            callId: 'CAxxxxxxxxxxxxxxxxxxxxxxxx',
            accountSid: 'ACxxxxxxxxxxxxxxxxxxxxxxxx',
            streamSid,
          },
        },
      },
    ]);
  });

  it('takes L16, low byte first, of 100 ms; keys, marks and the end', () => {
    const leg = started();
    leg.receive(exotel.media(2, base64(l16(tone(800)))), exotel.dtmf, exotel.mark, exotel.stop);
    expect(leg.samples).toEqual([...tone(800)]);
    expect(leg.events).toEqual([{ digit: '5', durationMs: 100 }, { mark: 'greeting' }, 'hang up']);
  });

  it('puts frames in order; what is missing has the next two wait, and no more', () => {
    const leg = started();
    const frame = (value: number) => base64(l16(new Int16Array(800).fill(value)));
    for (const n of [1, 3, 2, 5]) leg.receive(exotel.media(n, frame(n)));
    expect(leg.samples.length).toBe(3 * 800);
    leg.receive(exotel.media(6, frame(6)));
    const at = (tenth: number) => leg.samples[tenth * 800];
    expect([0, 1, 2, 3, 4, 5].map(at)).toEqual([1, 2, 3, 0, 5, 6]);
  });

  it('takes the rate that start announces; where it announces none, the URL’s', () => {
    const start = structuredClone(exotel.start);
    start.start.media_format = { encoding: 'audio/x-raw', sample_rate: '16000', bit_rate: '16' };
    const announced = new DialectLeg(entry, { numbers });
    announced.receive(start);
    const { media_format: _, ...silent } = exotel.start.start;
    const asked = new DialectLeg(entry, { numbers, query: 'sample-rate=16000' });
    asked.receive({ ...exotel.start, start: silent });
    expect([announced.starts[0]?.sampleRate, asked.starts[0]?.sampleRate]).toEqual([16000, 16000]);
  });

  it.each(['base64', 'raw/slin', 'slin'])('takes L16 that is called %s', (encoding) => {
    const start = structuredClone(exotel.start);
    start.start.media_format = { encoding, sample_rate: '8000', bit_rate: '128kbps' };
    const leg = new DialectLeg(entry, { numbers });
    leg.receive(start, exotel.media(1, base64(l16(tone(800)))));
    expect([leg.refusals, leg.samples]).toEqual([[], [...tone(800)]]);
  });

  it('refuses audio of a kind that nobody here speaks', () => {
    const start = structuredClone(exotel.start);
    start.start.media_format.encoding = 'audio/x-opus';
    const leg = new DialectLeg(entry, { numbers });
    leg.receive(start);
    expect(leg.refusals.map(({ code }) => code)).toEqual(['BAD_AUDIO']);
  });
});

describe('Exotel, to the carrier', () => {
  it('sends multiples of 320 bytes, 3,200 at least, but for the last of a sentence, which silence fills', () => {
    const leg = started();
    const speech = tone(5_037);
    for (let at = 0; at < speech.length; at += 700) leg.dialect.say(speech.subarray(at, at + 700), null);
    const before = played(leg).lengths;
    leg.dialect.flush();
    const { lengths, bytes } = played(leg);
    expect(before.every((length) => length >= 3_200)).toBe(true);
    expect(lengths.every((length) => length % 320 === 0)).toBe(true);
    const whole = Math.ceil((2 * speech.length) / 320) * 320;
    expect(bytes.equals(Buffer.concat([l16(speech), Buffer.alloc(whole - 2 * speech.length)]))).toBe(true);
  });

  it('sends no more than 100 kB at once', () => {
    const leg = started();
    leg.dialect.say(tone(80_000), null);
    expect(Math.max(...played(leg).lengths)).toBeLessThanOrEqual(100_000);
    expect(played(leg).bytes.length).toBe(160_000);
  });

  it('forgets what was kept back when it clears, and sends marks and the clear as the documents have them', () => {
    const leg = started();
    leg.dialect.say(tone(100), null);
    leg.dialect.clear();
    leg.dialect.flush();
    leg.dialect.mark('greeting');
    expect(leg.messages).toEqual([
      { event: 'clear', stream_sid: streamSid },
      { event: 'mark', stream_sid: streamSid, mark: { name: 'greeting' } },
    ]);
  });
});
