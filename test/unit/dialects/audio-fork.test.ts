import { describe, expect, it } from 'vitest';
import { jambonz as jambonzEntry, modAudioFork } from '../../../src/dialects/audio-fork.ts';
import { base64, DialectLeg, l16, tone } from '../../support/dialect-leg.ts';
import { freeSwitch, jambonz } from '../../support/dialect-samples.ts';

function started(query = ''): DialectLeg {
  const leg = new DialectLeg(jambonzEntry, { query });
  leg.receive(jambonz.attributes);
  return leg;
}

describe('jambonz’ listen, from the switch', () => {
  it('starts with the call’s attributes; its own name of the call is callSid', () => {
    const { callSid, callId, from, to, accountSid, applicationSid } = jambonz.attributes;
    expect(started().starts).toEqual([
      {
        callId: callSid,
        userId: 'user-1',
        sampleRate: 16000,
        resumeToken: null,
        metadata: {
          phoneNumber: from,
          from,
          to,
          callStatus: 'in-progress',
          sipStatus: 200,
          carrier: { dialect: 'jambonz', callId: callSid, sipCallId: callId, accountSid, applicationSid },
        },
      },
    ]);
  });

  it('of a call that it makes, the party is the one that is called', () => {
    const leg = new DialectLeg(jambonzEntry);
    leg.receive({ ...jambonz.attributes, direction: 'outbound' });
    expect(leg.starts[0]?.metadata.phoneNumber).toBe(jambonz.attributes.to);
  });

  it('takes binary L16 of its rate, mono or stereo', () => {
    const leg = started();
    leg.receive(l16(tone(320)), l16(tone(960)), new Uint8Array(0));
    expect(leg.pieces).toEqual([320, 960]);
    const stereo = new DialectLeg(jambonzEntry);
    stereo.receive({ ...jambonz.attributes, mixType: 'stereo' }, l16(tone(640)));
    expect(stereo.pieces).toEqual([320]);
  });

  it('passes on keys, and marks that were played, not those that were cleared', () => {
    const leg = started();
    leg.receive(jambonz.dtmf, jambonz.played, jambonz.cleared, jambonz.playDone);
    expect(leg.events).toEqual([{ digit: '2', durationMs: 200 }, { mark: 'm1' }]);
    expect(leg.errors).toEqual([]);
  });
});

describe('jambonz’ listen, to the switch', () => {
  it('streams binary L16, kills it, marks it and disconnects', () => {
    const leg = started();
    leg.dialect.say(tone(1_280), 'Hello.');
    leg.dialect.mark('m1');
    leg.dialect.clear();
    leg.dialect.hangUp();
    expect(leg.binary.map((bytes) => Buffer.from(bytes))).toEqual([l16(tone(1_280))]);
    expect(leg.messages).toEqual([
      { type: 'mark', data: { name: 'm1' } },
      { type: 'killAudio' },
      { type: 'json', data: { type: 'hangup' } },
      { type: 'disconnect' },
    ]);
  });

  it('queues playAudio where streaming is off, and asks for no marks', () => {
    const leg = started('playback=json');
    leg.dialect.say(tone(6_400), 'Hello.');
    expect([leg.dialect.pieceMs, leg.dialect.canMark]).toEqual([400, false]);
    expect(leg.messages).toEqual([
      {
        type: 'playAudio',
        data: {
          audioContentType: 'raw',
          sampleRate: 16000,
          queuePlay: true,
          audioContent: base64(l16(tone(6_400))),
        },
      },
    ]);
  });

  it('sends the rate of bidirectionalAudio.sampleRate where it is another one', () => {
    const leg = started('playbackRate=8000');
    leg.dialect.say(tone(2_560), null);
    leg.dialect.flush();
    expect(leg.binary.reduce((sum, bytes) => sum + bytes.length, 0)).toBe(2_560);
  });

  it('leaves no end of a sentence in the module, which plays nothing below 80 ms', () => {
    const leg = started();
    for (let at = 0; at < 3_000; at += 700) leg.dialect.say(tone(3_000).subarray(at, at + 700), null);
    leg.dialect.flush();
    const lengths = leg.binary.map((bytes) => bytes.length);
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(2_560);
    const all = Buffer.concat(leg.binary);
    expect(all.subarray(0, 6_000).equals(l16(tone(3_000)))).toBe(true);
    expect(all.subarray(6_000).every((byte) => byte === 0)).toBe(true);
  });

  it('sends no sample that the module takes for a mark', () => {
    const leg = started();
    leg.dialect.say(
      Int16Array.from({ length: 1_280 }, (_, i) => (i % 3) - 2),
      null,
    );
    const bytes = Buffer.concat(leg.binary);
    const samples = Array.from({ length: 1_280 }, (_, i) => bytes.readInt16LE(2 * i));
    expect(samples.slice(0, 6)).toEqual([-2, -2, 0, -2, -2, 0]);
    expect(samples).not.toContain(-1);
  });

  it('asks for no more marks where the module has lost count of them: one stood in the audio that was cleared', () => {
    const leg = started();
    leg.dialect.mark('m1');
    leg.dialect.say(tone(1_280), null);
    leg.receive(jambonz.played);
    leg.dialect.mark('m2');
    leg.dialect.clear();
    expect(leg.dialect.canMark).toBe(true);
    leg.dialect.mark('m3');
    leg.dialect.say(tone(1_280), null);
    leg.dialect.clear();
    expect(leg.dialect.canMark).toBe(false);
  });

  it('has no more marks out than the module keeps', () => {
    const leg = started();
    for (let i = 0; i < 30; i++) {
      expect(leg.dialect.canMark).toBe(true);
      leg.dialect.mark(`m${i}`);
    }
    expect(leg.dialect.canMark).toBe(false);
    leg.receive(jambonz.played);
    expect(leg.dialect.canMark).toBe(true);
    leg.dialect.mark('m30');
    leg.dialect.clear();
    expect(leg.dialect.canMark).toBe(true);
  });
});

describe('mod_audio_fork with a dialplan of one’s own', () => {
  it('starts with its metadata', () => {
    const leg = new DialectLeg(modAudioFork);
    leg.receive(freeSwitch.start, l16(tone(160)));
    expect(leg.starts).toMatchObject([{ callId: 'fs-1', userId: 'user-1', sampleRate: 8000 }]);
    expect(leg.pieces).toEqual([160]);
  });
});
