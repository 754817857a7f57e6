import { describe, expect, it } from 'vitest';
import { dialectAt, dialects } from '../../../src/dialects/registry.ts';
import { DialectLeg, l16, tone } from '../../support/dialect-leg.ts';
import * as samples from '../../support/dialect-samples.ts';

const auto = dialectAt('auto', null)!;
const numbers = { '+13122123456': { userId: 'user-1' }, '+918047491899': { userId: 'user-1' } };

describe('a leg whose first messages tell its dialect', () => {
  it.each([
    ['twilio', [samples.twilio.connected, samples.twilio.start, samples.twilio.media(1)]],
    ['twilio', [samples.twilio.media(1), samples.twilio.start]],
    ['exotel', [samples.exotel.connected, samples.exotel.start, samples.exotel.media(1)]],
    ['telnyx', [samples.telnyx.connected, samples.telnyx.start, samples.telnyx.media(1)]],
    ['plivo', [samples.plivo.start, samples.plivo.media(1)]],
    ['vonage', [samples.vonage.connected, l16(tone(320))]],
    ['jambonz', [samples.jambonz.attributes, l16(tone(320))]],
    ['freeswitch', [samples.freeSwitch.start, l16(tone(160))]],
    ['freeswitch', [l16(tone(160)), samples.freeSwitch.start]],
    ['mod_audio_stream', [{ userId: 'user-1', note: 'anything' }, l16(tone(160))]],
  ])('speaks %s', (dialect, messages) => {
    const leg = new DialectLeg(auto, { numbers });
    leg.receive(...messages);
    expect(leg.starts[0]?.metadata.carrier).toMatchObject({ dialect });
    expect(leg.samples.length).toBeGreaterThan(0);
    expect([leg.errors, leg.refusals]).toEqual([[], []]);
  });

  it('is told what was shown before it was known', () => {
    const leg = new DialectLeg(auto);
    leg.dialect.show({ type: 'leg.accepted', callId: 'fs-1', resumeToken: 'secret' });
    leg.receive(samples.freeSwitch.start);
    expect(leg.messages).toEqual([{ type: 'accepted', callId: 'fs-1', resumeToken: 'secret' }]);
  });

  it('is refused where fifty messages told nothing', () => {
    const leg = new DialectLeg(auto);
    for (let i = 0; i < 50; i++) leg.receive({ event: 'hello' });
    expect(leg.refusals.map(({ code }) => code)).toEqual(['BAD_MESSAGE']);
  });
});

it('keeps half a megabyte of what tells nothing, and no more', () => {
  const leg = new DialectLeg(auto);
  for (let i = 0; i < 6; i++) leg.receive({ event: 'x'.repeat(90_000) });
  expect(leg.refusals.length).toBe(1);
});

describe('the registry', () => {
  it('has one dialect a path', () => {
    const paths = dialects.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
  });

  it('finds a dialect by path, and at /ws/auto by subprotocol', () => {
    const at = (path: string, offered: string | null) => dialectAt(path, offered)?.path;
    expect([
      at('twilio', null),
      at('auto', 'audio.jambonz.org'),
      at('auto', 'x, audio.drachtio.org'),
      at('auto', 'audio.somleng.org'),
      at('auto', 'x'),
      at('nothing', null),
    ]).toEqual(['twilio', 'jambonz', 'mod_audio_fork', 'mod_twilio_stream', 'auto', undefined]);
  });
});
