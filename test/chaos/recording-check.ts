import { levelOf, similarity } from './voice.ts';

const FRAME = 160;
const PER_MS = 8;
/** Of one search for a stretch of sound, and how far the next one may lie off, in samples. */
const STRETCH = 25 * FRAME;
const WIDE = 2_000 * PER_MS;
const NEAR = 60 * PER_MS;
const EXACT = 2 * PER_MS;
/** Samples of digital silence that no voice has. */
const DRY = 2 * PER_MS;
/** What the timeline takes for jitter (200 ms), and a little: a gap of the line moves what follows it by so much. */
const GAP = 260 * PER_MS;
/** So many frames tell where they stand; fewer may stand anywhere, since a voice says the same words again. */
const LEAST_FRAMES = 8;
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
  const stretches: { at: number; frames: number[]; lag: number | null }[] = [];
  let lag: number | null = null;
  for (let at = 0; at + STRETCH <= line.length; at += STRETCH) {
    const frames: number[] = [];
    for (let frame = at; frame < at + STRETCH; frame += FRAME) {
      if (counts(frame / PER_MS) && levelOf(line.subarray(frame, frame + FRAME)) >= AUDIBLE)
        frames.push(frame);
    }
    if (frames.length === 0) continue;
    const found = bestLag(line, recording, frames, lag);
    lag = found ?? lag;
    stretches.push({ at, frames, lag: found });
  }
  const taken = new Uint8Array(recording.length);
  const take = (at: number | null) => at !== null && taken.fill(1, Math.max(0, at), at + FRAME);
  const left = stretches.flatMap((stretch, i) => {
    const places = placesAround(stretches, i);
    return stretch.frames.flatMap((frame) => {
      const found = exactPlace(line, recording, frame, places);
      take(found);
      return found === null ? [{ frame, place: places[0] ?? 0 }] : [];
    });
  });
  const [missingMs, unlikeMs]: [number[], number[]] = [[], []];
  for (const { frame, place } of left) {
    const found = freePlace(line, recording, frame, place, taken);
    take(found);
    if (found !== null || isDry(line, frame)) continue;
    const at = Math.max(0, frame + place);
    const there = recording.subarray(at, at + FRAME);
    (levelOf(there) < AUDIBLE / 2 ? missingMs : unlikeMs).push(frame / PER_MS);
  }
  const lags = stretches.flatMap(({ at, lag: found }) =>
    found === null ? [] : [{ atMs: at / PER_MS, lagMs: found / PER_MS }],
  );
  const frames = stretches.reduce((sum, stretch) => sum + stretch.frames.length, 0);
  return { frames, missingMs, unlikeMs, lags: withoutStrays(lags) };
}

/** Where a stretch may stand: as it was found, or where its neighbours were, since the line may have moved at either end of it. */
function placesAround(stretches: readonly { lag: number | null }[], i: number): number[] {
  const before = stretches.slice(0, i).findLast(({ lag }) => lag !== null);
  const after = stretches.slice(i + 1).find(({ lag }) => lag !== null);
  return [stretches[i]!, before, after].flatMap((other) => other?.lag ?? []);
}

/**
 * Without the places that neither of their neighbours agrees with, where those, or the two on the one side, agree with each other: the
 * same word, said before or after. What has moved stays where it is for more than one stretch.
 */
function withoutStrays(lags: SideCheck['lags']): SideCheck['lags'] {
  const agree = (i: number, j: number) =>
    lags[i] !== undefined && lags[j] !== undefined && Math.abs(lags[i].lagMs - lags[j].lagMs) <= GAP / PER_MS;
  return lags.filter((_, i) => {
    if (agree(i, i - 1) || agree(i, i + 1)) return true;
    const others = i === 0 ? [1, 2] : i === lags.length - 1 ? [i - 2, i - 1] : [i - 1, i + 1];
    return !agree(others[0]!, others[1]!);
  });
}

/** In its place to within less than a period of a voice: the frame beside it must not be taken for it. */
function exactPlace(
  line: Int16Array,
  recording: Int16Array,
  frame: number,
  places: readonly number[],
): number | null {
  for (const place of places) {
    for (let lag = place - EXACT; lag <= place + EXACT; lag++) {
      if (similarity(line, recording, frame, frame + lag, FRAME) >= ALIKE) return frame + lag;
    }
  }
  return null;
}

/** The earpiece ran dry within it, or had just had more: no recording has such a frame. */
function isDry(line: Int16Array, frame: number): boolean {
  for (let from = frame; from <= frame + FRAME - DRY; from++) {
    if (line.subarray(from, from + DRY).every((sample) => sample === 0)) return true;
  }
  return false;
}

/** Within one stretch the line may have had a gap: not far away, where no other frame stands. */
function freePlace(
  line: Int16Array,
  recording: Int16Array,
  frame: number,
  place: number,
  taken: Uint8Array,
): number | null {
  for (let at = Math.max(0, frame + place - GAP); at <= frame + place + GAP; at++) {
    if (taken[at + FRAME / 4] === 1 || taken[at + (3 * FRAME) / 4] === 1) continue;
    if (similarity(line, recording, frame, at, FRAME) >= ALIKE) return at;
  }
  return null;
}

/** Where the recording is most like these frames; null: nowhere. Near the last place first, since sides do not drift. */
function bestLag(
  line: Int16Array,
  recording: Int16Array,
  frames: readonly number[],
  last: number | null,
): number | null {
  const around = (by: number) => [(last ?? 0) - by, (last ?? 0) + by] as const;
  const close = last === null ? [] : [around(NEAR), around(GAP)];
  const ranges = frames.length < LEAST_FRAMES ? close : [...close, [-WIDE, WIDE] as const];
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
