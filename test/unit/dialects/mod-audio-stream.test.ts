import { describe, expect, it } from 'vitest';
import { modAudioStream as entry } from '../../../src/dialects/mod-audio-stream.ts';
import { base64, DialectLeg, l16, tone } from '../../support/dialect-leg.ts';

/** The metadata argument of `uuid_audio_stream … start`, verbatim. */
const metadata = '{"callId":"fs-2","userId":"user-1","from":"+15550100","order":{"id":7}}';

function started(query = ''): DialectLeg {
  const leg = new DialectLeg(entry, { query });
  leg.receive(metadata);
  return leg;
}

const file = (samples: Int16Array, sampleRate = 8000) => ({
  type: 'streamAudio',
  data: { audioDataType: 'raw', sampleRate, audioData: base64(l16(samples)) },
});

describe('mod_audio_stream, from the node', () => {
  it('starts with the metadata that the dialplan gives, whatever else is in it', () => {
    expect(started().starts).toEqual([
      {
        callId: 'fs-2',
        userId: 'user-1',
        sampleRate: 8000,
        resumeToken: null,
        metadata: {
          order: { id: 7 },
          phoneNumber: '+15550100',
          from: '+15550100',
          carrier: { dialect: 'mod_audio_stream' },
        },
      },
    ]);
  });

  it('takes binary L16; with STREAM_BUFFER_SIZE several frames at once', () => {
    const leg = started('rate=16000');
    leg.receive(l16(tone(320)), l16(tone(1_600)));
    expect(leg.starts[0]?.sampleRate).toBe(16000);
    expect(leg.pieces).toEqual([320, 1_600]);
  });

  it('takes metadata that is no JSON for what it is, and begins with the audio where the URL names the user', () => {
    const leg = new DialectLeg(entry, { query: 'userId=user-1' });
    leg.receive('hello from the dialplan', l16(tone(160)));
    expect(leg.errors).toEqual(['BAD_MESSAGE']);
    expect([leg.starts.length, leg.pieces]).toEqual([1, [160]]);
  });

  it('bounds the metadata', () => {
    const leg = new DialectLeg(entry);
    const deep = `{"userId":"u","a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    leg.receive(deep);
    expect(leg.refusals.map(({ code }) => code)).toEqual(['BAD_MESSAGE']);
  });
});

describe('mod_audio_stream, to the node', () => {
  it('gives the free edition files to play, of four tenths of a second, and has its hook break them off', () => {
    const leg = started();
    expect([leg.dialect.pieceMs, leg.dialect.canClear]).toEqual([400, true]);
    leg.dialect.say(tone(3_200), 'Hello.');
    leg.dialect.clear();
    expect(leg.messages).toEqual([file(tone(3_200)), { type: 'killAudio' }]);
    expect(leg.binary).toEqual([]);
  });

  it('gives a module that plays by itself the same, in smaller pieces, or binary messages', () => {
    const json = started('playback=json');
    json.dialect.say(tone(800), null);
    json.dialect.clear();
    const binary = started('playback=binary&features=clear');
    binary.dialect.say(tone(800), null);
    expect([json.dialect.pieceMs, json.dialect.canClear, json.messages]).toEqual([
      100,
      false,
      [file(tone(800))],
    ]);
    expect([binary.dialect.canClear, binary.binary.map((bytes) => Buffer.from(bytes))]).toEqual([
      true,
      [l16(tone(800))],
    ]);
  });
});
