import { describe, expect, it } from 'vitest';
import type { AudioChunk } from '../../../src/call/journal.ts';
import { RecordingTimeline } from '../../../src/call/recording-timeline.ts';

const start = 1_000_000;

function setUp() {
  const chunks: AudioChunk[] = [];
  const timeline = new RecordingTimeline({
    sampleRate: 8000,
    startTime: start,
    chunkMs: 1000,
    store: (chunk) => {
      chunks.push(chunk);
      return false;
    },
  });
  const track = (side: 'caller' | 'agent') =>
    chunks.flatMap((chunk) => [...(chunk[side] ?? new Int16Array(chunk.length))]);
  return { timeline, chunks, track };
}

const frame = (value: number, ms = 20) => new Int16Array(ms * 8).fill(value);

describe('recording timeline', () => {
  it('keeps 20 ms frames in order and ignores jitter up to 200 ms', () => {
    const { timeline, track } = setUp();
    const jitter = [0, 30, 180, 5, 90, 199, 0, 60];
    jitter.forEach((late, i) => {
      timeline.caller(frame(i + 1), start + (i + 1) * 20 + late);
    });
    timeline.finish(start + 160);
    expect(track('caller').slice(0, 160 * 8)).toEqual(jitter.flatMap((_, i) => [...frame(i + 1)]));
  });

  it('records a gap of more than 200 ms as silence', () => {
    const { timeline, track } = setUp();
    timeline.caller(frame(1), start + 20);
    const position = timeline.caller(frame(2), start + 1020);
    timeline.finish(start + 1020);
    expect(position).toBe(1000 * 8);
    expect(track('caller')[8000 - 1]).toBe(0);
    expect(track('caller')[8000]).toBe(2);
  });

  it('puts audio back where it was said when the first of it came late: a restart of a busy machine', () => {
    const { timeline, track } = setUp();
    timeline.caller(frame(1), start + 20);
    timeline.storeUntil(start + 2400);
    // Said from 2,000 ms on, frame by frame; nobody took them until 2,420 ms.
    const positions: number[] = [];
    for (let i = 0; i < 40; i++) {
      const saidAt = start + 2000 + (i + 1) * 20;
      const now = Math.max(saidAt, start + 2420);
      positions.push(timeline.caller(frame(100 + i), now));
      if (i % 5 === 0) timeline.storeUntil(now);
    }
    timeline.finish(start + 2800);
    expect(track('caller').slice(8 * 2000, 8 * 2800)).toEqual(
      Array.from({ length: 40 }, (_, i) => [...frame(100 + i)]).flat(),
    );
    expect(
      track('caller')
        .slice(8 * 20, 8 * 2000)
        .every((sample) => sample === 0),
    ).toBe(true);
    expect(positions.at(-1)).toBe(8 * 2780);
  });

  it('puts all of a long burst back: a line that stood still, in the middle of a call', () => {
    const { timeline, track } = setUp();
    const said = Array.from({ length: 200 }, (_, i) => i);
    for (const i of said) {
      const saidAt = start + (i + 1) * 20;
      // Nothing came from 600 ms to 2,300 ms.
      const now = saidAt > start + 600 ? Math.max(saidAt, start + 2300) : saidAt;
      timeline.caller(frame(i + 1), now);
    }
    timeline.finish(start + 4000);
    expect(track('caller')).toEqual(said.flatMap((i) => [...frame(i + 1)]));
  });

  it.each<[string, number[]]>([
    // Nobody took anything from 100 ms on but a frame at each of these times, and the rest at the last one.
    ['too short for a gap of its own', [520, 730]],
    ['with a gap of its own', [500, 800, 980]],
    ['three times', [400, 650, 900, 1_000]],
  ])('puts a burst back that single frames came before: a machine that stood still again, %s', (_, taken) => {
    const { timeline, track } = setUp();
    for (let i = 0; i < 80; i++) {
      const saidAt = (i + 1) * 20;
      const takenAt = i < 5 ? saidAt : Math.max(saidAt, taken[Math.min(i - 5, taken.length - 1)]!);
      timeline.caller(frame(i + 1), start + takenAt);
      timeline.storeUntil(start + takenAt);
    }
    expect(timeline.callerAheadMs(start + 1_600)).toBe(0);
    timeline.finish(start + 1_600);
    expect(track('caller')).toEqual(Array.from({ length: 80 }, (_, i) => [...frame(i + 1)]).flat());
  });

  it('moves only the beginning of a burst that no line makes, and loses nothing of it', () => {
    const { timeline, track } = setUp();
    timeline.caller(frame(1), start + 20);
    const positions: number[] = [];
    for (let i = 0; i < 1_000; i++) positions.push(timeline.caller(frame(100 + i), start + 15_000));
    timeline.finish(start + 15_000);
    const heard = track('caller').filter((sample) => sample >= 100);
    expect(heard).toEqual(Array.from({ length: 1_000 }, (_, i) => [...frame(100 + i)]).flat());
    // Back by four seconds, and from there on in order: ahead of its time, and no dearer than any other audio.
    expect(positions[200]! / 8).toBeLessThanOrEqual(15_000);
    expect(positions.at(-1)! / 8).toBeGreaterThan(15_000 + 15_000);
  });

  it('stores what is complete soon after a burst: no more than that waits in memory', () => {
    const { timeline, chunks } = setUp();
    // A chunk is a second; the line stands still from 700 ms to 950 ms.
    for (let i = 0; i < 70; i++) {
      const saidAt = start + (i + 1) * 20;
      const now = saidAt > start + 700 ? Math.max(saidAt, start + 950) : saidAt;
      timeline.caller(frame(i + 1), now);
      timeline.storeUntil(now);
      if (now >= start + 1180) break;
    }
    expect(chunks.map(({ index }) => index)).toEqual([0]);
  });

  it('moves nothing over what was said before, nor into what is stored', () => {
    const { timeline, track } = setUp();
    timeline.caller(frame(1, 1000), start + 1000);
    for (let i = 0; i < 40; i++) timeline.caller(frame(100 + i), start + 1300);
    timeline.finish(start + 2000);
    const caller = track('caller');
    expect(caller.slice(0, 8 * 1000)).toEqual([...frame(1, 1000)]);
    expect(caller.slice(8 * 1000, 8 * 1800)).toEqual(
      Array.from({ length: 40 }, (_, i) => [...frame(100 + i)]).flat(),
    );
  });

  it('queues audio that comes faster than real time, in order, and says how far it is ahead', () => {
    const { timeline, track } = setUp();
    for (let i = 0; i < 100; i++) timeline.caller(frame(i + 1), start + 20);
    expect(timeline.callerAheadMs(start + 20)).toBe(1980);
    timeline.finish(start + 100);
    expect(track('caller').length).toBe(2000 * 8);
    expect(track('caller')[1999 * 8]).toBe(100);
  });

  it('places the agent where it was heard, beside the caller', () => {
    const { timeline, track } = setUp();
    timeline.caller(frame(1, 1000), start + 1000);
    timeline.agent(frame(7, 100), start + 950);
    timeline.finish(start + 2500);
    const agent = track('agent');
    expect(agent[950 * 8 - 1]).toBe(0);
    expect(agent[950 * 8]).toBe(7);
    expect(agent[1050 * 8 - 1]).toBe(7);
    expect(agent[1050 * 8]).toBe(0);
    expect(agent.length).toBe(2500 * 8);
  });

  it('hands out each chunk once, in order, when nothing more can belong to it', () => {
    const { timeline, chunks } = setUp();
    timeline.caller(frame(1, 900), start + 900);
    timeline.storeUntil(start + 1100);
    expect(chunks).toEqual([]);
    timeline.caller(frame(2, 200), start + 1100);
    timeline.storeUntil(start + 1100);
    expect(chunks.map((chunk) => chunk.index)).toEqual([0]);
    timeline.storeUntil(start + 4300);
    expect(chunks.map((chunk) => chunk.index)).toEqual([0, 1, 2]);
    timeline.finish(start + 4500);
    expect(chunks.map((chunk) => [chunk.index, chunk.length])).toEqual([
      [0, 8000],
      [1, 8000],
      [2, 8000],
      [3, 8000],
      [4, 4000],
    ]);
    expect(chunks[2]?.caller).toBeNull();
  });

  it('hands out tracks with nothing of an earlier chunk in them, where the earlier ones are free again', () => {
    const heard: { caller: number[]; agent: number[] | null }[] = [];
    const arrays = new Set<ArrayBufferLike>();
    const timeline = new RecordingTimeline({
      sampleRate: 8000,
      startTime: start,
      chunkMs: 1000,
      store: ({ caller, agent }) => {
        heard.push({ caller: [...caller!], agent: agent && [...agent] });
        arrays.add(caller!.buffer);
        return true;
      },
    });
    for (let second = 0; second < 6; second++) {
      // Half of each second: the rest of it is nobody's.
      timeline.caller(frame(second + 1, 500), start + second * 1000 + 500);
      if (second === 0) timeline.agent(frame(99, 500), start);
      timeline.storeUntil(start + second * 1000);
    }
    timeline.finish(start + 6000);
    expect(heard.map(({ caller }) => caller)).toEqual(
      heard.map((_, second) => [...frame(second + 1, 500), ...frame(0, 500)]),
    );
    expect(heard.map(({ agent }) => agent?.[0] ?? null)).toEqual([99, null, null, null, null, null]);
    expect(arrays.size).toBeLessThan(6);
  });

  it('#19 recording channels drift apart: keeps both sides aligned to the sample over an hour', () => {
    const starts = new Map<number, number>();
    const timeline = new RecordingTimeline({
      sampleRate: 8000,
      startTime: start,
      chunkMs: 2000,
      store: ({ index, caller, agent }) => {
        const at = caller?.findIndex((sample) => sample !== 0) ?? -1;
        if (at >= 0) starts.set(index * 16000 + at, index * 16000 + (agent?.findIndex((s) => s !== 0) ?? -1));
        return true;
      },
    });
    for (let minute = 0; minute < 60; minute++) {
      const at = start + minute * 60_000 + 10_000;
      timeline.caller(frame(1), at + 20);
      timeline.agent(frame(2), at);
      timeline.storeUntil(at + 20_000);
    }
    timeline.finish(start + 3_600_000);
    expect(starts.size).toBe(60);
    for (const [caller, agent] of starts) expect(agent).toBe(caller);
  });
});
