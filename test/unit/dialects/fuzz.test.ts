import { describe, expect, it } from 'vitest';
import type { DialectEntry } from '../../../src/dialects/carrier.ts';
import type { LegHandler } from '../../../src/dialects/dialect.ts';
import { callIdSchema, metadataSchema, transferReportSchema } from '../../../src/dialects/native-messages.ts';
import { dialects } from '../../../src/dialects/registry.ts';
import * as samples from '../../support/dialect-samples.ts';
import { seeded } from '../../support/random.ts';

/**
 * Every decoder against what nobody should send: its far end's own messages, damaged. It never throws, hands on nothing that the call does
 * not expect, and sends nothing that is no message.
 */
const inputs = 100_000;
/** Inputs of one leg: enough for several starts, few enough to see many beginnings. */
const perLeg = 40;

const native = [
  { type: 'start_call', callId: 'c', userId: 'u', features: ['clear', 'mark'] },
  { type: 'audio', data: 'f39/fw==', format: 'mulaw', sampleRate: 8000 },
  { type: 'dtmf', digit: '5' },
  { type: 'transfer', state: 'failed', cause: 'USER_BUSY', sipStatus: 486 },
  { type: 'end_call' },
];

/** As text. */
const texts: string[] = [
  native,
  ...Object.values(samples).map((family) =>
    Object.values(family).map((sample) => (typeof sample === 'function' ? sample(1) : sample)),
  ),
]
  .flat()
  .map((message) => (typeof message === 'string' ? message : JSON.stringify(message)));

const odd = [
  '',
  '"',
  '{}',
  '[]',
  'null',
  '-1',
  '1e999',
  '"\\u0000"',
  'true',
  '[[[[]]]]',
  '{"a":{"b":{}}}',
  '"x"',
];

type Random = ReturnType<typeof seeded>;

/** A text with something wrong: a value replaced, a piece cut out or doubled, a character changed. */
function damaged(text: string, random: Random): string {
  const kind = random.whole(8);
  if (kind < 3) return text;
  if (kind < 6) {
    // A value of the object: of the first colon at or after a place.
    const colon = text.indexOf(':', random.whole(text.length));
    if (colon < 0) return text;
    const end = text.slice(colon).search(/[,}]/);
    return text.slice(0, colon + 1) + random.of(odd) + text.slice(colon + Math.max(1, end));
  }
  const from = random.whole(text.length);
  if (kind === 6) return text.slice(0, from) + text.slice(from + 1 + random.whole(12));
  return text.slice(0, from) + String.fromCharCode(random.whole(300)) + text.slice(from + 1);
}

function input(random: Random): string | ArrayBuffer {
  if (random.whole(6) > 0) return damaged(random.of(texts), random);
  const bytes = new Uint8Array(random.of([0, 1, 2, 3, 160, 319, 320, 640, 1_283]));
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31 + random.whole(3)) & 0xff;
  return bytes.buffer;
}

function fuzz(entry: DialectEntry, seed: number) {
  const random = seeded(seed);
  const seen = { starts: 0, audio: 0, refused: 0, errors: 0, sent: 0 };
  const wrong: string[] = [];
  let starts = 0;
  const handler: LegHandler = {
    start: ({ callId, userId, metadata, sampleRate }) => {
      seen.starts++;
      if (++starts > 1) wrong.push('a second start');
      if (!callIdSchema.safeParse(callId).success) wrong.push(`call id ${callId}`);
      if (userId.length < 1 || userId.length > 128) wrong.push(`user ${userId}`);
      if (!metadataSchema.safeParse(metadata).success) wrong.push('metadata');
      if (sampleRate !== 8000 && sampleRate !== 16000) wrong.push(`rate ${sampleRate}`);
    },
    audio: (heard) => {
      seen.audio += heard.length;
      if (starts === 0) wrong.push('audio before the start');
      if (heard.length === 0 || heard.length > 16_000) wrong.push(`${heard.length} samples`);
    },
    answeredBy: (_verdict, confidence) => {
      if (!(confidence >= 0 && confidence <= 1)) wrong.push(`confidence ${confidence}`);
    },
    dtmf: (digit, durationMs) => {
      if (!/^[0-9*#A-D]$/.test(digit) || !(durationMs >= 0 && durationMs <= 60_000))
        wrong.push(`key ${digit}`);
    },
    markPlayed: (name) => {
      if (typeof name !== 'string') wrong.push('mark');
    },
    interrupt: () => {},
    transfer: (report) => {
      if (!transferReportSchema.safeParse(report).success) wrong.push('transfer');
    },
    hangUp: () => {},
    protocolError: () => seen.errors++,
    refuse: () => seen.refused++,
  };
  const queries = [
    '',
    'rate=16000&userId=u',
    'playback=json',
    'rate=24000&channels=2',
    'codec=PCMA&rate=8000',
  ];
  for (let done = 0; done < inputs; done += perLeg) {
    starts = 0;
    const dialect = entry.create({
      send: (message) => {
        seen.sent++;
        if (typeof message === 'string') JSON.parse(message);
      },
      callId: 'minted',
      callIdBound: random.whole(2) === 0,
      query: new URLSearchParams(random.of(queries)),
      headers: new Headers(),
      numbers: { '+13122123456': { userId: 'u' }, '+918047491899': { userId: 'u' } },
      holder: null,
    });
    for (let i = 0; i < perLeg; i++) {
      dialect.receive(input(random), handler);
      if (i % 8 === 7) {
        dialect.say(new Int16Array(random.whole(400)), null);
        random.of([() => dialect.flush(), () => dialect.clear(), () => dialect.mark('m')])();
      }
    }
  }
  return { seen, wrong: [...new Set(wrong)] };
}

describe('100,000 damaged messages', () => {
  // Where two paths are the same decoder, one of them will do.
  const decoders = [...new Map(dialects.map((entry) => [entry.create, entry])).values()];
  it.each(decoders.map((entry) => [entry.path, entry] as const))(
    'do no harm to %s',
    (_, entry) => {
      const { seen, wrong } = fuzz(entry, 20_261_121);
      expect(wrong).toEqual([]);
      // It was not for nothing: calls began, were heard and answered.
      expect(Object.values(seen).every((count) => count > 0)).toBe(entry.path !== 'call-session');
    },
    60_000,
  );
});
