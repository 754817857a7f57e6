import { beforeEach, describe, expect, it } from 'vitest';
import { encodeAlaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { encodePcm16 } from '../../../src/audio/pcm.ts';
import type { Dialect, LegHandler, StartRequest } from '../../../src/dialects/dialect.ts';
import { createNativeDialect } from '../../../src/dialects/native.ts';
import {
  type ClientMessage,
  callIdSchema,
  nativeLimits,
  type ServerMessage,
} from '../../../src/dialects/native-messages.ts';

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const start: ClientMessage = { type: 'start_call', callId: 'call-1', userId: 'user-1' };
const tone = Int16Array.from({ length: 160 }, (_, i) => Math.round(8000 * Math.sin(i / 3)));

let sent: (ServerMessage | Uint8Array)[];
let seen: { audio: number[][]; starts: StartRequest[]; errors: string[]; other: unknown[] };
let dialect: Dialect;
let handler: LegHandler;

beforeEach(() => {
  sent = [];
  seen = { audio: [], starts: [], errors: [], other: [] };
  dialect = createNativeDialect((message) =>
    sent.push(typeof message === 'string' ? (JSON.parse(message) as ServerMessage) : message),
  );
  handler = {
    start: (request) => seen.starts.push(request),
    audio: (samples) => seen.audio.push([...samples]),
    dtmf: (digit, durationMs) => seen.other.push({ digit, durationMs }),
    markPlayed: (name) => seen.other.push({ mark: name }),
    interrupt: () => seen.other.push('interrupt'),
    transfer: (report) => seen.other.push(report),
    answeredBy: (verdict) => seen.other.push(verdict),
    hangUp: () => seen.other.push('hang up'),
    protocolError: (code) => seen.errors.push(code),
    refuse: (code) => seen.errors.push(code),
  };
});

const receive = (message: ClientMessage | string | Uint8Array) =>
  dialect.receive(
    message instanceof Uint8Array
      ? message.slice().buffer
      : typeof message === 'string'
        ? message
        : JSON.stringify(message),
    handler,
  );

describe('native dialect, from the client', () => {
  it('starts with JSON μ-law 8000 where the client asks for nothing', () => {
    receive({ ...start, metadata: { phoneNumber: '+15550100', nested: { a: [1, null] } } });
    expect(seen.starts).toEqual([
      {
        callId: 'call-1',
        userId: 'user-1',
        metadata: { phoneNumber: '+15550100', nested: { a: [1, null] } },
        sampleRate: 8000,
        resumeToken: null,
      },
    ]);
    receive({ type: 'audio', data: base64(encodeMulaw(tone)), format: 'mulaw', sampleRate: 8000 });
    expect(seen.errors).toEqual([]);
    expect(seen.audio[0]?.length).toBe(160);
    expect(Math.max(...seen.audio[0]!.map((sample, i) => Math.abs(sample - tone[i]!)))).toBeLessThan(260);
  });

  it.each([
    ['mulaw', encodeMulaw],
    ['alaw', encodeAlaw],
    ['l16', encodePcm16],
  ] as const)('takes binary %s', (encoding, encode) => {
    receive({ ...start, audio: { transport: 'binary', encoding, sampleRate: 16000 } });
    receive(encode(tone));
    expect(seen.starts[0]?.sampleRate).toBe(16000);
    expect(seen.audio[0]?.length).toBe(160);
    expect(Math.max(...seen.audio[0]!.map((sample, i) => Math.abs(sample - tone[i]!)))).toBeLessThan(520);
  });

  it('passes on dtmf, marks and the hang-up', () => {
    receive(start);
    receive({ type: 'dtmf', digit: '#', durationMs: 80 });
    receive({ type: 'dtmf', digit: '5' });
    receive({ type: 'mark', name: 'turn-1' });
    receive({ type: 'interrupt' });
    receive({ type: 'end_call' });
    expect(seen.other).toEqual([
      { digit: '#', durationMs: 80 },
      { digit: '5', durationMs: 0 },
      { mark: 'turn-1' },
      'interrupt',
      'hang up',
    ]);
  });

  const bad: [string, ClientMessage | string | Uint8Array, string][] = [
    ['text that is no JSON', 'hello', 'BAD_MESSAGE'],
    ['JSON that is no object', '[1]', 'BAD_MESSAGE'],
    ['null', 'null', 'BAD_MESSAGE'],
    ['an unknown type', '{"type":"sing"}', 'BAD_MESSAGE'],
    ['no type', '{}', 'BAD_MESSAGE'],
    ['a call id that is no text', '{"type":"start_call","callId":7,"userId":"u"}', 'BAD_MESSAGE'],
    ['a call id with a path', '{"type":"start_call","callId":"../x","userId":"u"}', 'BAD_MESSAGE'],
    ['a call id of dots', '{"type":"start_call","callId":"..","userId":"u"}', 'BAD_MESSAGE'],
    ['no user', '{"type":"start_call","callId":"c"}', 'BAD_MESSAGE'],
    ['an unknown rate', JSON.stringify({ ...start, audio: { sampleRate: 44100 } }), 'BAD_MESSAGE'],
    [
      'metadata beyond its bound',
      JSON.stringify({ ...start, metadata: { a: 'x'.repeat(17_000) } }),
      'BAD_MESSAGE',
    ],
    [
      'metadata nested beyond its bound, which would exhaust the parser’s stack',
      `{"type":"start_call","callId":"c","userId":"u","metadata":{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`,
      'BAD_MESSAGE',
    ],
    ['audio before the start', { type: 'audio', data: '/w==' }, 'NOT_STARTED'],
    ['a binary frame before the start', new Uint8Array(160), 'NOT_STARTED'],
    ['a message beyond its bound', ' '.repeat(nativeLimits.messageCharacters + 1), 'TOO_LARGE'],
  ];
  it.each(bad)('answers %s with its error and starts nothing', (_, message, code) => {
    receive(message);
    expect(seen).toEqual({ audio: [], starts: [], other: [], errors: [code] });
    receive(start);
    expect(seen.starts.length).toBe(1);
  });

  const badInCall: [string, ClientMessage | string | Uint8Array, string][] = [
    ['a second start', start, 'ALREADY_STARTED'],
    ['base64 that is none', { type: 'audio', data: '***' }, 'BAD_AUDIO'],
    ['base64 without padding', { type: 'audio', data: '/w' }, 'BAD_AUDIO'],
    ['data that is no text', '{"type":"audio","data":[1,2]}', 'BAD_AUDIO'],
    ['an empty frame', { type: 'audio', data: '' }, 'BAD_AUDIO'],
    ['another format than the start said', { type: 'audio', data: '/w==', format: 'alaw' }, 'BAD_AUDIO'],
    ['another rate than the start said', { type: 'audio', data: '/w==', sampleRate: 16000 }, 'BAD_AUDIO'],
    ['a binary frame in JSON mode', new Uint8Array(160), 'BAD_AUDIO'],
    ['a frame beyond its bound', { type: 'audio', data: base64(new Uint8Array(8_001)) }, 'TOO_LARGE'],
    ['a digit that is none', '{"type":"dtmf","digit":"12"}', 'BAD_MESSAGE'],
  ];
  it.each(badInCall)('answers %s during a call with its error, and the call goes on', (_, message, code) => {
    receive(start);
    receive(message);
    expect(seen.errors).toEqual([code]);
    receive({ type: 'audio', data: base64(encodeMulaw(tone)) });
    expect(seen.audio.length).toBe(1);
  });

  it('#13 frame size mismatch breaks audio: answers L16 of an odd length, and JSON audio in binary mode, with an error', () => {
    receive({ ...start, audio: { transport: 'binary', encoding: 'l16' } });
    receive(new Uint8Array(321));
    receive({ type: 'audio', data: '/w==' });
    expect(seen.errors).toEqual(['BAD_AUDIO', 'BAD_AUDIO']);
  });
});

describe('native dialect, to the client', () => {
  it('puts the sentence on its first piece only', () => {
    receive(start);
    dialect.say(tone, 'Hello.');
    dialect.say(tone, null);
    const audio = base64(encodeMulaw(tone));
    expect(sent).toEqual([
      { type: 'audio_response', audio, text: 'Hello.' },
      { type: 'audio_response', audio, text: '' },
    ]);
  });

  it('sends binary audio after a speech message in binary mode', () => {
    receive({ ...start, audio: { transport: 'binary', encoding: 'alaw' } });
    dialect.say(tone, 'Hello.');
    dialect.say(tone, null);
    expect(sent[0]).toEqual({ type: 'speech', text: 'Hello.' });
    expect(sent.slice(1)).toEqual([encodeAlaw(tone), encodeAlaw(tone)]);
  });

  it('sends additive messages to those who asked for them, and to nobody else', () => {
    const additive = () => {
      dialect.clear();
      dialect.mark('m');
      dialect.transfer('sip:desk@example.com', 20);
      dialect.cancelTransfer();
      dialect.show({ type: 'transcript', role: 'agent', turn: 1, text: 'Hi.', final: true });
      dialect.show({
        type: 'latency',
        turn: 1,
        endpointWaitMs: 500,
        processingMs: 5,
        providerMs: 300,
        totalMs: 805,
        moments: { decided: 500, firstSent: 805 },
        providers: ['openai/gpt-6-luna'],
      });
    };
    receive(start);
    additive();
    expect(sent).toEqual([]);
    dialect = createNativeDialect((message) => sent.push(JSON.parse(message as string) as ServerMessage));
    receive({
      ...start,
      features: ['clear', 'mark', 'transfer', 'transcript', 'latency', 'one of tomorrow'],
    });
    additive();
    expect(sent.map((message) => (message as ServerMessage).type)).toEqual([
      'clear',
      'mark',
      'transfer',
      'cancel_transfer',
      'transcript',
      'latency',
    ]);
  });

  it('hands on how a transfer goes, and nothing that is no report', () => {
    receive(start);
    receive({ type: 'transfer', state: 'ringing' });
    receive({ type: 'transfer', state: 'failed', cause: 'USER_BUSY', sipStatus: 486 });
    expect(seen.other).toEqual([
      { type: 'transfer', state: 'ringing' },
      { type: 'transfer', state: 'failed', cause: 'USER_BUSY', sipStatus: 486 },
    ]);
    for (const bad of [
      {},
      { state: 'gone' },
      { state: 'failed', cause: "'; rm" },
      { state: 'failed', sipStatus: 9 },
    ])
      receive(JSON.stringify({ type: 'transfer', ...bad }));
    expect(seen.errors).toEqual(['BAD_MESSAGE', 'BAD_MESSAGE', 'BAD_MESSAGE', 'BAD_MESSAGE']);
    expect(seen.other).toHaveLength(2);
  });

  it('says what failed, and why the call ends', () => {
    dialect.show({ type: 'failure', code: 'PROVIDER_TIMEOUT', provider: 'x/y', message: 'late' });
    dialect.show({ type: 'call.ended', reason: 'time limit', status: 'ended' });
    expect(sent).toEqual([
      { type: 'error', code: 'INTERNAL_ERROR', message: 'A part of the service failed' },
      { type: 'error', code: 'TIMEOUT', message: 'The longest time of a call is over' },
    ]);
  });
});

describe('call ids', () => {
  it.each(['a', 'A-b_c.9', 'x'.repeat(128), '.hidden'])('takes %s', (id) => {
    expect(callIdSchema.safeParse(id).success).toBe(true);
  });
  it.each(['', '.', '..', 'a/b', 'a\\b', 'a b', 'ä', 'x'.repeat(129), 'a\n', '%2e'])('refuses %j', (id) => {
    expect(callIdSchema.safeParse(id).success).toBe(false);
  });
});
