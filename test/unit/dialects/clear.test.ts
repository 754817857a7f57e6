import { describe, expect, it } from 'vitest';
import type { DialectEntry } from '../../../src/dialects/carrier.ts';
import { exotel } from '../../../src/dialects/exotel.ts';
import { freeSwitch } from '../../../src/dialects/freeswitch.ts';
import { telnyx } from '../../../src/dialects/telnyx.ts';
import { vonage } from '../../../src/dialects/vonage.ts';
import { DialectLeg, tone } from '../../support/dialect-leg.ts';
import * as samples from '../../support/dialect-samples.ts';

const numbers = { '+13122123456': { userId: 'u' }, '+918047491899': { userId: 'u' } };
const exotelAt24 = structuredClone(samples.exotel.start);
exotelAt24.start.media_format.sample_rate = '24000';

/** Ends that are sent blocks, or another rate than the call's, or both: something of a sentence may be kept back at any time. */
const keeping: [string, DialectEntry, string, object][] = [
  ['Telnyx', telnyx, '', samples.telnyx.start],
  ['Telnyx, L16 at 24 kHz', telnyx, 'codec=L16&rate=24000', samples.telnyx.start],
  ['Vonage', vonage, '', samples.vonage.connected],
  ['Exotel', exotel, '', samples.exotel.start],
  ['Exotel at 24 kHz', exotel, '', exotelAt24],
  ['FreeSWITCH at 24 kHz', freeSwitch, 'playbackRate=24000', samples.freeSwitch.start],
];

function audioMessages(leg: DialectLeg): number {
  return leg.binary.length + leg.messages.filter(({ event }) => event === 'media').length;
}

describe.each(keeping)('a clear of %s', (_, entry, query, start) => {
  it('leaves nothing behind of what was kept back', () => {
    const leg = new DialectLeg(entry, { numbers, query });
    leg.receive(start);
    leg.dialect.say(tone(70), 'Hello.');
    const before = audioMessages(leg);
    leg.dialect.clear();
    leg.dialect.flush();
    expect([leg.refusals, audioMessages(leg)]).toEqual([[], before]);
  });

  it('keeps nothing back for ever: the end of a sentence is sent', () => {
    const leg = new DialectLeg(entry, { numbers, query });
    leg.receive(start);
    leg.dialect.say(tone(70), 'Hello.');
    const before = audioMessages(leg);
    leg.dialect.flush();
    expect(audioMessages(leg)).toBeGreaterThan(before);
  });
});
