import { levelOf, similarity } from './voice.ts';

const FRAME = 160;
const PER_MS = 8;
/** Of one search for a stretch of sound, and how far the next one may lie off, in samples. */
const STRETCH = 25 * FRAME;
const WIDE = 2_000 * PER_MS;
const NEAR = 60 * PER_MS;
/** What the timeline takes for jitter (200 ms), and a little: a gap of the line moves what follows it by so much. */
const GAP = 260 * PER_MS;
/** A frame whose samples are this much like those that were on the line is that frame. */
const ALIKE = 0.7;
/** Below it there is nothing to compare. */
const AUDIBLE = 300;

/** How one side of the line stands in the recording. */
export interface SideCheck {
  /** Frames that were audible on the line, and where of them none is in the recording, in milliseconds of the line. */
  frames: number;
  missingMs: readonly number[];
  /** Where something else is in their place: a frame that the earpiece ran dry in, at best. */
  unlikeMs: readonly number[];
  /** By how much the recording lies after the line, from which place on. In milliseconds. */
  lags: readonly { atMs: number; lagMs: number }[];
}

/**
 * Looks for each audible frame of one side of the line in the recording, where it has to be.
 *
 * @param line what was on the line, 8 kHz. @param counts whether the frame at this millisecond of the line was on it at all.
 */
export function checkSide(
  line: Int16Array,
  recording: Int16Array,
  counts: (ms: number) => boolean,
): SideCheck {
  const [missingMs, unlikeMs]: [number[], number[]] = [[], []];
  let frames = 0;
  let lag: number | null = null;
  const lags: { atMs: number; lagMs: number }[] = [];
  for (let at = 0; at + STRETCH <= line.length; at += STRETCH) {
    const audible: number[] = [];
    for (let frame = at; frame < at + STRETCH; frame += FRAME) {
      if (counts(frame / PER_MS) && levelOf(line.subarray(frame, frame + FRAME)) >= AUDIBLE)
        audible.push(frame);
    }
    if (audible.length === 0) continue;
    frames += audible.length;
    const found = bestLag(line, recording, audible, lag);
    if (found !== null) {
      lag = found;
      lags.push({ atMs: at / PER_MS, lagMs: found / PER_MS });
    }
    for (const frame of audible) {
      if (lag !== null && isNear(line, recording, frame, lag)) continue;
      const there = recording.subarray(
        Math.max(0, frame + (lag ?? 0)),
        Math.max(0, frame + (lag ?? 0) + FRAME),
      );
      (levelOf(there) < AUDIBLE / 2 ? missingMs : unlikeMs).push(frame / PER_MS);
    }
  }
  return { frames, missingMs, unlikeMs, lags };
}

/** Within one stretch the line may have had a gap. */
function isNear(line: Int16Array, recording: Int16Array, frame: number, lag: number): boolean {
  if (similarity(line, recording, frame, frame + lag, FRAME) >= ALIKE) return true;
  for (let other = lag - GAP; other <= lag + GAP; other++) {
    if (similarity(line, recording, frame, frame + other, FRAME) >= ALIKE) return true;
  }
  return false;
}

/** Where the recording is most like these frames; null: nowhere. Near the last place first, since sides do not drift. */
function bestLag(
  line: Int16Array,
  recording: Int16Array,
  frames: readonly number[],
  last: number | null,
): number | null {
  const near = [(last ?? 0) - NEAR, (last ?? 0) + NEAR] as const;
  const ranges = last === null ? [[-WIDE, WIDE] as const] : [near, [-WIDE, WIDE] as const];
  const probe = frames[Math.floor(frames.length / 2)]!;
  for (const [from, to] of ranges) {
    let best = { lag: 0, like: 0 };
    for (let lag = from; lag <= to; lag++) {
      // A voice repeats itself with its pitch: where one frame fits, all of them tell which of the places it is.
      if (similarity(line, recording, probe, probe + lag, FRAME) < ALIKE) continue;
      const sum = frames.reduce((all, f) => all + similarity(line, recording, f, f + lag, FRAME), 0);
      if (sum / frames.length > best.like) best = { lag, like: sum / frames.length };
    }
    if (best.like >= ALIKE) return best.lag;
  }
  return null;
}
