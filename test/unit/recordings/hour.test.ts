import { expect, it } from 'vitest';
import { RecordingTimeline } from '../../../src/call/recording-timeline.ts';
import { blockSamples, type Spool, spooledAudio } from '../../../src/durable/recordings/spooled-audio.ts';

/** Where the samples that are not silent lie. */
function clicksIn(samples: Int16Array | null): number[] {
  const found: number[] = [];
  for (let at = 0; at < (samples?.length ?? 0); at++) if (samples![at] !== 0) found.push(at);
  return found;
}

it('of an hour with jitter and a lost line, both channels are aligned to a frame, and little is held', () => {
  const startTime = 1_700_000_000_000;
  const seconds = 3_600;
  const clickEvery = 10;
  const stored: { caller: number[]; agent: number[]; length: number }[] = [];
  let held = 0;
  const timeline = new RecordingTimeline({
    sampleRate: 8000,
    startTime,
    chunkMs: 2_000,
    store: ({ index, length, caller, agent }) => {
      expect(index).toBe(stored.length);
      stored.push({ length, caller: clicksIn(caller), agent: clicksIn(agent) });
      return true;
    },
  });
  const silent = new Int16Array(160);
  const click = Int16Array.of(9_000, ...new Int16Array(159));
  let jitter = 1;
  for (let frame = 0; frame < seconds * 50; frame++) {
    const at = startTime + frame * 20;
    const clicks = frame % (clickEvery * 50) === 0;
    // Both click at the same moment: the agent's is heard then, the caller's arrives when the frame is over.
    if (clicks) timeline.agent(click, at);
    jitter = (jitter * 1_103_515_245 + 12_345) % 2 ** 31;
    const arrival = at + 20 + (jitter % 16);
    // The line is lost for 7 s in the middle.
    const lost = frame > 90_010 && frame <= 90_360;
    if (!lost) timeline.caller(clicks ? click : silent, arrival);
    if (frame % 100 === 0) timeline.storeUntil(arrival);
    held = Math.max(held, (frame + 1) * 160 - stored.length * timeline.chunkSamples);
  }
  timeline.finish(startTime + seconds * 1_000);

  // At most three chunks wait: the one that is filled, and what may still be changed.
  expect(held).toBeLessThanOrEqual(3 * timeline.chunkSamples);
  const spool: Spool = {
    audioExtent: (chunkSamples) => ({
      chunks: stored.length,
      samples: (stored.length - 1) * chunkSamples + stored.at(-1)!.length,
    }),
    audioChunk(index) {
      const { length, caller, agent } = stored[index]!;
      const side = (clicks: number[]) => {
        const samples = new Int16Array(length);
        for (const at of clicks) samples[at] = 9_000;
        return samples;
      };
      return { index, length, caller: side(caller), agent: agent.length === 0 ? null : side(agent) };
    },
  };
  const heard: [number[], number[]] = [[], []];
  let samples = 0;
  for (const block of spooledAudio(spool, { sampleRate: 8000, chunkSamples: timeline.chunkSamples }, 2)) {
    expect(block.length).toBeLessThanOrEqual(2 * blockSamples);
    for (const at of clicksIn(block)) heard[at % 2]!.push(samples + (at >> 1));
    samples += block.length / 2;
  }
  // To the end of the call; a frame that came late may lie behind it.
  expect(samples - seconds * 8000).toBeGreaterThanOrEqual(0);
  expect(samples - seconds * 8000).toBeLessThanOrEqual(160);
  const [caller, agent] = heard;
  expect(agent).toEqual(Array.from({ length: seconds / clickEvery }, (_, i) => i * clickEvery * 8000));
  expect(caller.length).toBe(agent.length);
  const apart = agent.map((at, i) => Math.abs(caller[i]! - at));
  expect(Math.max(...apart)).toBeLessThanOrEqual(160);
}, 20_000);
