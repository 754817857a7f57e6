import { describe, expect, it } from 'vitest';
import { encodeMulaw } from '../../../src/audio/g711.ts';
import { plivo as entry } from '../../../src/dialects/plivo.ts';
import { base64, DialectLeg, l16, tone } from '../../support/dialect-leg.ts';
import { plivo } from '../../support/dialect-samples.ts';

const { streamId } = plivo.start.start;

function started(start: object = plivo.start): DialectLeg {
  const leg = new DialectLeg(entry);
  leg.receive(start);
  return leg;
}

describe('Plivo, from the carrier', () => {
  it('reads the extra headers of its XML', () => {
    expect(started().starts).toEqual([
      {
        callId: plivo.start.start.callId,
        userId: '12345',
        sampleRate: 8000,
        resumeToken: null,
        metadata: {
          sessionId: 'abc-xyz',
          carrier: {
            dialect: 'plivo',
            callId: plivo.start.start.callId,
            accountId: 'MAXXXXXXXXXXXXXXXXXX',
            streamId,
          },
        },
      },
    ]);
  });

  it.each([
    'X-PH-userId=user1,X-PH-campaignId=spring',
    '{userId: user1, campaignId: spring}',
    '{"X-PH-userId":"user1","X-PH-campaignId":"spring"}',
  ])('reads them as %s too', (extra_headers) => {
    const [request] = started({ ...plivo.start, extra_headers }).starts;
    expect([request?.userId, request?.metadata.campaignId]).toEqual(['user1', 'spring']);
  });

  it('takes L16 where no format is named, as the XML has it then', () => {
    const { mediaFormat: _, ...silent } = plivo.start.start;
    const leg = started({ ...plivo.start, start: silent });
    leg.receive(plivo.media(1, base64(l16(tone(160)))));
    expect(leg.samples).toEqual([...tone(160)]);
  });

  it('passes on keys and checkpoints', () => {
    const leg = started();
    leg.receive(plivo.media(1), plivo.dtmf, plivo.playedStream, plivo.clearedAudio);
    expect(leg.events).toEqual([{ digit: '5', durationMs: 0 }, { mark: 'customer greeting audio' }]);
    expect([leg.errors, leg.pieces]).toEqual([[], [160]]);
  });

  it('ends a call by closing its socket: it has no message for it', () => {
    expect(started().dialect.hangsUpByClosing).toBe(true);
  });
});

describe('Plivo, to the carrier', () => {
  it('sends audio with its kind, checkpoints, the clear and keys as the documents have them', () => {
    const leg = started();
    leg.dialect.say(tone(800), 'Hello.');
    leg.dialect.mark('customer greeting audio');
    leg.dialect.clear();
    expect(leg.dialect.pressDigits('12#')).toBe(true);
    expect(leg.messages).toEqual([
      {
        event: 'playAudio',
        media: {
          contentType: 'audio/x-mulaw',
          sampleRate: 8000,
          payload: base64(encodeMulaw(tone(800))),
        },
      },
      { event: 'checkpoint', streamId, name: 'customer greeting audio' },
      { event: 'clearAudio', streamId },
      { event: 'sendDTMF', dtmf: '12#' },
    ]);
  });

  it('sends L16 at 16 kHz where the stream is of that', () => {
    const start = structuredClone(plivo.start);
    start.start.mediaFormat = { encoding: 'audio/x-l16', sampleRate: 16000 };
    const leg = started(start);
    leg.dialect.say(tone(160), null);
    const media = { contentType: 'audio/x-l16', sampleRate: 16000, payload: base64(l16(tone(160))) };
    expect(leg.messages).toEqual([{ event: 'playAudio', media }]);
  });
});
