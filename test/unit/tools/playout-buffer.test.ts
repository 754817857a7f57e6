import { expect, test } from 'vitest';
import { PlayoutBuffer } from '../../../tools/caller/playout-buffer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function playing() {
  const clock = new FakeClock();
  const marks: { name: string; atMs: number }[] = [];
  const drained: number[] = [];
  const startedAt = clock.now();
  const nowMs = () => clock.now() - startedAt;
  const buffer = new PlayoutBuffer({
    clock,
    sampleRate: 8000,
    startedAt,
    keepAudio: true,
    onMark: (name) => marks.push({ name, atMs: nowMs() }),
    onDrained: () => drained.push(nowMs()),
  });
  return { clock, buffer, marks, drained };
}

const tone = (ms: number, value = 1000) => new Int16Array(ms * 8).fill(value);

test('plays what arrives in a burst one after the other, in real time', async () => {
  const { clock, buffer, drained } = playing();
  await clock.advance(50);
  expect(buffer.receive(tone(100, 1), false)).toBe(400);
  expect(buffer.receive(tone(100, 2), true)).toBe(1200);
  expect(buffer.queuedMs).toBe(200);
  await clock.advance(100);
  expect(buffer.queuedMs).toBe(100);
  expect(drained).toEqual([]);
  await clock.advance(1000);
  expect(drained).toEqual([250]);
  const heard = buffer.heard();
  expect(heard).toHaveLength(2000);
  expect([heard[399], heard[400], heard[1199], heard[1200], heard[1999]]).toEqual([0, 1, 1, 2, 2]);
});

test('hears nothing of what was not played when it is cleared', async () => {
  const { clock, buffer, drained } = playing();
  buffer.receive(tone(500), false);
  await clock.advance(120);
  buffer.clear();
  expect(buffer.queuedMs).toBe(0);
  expect(buffer.heard()).toHaveLength(960);
  await clock.advance(80);
  buffer.receive(tone(20, 7), false);
  await clock.advance(1000);
  const heard = buffer.heard();
  expect(heard).toHaveLength(1600 + 160);
  expect([heard[959], heard[960], heard[1599], heard[1600]]).toEqual([1000, 0, 0, 7]);
  expect(drained.at(-1)).toBe(220);
});

test('echoes a mark when the audio before it was played, not when it came', async () => {
  const { clock, buffer, marks } = playing();
  buffer.receive(tone(100), false);
  buffer.mark('first');
  buffer.receive(tone(100), true);
  buffer.mark('second');
  await clock.advance(1000);
  expect(marks).toEqual([
    { name: 'first', atMs: 100 },
    { name: 'second', atMs: 200 },
  ]);
});

test('never echoes a mark of audio that was cleared', async () => {
  const { clock, buffer, marks } = playing();
  buffer.receive(tone(100), false);
  buffer.mark('played');
  buffer.receive(tone(100), true);
  buffer.mark('cleared');
  await clock.advance(150);
  buffer.clear();
  await clock.advance(1000);
  expect(marks.map((mark) => mark.name)).toEqual(['played']);
});

test('counts an underrun only where speech goes on after running dry', async () => {
  const { clock, buffer } = playing();
  buffer.receive(tone(100), false);
  await clock.advance(160);
  buffer.receive(tone(100), true);
  await clock.advance(500);
  buffer.receive(tone(100), false);
  expect(buffer.underruns).toBe(1);
  expect(buffer.underrunMs).toBe(60);
});

test('refuses audio beyond two minutes instead of growing without bound', async () => {
  const { buffer } = playing();
  for (let i = 0; i < 200; i++) buffer.receive(tone(1000), true);
  expect(buffer.overflows).toBe(200 - 121);
  expect(buffer.queuedMs).toBe(121_000);
});

test('takes and plays nothing after it was closed', async () => {
  const { clock, buffer, drained } = playing();
  buffer.receive(tone(100), false);
  await clock.advance(30);
  buffer.close();
  expect(buffer.receive(tone(100), false)).toBeNull();
  await clock.advance(1000);
  expect(buffer.heard()).toHaveLength(240);
  expect(drained).toEqual([]);
  expect(clock.pending).toBe(0);
});
