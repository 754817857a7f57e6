import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { LoadCall, type LoadCallOptions } from '../../../tools/load/load-call.ts';
import { Speaker } from '../../../tools/load/speaker.ts';
import { Tally } from '../../../tools/load/tally.ts';
import {
  contentService,
  eventually,
  framesIn,
  ready,
  servers,
  typed,
} from '../../support/call-service-double.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { socketDouble } from '../../support/socket-double.ts';

const silence = new Int16Array(160);
const sentence = Array.from({ length: 100 }, () => new Int16Array(160).fill(1_000));

const { serve, closeAll } = servers();
const calls: LoadCall[] = [];
afterEach(async () => {
  for (const call of calls.splice(0)) call.hangUp();
  await closeAll();
});

function place(url: string, more: Partial<LoadCallOptions> = {}) {
  const clock = new FakeClock();
  const tally = new Tally();
  const speaker = new Speaker({ utterances: [sentence], silence, talk: 0.5, firstWordFrame: 10, first: 0 });
  const call = new LoadCall({
    clock,
    url,
    headers: {},
    dialect: 'native',
    transport: 'json',
    sampleRate: 8000,
    userId: 'load-1',
    callId: 'load-1',
    metadata: {},
    speaker,
    lengthMs: 60_000,
    tally,
    ...more,
  });
  calls.push(call);
  const go = async (frames: number) => {
    for (let i = 0; i < frames; i++) {
      await clock.advance(20);
      call.tick();
    }
  };
  return { call, clock, tally, go };
}

/** What became of calls, e.g. `refused TOO_MANY_CALLS`. */
function fates(tally: Tally): string[] {
  const { faults } = tally.take();
  return Object.entries(faults).flatMap(([fault, reasons]) =>
    Object.entries(reasons).flatMap(([reason, times]) => Array(times).fill(`${fault} ${reason}`)),
  );
}

const isOver = (call: LoadCall) => eventually(() => expect(call.over).toBe(true));
const isUp = (call: LoadCall) => eventually(() => expect(call.up).toBe(true));

describe('a service that takes no call', () => {
  test('and tells why over HTTP', async () => {
    const { url } = await serve({
      upgrade: () => 503,
      refusal: '{"error":{"code":"TOO_MANY_CALLS","message":"full"}}',
    });
    const { call, tally } = place(url);
    await isOver(call);
    expect(fates(tally)).toEqual(['refused TOO_MANY_CALLS']);
  });

  test.each([
    ['is not the service’s', 'x'.repeat(100_000)],
    ['has no code', '{"error":"no"}'],
  ])('with an answer that %s', async (_, refusal) => {
    const { url } = await serve({ upgrade: () => 429, refusal });
    const { call, tally } = place(url);
    await isOver(call);
    expect(fates(tally)).toEqual(['refused HTTP_429']);
  });

  test('and sends the client elsewhere, where it does not go', async () => {
    const elsewhere = await serve(contentService);
    const server = createServer().on('upgrade', (_, socket) => {
      socket.end(`HTTP/1.1 302 Found\r\nLocation: ${elsewhere.url}/\r\nContent-Length: 0\r\n\r\n`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { call, tally } = place(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await isOver(call);
    expect(fates(tally)).toEqual(['refused HTTP_302']);
    expect(elsewhere.connections).toEqual([]);
    server.close();
  });

  test('by an error message', async () => {
    const { url } = await serve({
      ...contentService,
      message: (connection) => {
        connection.send({ type: 'error', code: 'UNAUTHORIZED', message: 'no' });
        connection.close(4403);
      },
    });
    const { call, tally } = place(url);
    await isOver(call);
    expect(fates(tally)).toEqual(['refused UNAUTHORIZED']);
  });

  test('by a close code alone, as carriers are told', async () => {
    const { url } = await serve({ message: (connection) => connection.close(4403) });
    const { call, tally } = place(url, { dialect: 'twilio' });
    await isOver(call);
    expect(fates(tally)).toEqual(['refused CLOSE_4403']);
  });

  test('and does not even listen', async () => {
    const double = await socketDouble({});
    await double.close();
    const { call, tally } = place(double.url);
    await isOver(call);
    expect(fates(tally)).toEqual(['failed ECONNREFUSED']);
  });
});

describe('a service that', () => {
  test('never answers the upgrade is waited for 10 s', async () => {
    const { url } = await serve({ upgrade: () => 'hang' });
    const { call, clock, tally } = place(url);
    await clock.advance(10_000);
    call.tick();
    expect(call.over).toBe(false);
    await clock.advance(1);
    call.tick();
    expect(fates(tally)).toEqual(['failed CONNECT_TIMEOUT']);
  });

  test('never starts the call is waited for 20 s', async () => {
    const { url, connections } = await serve({
      connected: (connection) => connection.send({ ...ready, callId: 'x' }),
    });
    const { call, clock, tally } = place(url);
    await eventually(() => expect(connections[0]?.received).toHaveLength(1));
    await clock.advance(20_001);
    call.tick();
    expect(fates(tally)).toEqual(['failed START_TIMEOUT']);
  });

  test('never ends the call is waited for 30 s', async () => {
    const { url } = await serve({
      ...contentService,
      message: (...args) => !typed(args[1], 'end_call') && contentService.message?.(...args),
    });
    const { call, clock, tally } = place(url);
    await isUp(call);
    call.hangUp();
    await clock.advance(30_001);
    call.tick();
    expect(fates(tally)).toEqual(['failed END_TIMEOUT']);
  });

  test('cuts the line drops the call', async () => {
    const { url, connections } = await serve(contentService);
    const { call, tally } = place(url);
    await isUp(call);
    connections[0]!.cut();
    await isOver(call);
    expect(fates(tally)).toEqual(['dropped CLOSE_1006']);
  });

  test('ends the call early in order has ended it', async () => {
    const { url, connections } = await serve(contentService);
    const { call, tally } = place(url);
    await isUp(call);
    connections[0]!.close(1000);
    await isOver(call);
    expect([tally.of('endedByService'), tally.faults()]).toEqual([1, 0]);
  });

  test.each([
    ['text that is no JSON', '{'],
    ['a message that is none', { type: 'status', status: 'happy' }],
    ['bytes that are no audio', { type: 'audio_response', audio: '!', text: '' }],
  ])('sends %s fails the call', async (_, garbage) => {
    const { url, connections } = await serve(contentService);
    const { call, tally } = place(url);
    await isUp(call);
    connections[0]!.send(garbage);
    await isOver(call);
    expect(fates(tally)).toEqual(['failed PROTOCOL']);
  });

  test('never says a word fails a call in which it was spoken to', async () => {
    const { url } = await serve(contentService);
    const { call, tally, go } = place(url);
    await isUp(call);
    await go(10 + 100 + 100 + 1);
    expect(tally.of('said')).toBe(1);
    call.hangUp();
    await isOver(call);
    expect(fates(tally)).toEqual(['failed SILENT']);
  });

  test('has an error in a call that goes on is counted', async () => {
    const { url, connections } = await serve(contentService);
    const { call, tally } = place(url);
    await isUp(call);
    connections[0]!.send({ type: 'error', code: 'INTERNAL_ERROR', message: 'the model is away' });
    await eventually(() => expect(tally.errors).toEqual({ INTERNAL_ERROR: 1 }));
    expect(call.up).toBe(true);
  });
});

describe('a call that goes well', () => {
  const speech = { type: 'audio_response', audio: Buffer.alloc(800, 0x7f).toString('base64'), text: '' };

  test('measures greeting, round trip and answer', async () => {
    const { url, connections } = await serve(contentService);
    const { call, clock, tally, go } = place(url);
    await isUp(call);
    expect(tally.histogram('setUpMs').count).toBe(1);
    await clock.advance(300);
    connections[0]!.send(speech);
    await eventually(() => expect(tally.of('greeted')).toBe(1));
    expect(tally.histogram('greetingMs').distribution()!.max).toBe(300);
    // The first frame goes with a ping.
    await go(1);
    await eventually(() => expect(tally.histogram('roundTripMs').count).toBe(1));
    await go(9 + 100);
    expect(tally.of('framesSpoken')).toBe(100);
    // What still comes of the greeting is no answer.
    connections[0]!.send(speech);
    await eventually(() => expect(tally.of('audioMessages')).toBe(2));
    expect(tally.of('answered')).toBe(0);
    await clock.advance(640);
    connections[0]!.send({ type: 'status', status: 'processing', message: '' });
    connections[0]!.send(speech);
    await eventually(() => expect(tally.of('answered')).toBe(1));
    expect(tally.histogram('answerMs').distribution()!.max).toBe(640);
    // The rest of the answer is no further one.
    connections[0]!.send(speech);
    await eventually(() => expect(tally.of('audioMessages')).toBe(4));
    expect([tally.of('said'), tally.of('answered'), tally.of('audioMs')]).toEqual([1, 1, 400]);
    call.hangUp();
    await isOver(call);
    expect([tally.of('ended'), tally.faults()]).toEqual([1, 0]);
  });

  test('takes an answer that was taken back for none', async () => {
    const { url, connections } = await serve(contentService);
    const { call, tally, go } = place(url);
    await isUp(call);
    await go(10 + 50);
    // The service took a pause for the end, and the caller spoke on.
    connections[0]!.send({ type: 'status', status: 'processing', message: '' });
    connections[0]!.send({ type: 'clear' });
    connections[0]!.send(speech);
    await eventually(() => expect(tally.of('audioMessages')).toBe(1));
    await go(50);
    connections[0]!.send(speech);
    await eventually(() => expect(tally.of('audioMessages')).toBe(2));
    expect(tally.of('answered')).toBe(0);
    connections[0]!.send({ type: 'status', status: 'processing', message: '' });
    connections[0]!.send(speech);
    await eventually(() => expect(tally.of('answered')).toBe(1));
  });

  test('counts a ping that is not answered in 10 s', async () => {
    const { url } = await serve(contentService);
    const { call, tally, go } = place(url);
    await isUp(call);
    // Nothing is read meanwhile.
    await go(501);
    expect(tally.of('pings')).toBe(11);
    expect(tally.of('pingsLost')).toBe(0);
    await go(50);
    expect(tally.of('pingsLost')).toBe(1);
  });

  test('tells of a mark when what is before it would have been heard', async () => {
    const { url, connections } = await serve(contentService);
    const { call, tally, go } = place(url);
    await isUp(call);
    connections[0]!.send(speech);
    connections[0]!.send({ type: 'mark', name: 'm' });
    connections[0]!.send({ type: 'error', code: 'PASSED', message: '' });
    await eventually(() => expect(tally.errors).toEqual({ PASSED: 1 }));
    const marks = () => connections[0]!.received.filter((message) => typed(message, 'mark')).length;
    await go(4);
    await eventually(() => expect(framesIn(connections[0]!)).toBe(4));
    expect(marks()).toBe(0);
    await go(1);
    await eventually(() => expect(marks()).toBe(1));
  });
});
