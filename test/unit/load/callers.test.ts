import { afterEach, describe, expect, test } from 'vitest';
import { parseLoadArguments } from '../../../tools/load/arguments.ts';
import { Callers, type CallersTask } from '../../../tools/load/callers.ts';
import { runLoad } from '../../../tools/load/run.ts';
import { Speaker } from '../../../tools/load/speaker.ts';
import { Tally } from '../../../tools/load/tally.ts';
import { contentService, eventually, framesIn, servers, typed } from '../../support/call-service-double.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const { serve, closeAll } = servers();
afterEach(closeAll);

test('a caller talks for his share of the time', () => {
  const silence = new Int16Array(160);
  const word = new Int16Array(160).fill(1_000);
  const sentence = Array.from({ length: 100 }, () => word);
  const speaker = new Speaker({
    utterances: [sentence, [word]],
    silence,
    talk: 0.25,
    firstWordFrame: 7,
    first: 0,
  });
  const frames = Array.from({ length: 7 + 100 + 300 + 1 + 50 }, () => speaker.next());
  expect(frames.map(({ speech }) => speech).indexOf(true)).toBe(7);
  expect(frames.filter(({ speech }) => speech)).toHaveLength(101);
  expect(frames.flatMap(({ begins }, i) => (begins ? [i] : []))).toEqual([7, 407]);
  // After a word by itself comes a second of silence all the same.
  expect(frames.flatMap(({ ends }, i) => (ends ? [i] : []))).toEqual([106, 407]);
  expect(speaker.next().begins).toBe(true);
});

function task(url: string, more: Partial<CallersTask> = {}): CallersTask {
  return {
    run: 'test',
    url,
    headers: {},
    dialect: 'native',
    transport: 'json',
    sampleRate: 8000,
    users: ['a', 'b'],
    calls: 3,
    processes: 1,
    process: 0,
    rampMs: 0,
    callMs: 20_000,
    talk: 0.5,
    clips: [{ samples: new Int16Array(8_000).fill(5_000), sampleRate: 8000 }],
    seed: 1,
    ...more,
  };
}

describe('the calls of a process', () => {
  test('are paced by one timer, each with a frame every 20 ms', async () => {
    const { url, connections } = await serve(contentService);
    const clock = new FakeClock();
    const callers = new Callers(task(url), clock);
    await clock.advance(20);
    await eventually(() => expect(callers.open).toBe(3));
    expect(clock.pending).toBe(1);
    await clock.advance(2_000);
    await eventually(() => expect(connections.map(framesIn)).toEqual([100, 100, 100]));
    expect(callers.takeTally().counts).toMatchObject({
      placed: 3,
      accepted: 3,
      framesSent: 300,
      slippedMs: 0,
    });
    const ended = callers.end(0);
    await clock.advance(20);
    await eventually(() => expect(callers.open).toBe(0));
    await eventually(async () => {
      await clock.advance(20);
      expect(clock.pending).toBe(0);
    });
    await ended;
    expect(callers.takeTally().counts).toMatchObject({ ended: 3 });
  });

  test('begin one after the other, for each user in turn, and are replaced', async () => {
    const started: { userId: string; callId: string }[] = [];
    const { url } = await serve({
      ...contentService,
      message: (connection, message) => {
        if (typed(message, 'start_call')) started.push(JSON.parse(message as string));
        contentService.message?.(connection, message);
      },
    });
    const clock = new FakeClock();
    const callers = new Callers(task(url, { rampMs: 3_000, callMs: 6_500 }), clock);
    for (const expected of [1, 2, 3]) {
      await clock.advance(expected === 1 ? 20 : 1_000);
      await eventually(() => expect(callers.open).toBe(expected));
    }
    expect(started.map(({ userId }) => userId)).toEqual(['a', 'b', 'a']);
    expect(callers.takeTally().counts).toMatchObject({ placed: 3, ended: 0 });
    // They last 6.5 s and up to a quarter more or less; at most a second later the next is placed.
    await eventually(async () => {
      await clock.advance(500);
      expect(new Set(started.map(({ callId }) => callId)).size).toBeGreaterThanOrEqual(6);
    });
    const ended = callers.end(0);
    await eventually(async () => {
      await clock.advance(20);
      expect(clock.pending).toBe(0);
    });
    await ended;
  });

  test('that fail are tried again later and later', async () => {
    let asked = 0;
    const { url } = await serve({
      upgrade: () => {
        asked += 1;
        return 503;
      },
    });
    const clock = new FakeClock();
    const callers = new Callers(task(url, { calls: 1 }), clock);
    const tally = new Tally();
    for (let second = 0; second < 40; second++) {
      await clock.advance(1_000);
      const before = asked;
      await eventually(() => {
        tally.merge(callers.takeTally());
        expect(tally.of('placed')).toBe(asked);
        expect(tally.faults('refused')).toBe(asked);
      });
      expect(asked - before).toBeLessThanOrEqual(1);
    }
    // 1, 2, 4, 8, 16, 30 … s, each shortened by up to a half.
    expect(asked).toBeGreaterThanOrEqual(6);
    expect(asked).toBeLessThanOrEqual(8);
    const ended = callers.end(0);
    await clock.advance(40);
    await ended;
  });
});

test('a deployment that dies in the middle gives a report', { timeout: 30_000 }, async () => {
  let frames = 0;
  const stop = new AbortController();
  const double = await serve({
    ...contentService,
    message: (connection, message) => {
      contentService.message?.(connection, message);
      if (typed(message, 'audio') && ++frames === 20) void double.close().then(() => stop.abort());
    },
  });
  const report = await runLoad({
    options: { ...parseLoadArguments(['--calls', '4']), ramp: 0, processes: 2 },
    url: new URL(double.url),
    clips: task('').clips,
    stop: stop.signal,
    progress: () => {},
  });
  expect(report).toMatchObject({ end: 'interrupted', calls: { accepted: 4, dropped: { CLOSE_1006: 4 } } });
  expect(report.client.processes.map(({ lost }) => lost)).toEqual([false, false]);
});
