/** Length over which loudness is judged, in milliseconds: shorter than the gap between two words. */
const frameMs = 20;

/** Step between the places considered, in milliseconds. */
const stepMs = 10;

/**
 * Where to cut a window of speech in two, in samples from its start: the middle of its quietest 20 ms in its second
 * half, where a cut is least likely to fall into a word. Of equally quiet places the last, so that the window is as
 * long as it can be.
 *
 * @param samples one window, 16-bit PCM.
 * @param sampleRate in Hz.
 */
export function quietestCut(samples: Int16Array, sampleRate: number): number {
  const frame = Math.max(1, Math.round((sampleRate * frameMs) / 1000));
  const step = Math.max(1, Math.round((sampleRate * stepMs) / 1000));
  const from = Math.floor(samples.length / 2);
  let best = samples.length;
  let least = Number.POSITIVE_INFINITY;
  for (let start = from; start + frame <= samples.length; start += step) {
    const energy = energyOf(samples, start, frame);
    if (energy <= least) {
      least = energy;
      best = start + (frame >> 1);
    }
  }
  return best;
}

/**
 * Whether nothing in a window is loud enough to be speech. Transcribers invent words ("Thank you.") for silence, and
 * the tail after the last cut may hold nothing else.
 */
export function isSilent(samples: Int16Array, sampleRate: number): boolean {
  const frame = Math.max(1, Math.round((sampleRate * frameMs) / 1000));
  for (let start = 0; start < samples.length; start += frame) {
    const length = Math.min(frame, samples.length - start);
    if (energyOf(samples, start, length) > silenceRms ** 2 * length) return false;
  }
  return true;
}

/** −60 dB of full scale: below the noise of any telephone line, let alone speech on it. */
const silenceRms = 32;

function energyOf(samples: Int16Array, start: number, length: number): number {
  let energy = 0;
  for (let i = start; i < start + length; i++) energy += samples[i]! ** 2;
  return energy;
}
