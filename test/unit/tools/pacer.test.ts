import { expect, test } from 'vitest';
import type { Clock, Timer } from '../../../src/call/clock.ts';
import { Pacer } from '../../../tools/caller/pacer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A clock of a process that now and then stands still: time goes by and timers fire late. */
class StallingClock implements Clock {
  readonly #clock = new FakeClock();
  #stalledMs = 0;

  now(): number {
    return this.#clock.now() + this.#stalledMs;
  }

  after(delayMs: number, task: () => void): Timer {
    return this.#clock.after(delayMs, task);
  }

  stall(ms: number): void {
    this.#stalledMs += ms;
  }

  advance(ms: number): Promise<void> {
    return this.#clock.advance(ms);
  }

  get pending(): number {
    return this.#clock.pending;
  }
}

function startedPacer() {
  const clock = new StallingClock();
  const sent: { index: number; atMs: number }[] = [];
  const start = clock.now();
  const pacer = new Pacer({ clock, onFrame: (index) => sent.push({ index, atMs: clock.now() - start }) });
  pacer.start();
  return { clock, pacer, sent };
}

test('sends one frame every 20 ms, each when it is complete', async () => {
  const { clock, sent } = startedPacer();
  await clock.advance(100);
  expect(sent).toEqual([1, 2, 3, 4, 5].map((n) => ({ index: n - 1, atMs: n * 20 })));
});

test('does not drift when timers fire late again and again', async () => {
  const { clock, pacer, sent } = startedPacer();
  for (let i = 0; i < 500; i++) {
    clock.stall(13);
    await clock.advance(7);
  }
  await clock.advance(100);
  expect(sent).toHaveLength((500 * 20 + 100) / 20);
  expect(sent.at(-1)).toEqual({ index: 504, atMs: 10_100 });
  expect(sent.every(({ index, atMs }) => atMs >= (index + 1) * 20)).toBe(true);
  expect(pacer.slippedMs).toBe(0);
});

test('catches up at once after a short stall, and counts how late it was', async () => {
  const { clock, pacer, sent } = startedPacer();
  clock.stall(280);
  await clock.advance(20);
  expect(sent).toHaveLength(15);
  expect(pacer.latestMs).toBe(280);
  expect(pacer.slippedMs).toBe(0);
});

test('skips what is later than half a second instead of flooding the service', async () => {
  const { clock, pacer, sent } = startedPacer();
  clock.stall(60_000);
  await clock.advance(20);
  expect(sent).toHaveLength(26);
  expect(pacer.slippedMs).toBe(60_000 - 500);
  await clock.advance(200);
  expect(sent).toHaveLength(36);
});

test('sends nothing after it was stopped, and leaves no timer', async () => {
  const { clock, pacer, sent } = startedPacer();
  await clock.advance(40);
  pacer.stop();
  await clock.advance(1000);
  expect(sent).toHaveLength(2);
  expect(clock.pending).toBe(0);
});

test('can be stopped from within a frame, in the middle of catching up', async () => {
  const clock = new StallingClock();
  let frames = 0;
  const pacer = new Pacer({
    clock,
    onFrame: () => {
      frames += 1;
      if (frames === 3) pacer.stop();
    },
  });
  pacer.start();
  clock.stall(200);
  await clock.advance(1000);
  expect(frames).toBe(3);
});

test('a pace of its own, and how late each frame is', async () => {
  const clock = new StallingClock();
  const sent: [index: number, lateMs: number][] = [];
  const pacer = new Pacer({ clock, everyMs: 2, onFrame: (...frame) => sent.push(frame) });
  pacer.start();
  await clock.advance(6);
  clock.stall(5);
  await clock.advance(2);
  expect(sent).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
    // Due at 8, 10 and 12, at 13.
    [3, 5],
    [4, 3],
    [5, 1],
  ]);
  pacer.stop();
});
