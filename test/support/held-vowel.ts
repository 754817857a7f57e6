import { gaussian, lineRate, onLine, randomNumbers } from './line-sounds.ts';

/** Formants of vowels and of a closed mouth, in Hz with their bandwidths: Peterson and Barney's for women, and [m]'s. */
const formants: Record<string, readonly (readonly [number, number])[]> = {
  ah: [
    [850, 90],
    [1220, 110],
    [2810, 170],
  ],
  ee: [
    [310, 60],
    [2790, 100],
    [3310, 170],
  ],
  oo: [
    [370, 60],
    [950, 90],
    [2670, 140],
  ],
  oh: [
    [590, 80],
    [920, 90],
    [2710, 150],
  ],
  er: [
    [500, 70],
    [1640, 100],
    [1960, 140],
  ],
  mm: [
    [280, 60],
    [1100, 200],
    [2100, 200],
  ],
};

/**
 * A vowel held on one note, or hummed: what of all speech most resembles a tone. The pitch wanders by half a per cent, as
 * a steady voice's does.
 *
 * @param vibrato share of the pitch by which it swings, at 5.5 Hz; singers' 0.03.
 */
export function heldVowel(vowel: string, hertz: number, vibrato = 0, dbm0 = -16): Int16Array {
  const resonances = formants[vowel];
  if (resonances === undefined) throw new RangeError(`no vowel ${vowel}`);
  const gainAt = (f: number) =>
    resonances.reduce((gain, [centre, width], i) => {
      const relative = f / centre;
      // A second-order resonance; the higher ones weigh less, as the glottis leaves them.
      return gain + 0.6 ** i / Math.hypot(1 - relative ** 2, (width / centre) * relative);
    }, 0) / f;
  const random = randomNumbers(13);
  const breath = randomNumbers(17);
  let wander = 0;
  let phase = 0;
  const wave = (t: number) => {
    wander = 0.999 * wander + 0.00022 * gaussian(random);
    const pitch = hertz * (1 + wander + vibrato * Math.sin(2 * Math.PI * 5.5 * t));
    phase += pitch / lineRate;
    let sum = 0.01 * gaussian(breath);
    for (let h = 1; h * pitch < 3900; h++) sum += gains(h) * Math.sin(2 * Math.PI * h * phase);
    return sum;
  };
  const raw = Array.from({ length: 40 }, (_, h) => gainAt((h + 1) * hertz));
  const power = Math.sqrt(raw.reduce((sum, gain, h) => sum + ((h + 1) * hertz < 3900 ? gain ** 2 : 0), 0));
  const gains = (h: number) => (raw[h - 1] ?? 0) / power;
  return onLine(wave, 1.2, dbm0);
}

export const vowels: readonly string[] = Object.keys(formants);
