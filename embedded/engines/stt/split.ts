/** Samples over which quietness is measured: 60 ms at 16 kHz, longer than a plosive's closure. */
const quietSpan = 960;
const quietStep = 160;

/**
 * Cuts audio into pieces of at most `longest` samples, each at the quietest point in the last third of the piece: a
 * word cut in two is lost twice. Views of the same memory.
 */
export function splitAtQuiet(samples: Int16Array, longest: number): Int16Array[] {
  const pieces: Int16Array[] = [];
  let start = 0;
  while (samples.length - start > longest) {
    const cut = quietest(samples, start + Math.floor((longest * 2) / 3), start + longest);
    pieces.push(samples.subarray(start, cut));
    start = cut;
  }
  pieces.push(samples.subarray(start));
  return pieces;
}

/** The middle of the quietest 60 ms between two positions, or the later position if they are closer than that. */
function quietest(samples: Int16Array, from: number, to: number): number {
  let best = to;
  let least = Number.POSITIVE_INFINITY;
  for (let at = from; at + quietSpan <= to; at += quietStep) {
    let energy = 0;
    for (let i = at; i < at + quietSpan; i++) energy += samples[i]! * samples[i]!;
    if (energy < least) {
      least = energy;
      best = at + quietSpan / 2;
    }
  }
  return best;
}
