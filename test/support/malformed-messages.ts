import { nativeLimits } from '../../src/dialects/native-messages.ts';
import type { seeded } from './random.ts';

type Random = ReturnType<typeof seeded>;
export type Message = string | Uint8Array;

const types = ['start_call', 'audio', 'dtmf', 'mark', 'interrupt', 'end_call'];
const fields = [
  'callId',
  'userId',
  'metadata',
  'audio',
  'features',
  'resumeToken',
  'data',
  'format',
  'sampleRate',
  'digit',
  'name',
];

/**
 * One message of a client that is broken or means harm: never one that starts a call, ends it, or is in order. What makes it wrong is of one of
 * these kinds, chosen by chance.
 */
export function malformed(random: Random): Message {
  return random.of(kinds)(random);
}

const kinds: ((random: Random) => Message)[] = [
  // No JSON.
  (random) => text(random, random.whole(200)),
  (random) => cut(JSON.stringify({ type: random.of(types), data: text(random, 40) }), random),
  () => '',
  (random) =>
    random.of([
      '{',
      '[',
      '"',
      '{"type":',
      'nul',
      '\u0000',
      '\uFEFF{}',
      '{}{}',
      "{'type':'audio'}",
      '{"type":"audio",}',
    ]),
  // JSON, and no message.
  (random) =>
    JSON.stringify(
      random.of([null, true, 0, -1, 1e308, [], {}, [[]], 'start_call', { type: null }, { type: {} }]),
    ),
  (random) => JSON.stringify({ type: text(random, 20) }),
  (random) =>
    random.of([
      '{"type":"__proto__"}',
      '{"__proto__":{"type":"end_call"}}',
      '{"type":"constructor"}',
      '{"type":["end_call"]}',
    ]),
  (random) => `{"type":"start_call","metadata":${'['.repeat(random.whole(5_000))}`,
  (random) => nested(random, 40 + random.whole(2_000)),
  // Messages with a field that is wrong.
  (random) =>
    JSON.stringify({ type: 'start_call', [random.of(fields)]: anything(random), callId: random.of(badIds) }),
  (random) =>
    JSON.stringify({ type: 'start_call', callId: 'good', userId: random.of(['', null, 7, 'u'.repeat(129)]) }),
  (random) =>
    JSON.stringify({
      type: 'start_call',
      callId: 'good',
      userId: 'u',
      audio: { sampleRate: random.whole(99_999) + 16_001 },
    }),
  () =>
    JSON.stringify({
      type: 'start_call',
      callId: 'good',
      userId: 'u',
      metadata: { big: 'x'.repeat(nativeLimits.metadataCharacters) },
    }),
  (random) =>
    JSON.stringify({ type: 'dtmf', digit: random.of(['', '12', 'E', '\u0661', 5, null, text(random, 9)]) }),
  (random) => JSON.stringify({ type: 'mark', name: random.of(['', 'n'.repeat(129), 0, [], null]) }),
  // Audio that is none.
  (random) =>
    JSON.stringify({ type: 'audio', data: random.of(['!!!!', 'A', 'AAA', '====', 'äöü', 7, null, [], '']) }),
  (random) =>
    JSON.stringify({ type: 'audio', data: 'AAAA', format: random.of(['opus', 'l16', '', null, 4]) }),
  (random) =>
    JSON.stringify({ type: 'audio', data: 'AAAA', sampleRate: random.of([0, -8000, 44_100, '8000', 1e9]) }),
  (random) => Uint8Array.from({ length: random.whole(400) }, () => random.whole(256)),
];

/** Now and then also what is too large: 100 KB cost as much as a thousand others. */
export function tooLarge(random: Random): Message {
  const length = nativeLimits.messageCharacters + 1 + random.whole(1_000);
  return random.whole(2) === 0
    ? 'x'.repeat(length)
    : JSON.stringify({ type: 'audio', data: 'A'.repeat(length) });
}

const badIds = [
  '',
  '.',
  '..',
  '../../etc/passwd',
  'a/b',
  'a b',
  '%2e%2e',
  'a\u0000b',
  'x'.repeat(129),
  'ä',
  null,
  42,
  {},
  ['a'],
];

function text(random: Random, length: number): string {
  // Also halves of surrogate pairs, and controls.
  return String.fromCharCode(
    ...Array.from({ length }, () => random.of([random.whole(128), random.whole(0x10000)])),
  );
}

function cut(json: string, random: Random): string {
  return json.slice(0, 1 + random.whole(json.length - 1));
}

function nested(random: Random, levels: number): string {
  const [open, close] = random.of([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  const inner = `${open.repeat(levels)}1${close.repeat(levels)}`;
  return `{"type":"start_call","callId":"good","userId":"u","metadata":{"a":${inner}}}`;
}

function anything(random: Random): unknown {
  return random.of<unknown>([null, true, -1, 1e300, '', text(random, 30), [], {}, { toString: 1 }, [[[[]]]]]);
}
