/** A stretch of samples; `end` is the first one after it. */
export interface Span {
  start: number;
  end: number;
}

/** Length of the blocks that are judged, in milliseconds. */
const BLOCK_MS = 10;
/** Speech lies within 40 dB of the recording's loudest block; what is quieter is the room, or an encoder's hiss. */
const BELOW_PEAK = 0.01;
/** Root mean square below which nothing is speech, of 32768. */
const QUIETEST = 30;
/** In a recording with a noise of its own, speech stands 10 dB above its quietest tenth. */
const ABOVE_FLOOR = 10 ** (10 / 20);
/** A floor above this below the peak is no noise: a recording cut tightly has no quiet tenth. */
const HIGHEST_FLOOR = 10 ** (-25 / 20);
/** Voice is at least so many blocks in a row: a click is none. */
const LEAST_BLOCKS = 3;

/**
 * Where there is voice in a clean recording, by the level of each 10 ms, with gaps shorter than `gapMs` closed. It is the label that
 * the detector under test is measured by, so it knows nothing of it. Pure.
 */
export function voicedSpans(samples: Int16Array, sampleRate: number, gapMs: number): Span[] {
  const block = (sampleRate * BLOCK_MS) / 1000;
  const levels: number[] = [];
  for (let at = 0; at + block <= samples.length; at += block) {
    let sum = 0;
    for (let i = at; i < at + block; i++) sum += samples[i]! ** 2;
    levels.push(Math.sqrt(sum / block));
  }
  const peak = Math.max(0, ...levels);
  const floor = levels.toSorted((a, b) => a - b)[Math.floor(levels.length / 10)] ?? 0;
  const noise = Math.min(floor * ABOVE_FLOOR, peak * HIGHEST_FLOOR);
  const threshold = Math.max(QUIETEST, peak * BELOW_PEAK, noise);
  const runs: Span[] = [];
  levels.forEach((level, i) => {
    if (level < threshold) return;
    const last = runs.at(-1);
    if (last?.end === i) last.end++;
    else runs.push({ start: i, end: i + 1 });
  });
  const spans: Span[] = [];
  for (const { start, end } of runs.filter((run) => run.end - run.start >= LEAST_BLOCKS)) {
    const last = spans.at(-1);
    if (last !== undefined && (start - last.end) * BLOCK_MS < gapMs) last.end = end;
    else spans.push({ start, end });
  }
  return spans.map(({ start, end }) => ({ start: start * block, end: end * block }));
}

/** From the first voiced sample to the last; null where there is none. */
export function voicedSpan(samples: Int16Array, sampleRate: number): Span | null {
  return voicedSpans(samples, sampleRate, Number.POSITIVE_INFINITY)[0] ?? null;
}
