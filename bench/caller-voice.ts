/** One period's fundamental: whole periods at 8 and at 16 kHz. */
const FUNDAMENTAL_HZ = 160;
const SYLLABLE_MS = 200;

/**
 * Something that voice activity detectors take for voice: harmonics under a formant, louder and quieter by syllables. Its first
 * sample and its last one are loud, so that it is known to the sample when the caller falls silent.
 */
export function voice(sampleRate: number, ms: number): Int16Array {
  return Int16Array.from({ length: (sampleRate / 1000) * ms }, (_, i) => {
    const t = i / sampleRate;
    const syllable = 0.6 + 0.4 * Math.cos((2 * Math.PI * t * 1000) / SYLLABLE_MS);
    let value = 0;
    for (let h = 1; h * FUNDAMENTAL_HZ < 3_400; h++) {
      const formant = 1 + Math.abs(h * FUNDAMENTAL_HZ - 700) / 400;
      value += Math.sin(2 * Math.PI * FUNDAMENTAL_HZ * h * t) / formant;
    }
    return Math.round(value * syllable * 2_500);
  });
}

/** A line on which nobody speaks. */
export function quiet(sampleRate: number, ms: number): Int16Array {
  return Int16Array.from({ length: (sampleRate / 1000) * ms }, (_, i) => Math.round(40 * Math.sin(i * i)));
}
