import { wavToMono } from '../../src/audio/wav.ts';
import { joined } from '../../tools/caller/audio.ts';

/** Fundamentals, in Hz, each a digit to the base 4: far enough from each other for any codec of the telephone. */
const PITCHES = [110, 140, 180, 230] as const;
const DIGITS = 5;
const CHECK_DIGITS = 2;
const SYLLABLES = DIGITS + CHECK_DIGITS;
/** Milliseconds. The first syllable is the long one: where it stands, a sentence begins. */
const LONG_MS = 300;
const SHORT_MS = 110;
const GAP_MS = 50;
const RATE = 8000;

/** What a transcriber made of a piece of audio: the numbers of whole sentences, and how many were no more than a part of one. */
export interface Heard {
  numbers: number[];
  cut: number;
}

/** Numbers that can be said: from 0. */
export const mostNumber = 4 ** DIGITS - 1;

/**
 * A sentence that says nothing but its number, as something that voice activity detectors take for voice: a long syllable, then one for
 * each digit, then two that tell whether all was understood. 8 kHz.
 */
export function sayNumber(number: number): Int16Array {
  if (!Number.isInteger(number) || number < 0 || number > mostNumber)
    throw new RangeError(`0 to ${mostNumber}`);
  const pieces = [
    syllable(PITCHES[1], LONG_MS),
    ...digitsOf(number).map((d) => syllable(PITCHES[d]!, SHORT_MS)),
  ];
  return joined(pieces.flatMap((piece) => [piece, new Int16Array((GAP_MS * RATE) / 1000)]));
}

/** Something like a voice for any text, a waveform of its own for each, at a speaker's pace. */
export function sayText(text: string, sampleRate: number): Int16Array {
  let seed = [...text].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0, 7);
  const syllables = Math.max(2, Math.round(text.length / 3.5));
  const pieces: Int16Array[] = [];
  for (let i = 0; i < syllables; i++) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    pieces.push(syllable(100 + (seed >>> 24), 200, sampleRate));
  }
  return joined(pieces);
}

/** Reads back what `sayNumber` said, out of a WAV file with any silence or other sentences around it. */
export function hearNumbers(wav: Uint8Array): Heard {
  const { samples, sampleRate } = wavToMono(wav);
  if (sampleRate !== RATE) throw new RangeError(`${sampleRate} Hz`);
  const heard: Heard = { numbers: [], cut: 0 };
  let digits: number[] | null = null;
  const finish = () => {
    if (digits === null) return;
    const number = numberOf(digits);
    if (number === null) heard.cut += 1;
    else heard.numbers.push(number);
    digits = null;
  };
  for (const { start, end } of soundsIn(samples)) {
    if (((end - start) * 1000) / RATE > (LONG_MS + SHORT_MS) / 2) {
      finish();
      digits = [];
    } else {
      digits ??= [];
      digits.push(digitAt(samples.subarray(start, end)));
    }
  }
  finish();
  return heard;
}

function digitsOf(number: number): number[] {
  const digits = Array.from({ length: DIGITS }, (_, i) => Math.floor(number / 4 ** i) % 4);
  return [...digits, ...checksOf(digits)];
}

function checksOf(digits: readonly number[]): number[] {
  const sum = digits.reduce((total, digit, i) => total + digit * (2 * i + 3), 5) % 16;
  return [sum % 4, Math.floor(sum / 4)];
}

/** Null: not a whole sentence. */
function numberOf(digits: readonly number[]): number | null {
  if (digits.length !== SYLLABLES) return null;
  const said = digits.slice(0, DIGITS);
  if (checksOf(said).some((check, i) => check !== digits[DIGITS + i])) return null;
  return said.reduce((sum, digit, i) => sum + digit * 4 ** i, 0);
}

function syllable(hz: number, ms: number, sampleRate = RATE): Int16Array {
  const length = Math.round((ms * sampleRate) / 1000);
  const edge = sampleRate / 200;
  return Int16Array.from({ length }, (_, i) => {
    let value = 0;
    for (let h = 1; h * hz < 3_400; h++) {
      const formant = 1 + Math.abs(h * hz - 700) / 400;
      value += Math.sin((2 * Math.PI * hz * h * i) / sampleRate) / formant;
    }
    return Math.round(value * Math.min(1, i / edge, (length - 1 - i) / edge) * 2_200);
  });
}

/** Stretches of sound, by the level of each 10 ms; shorter ones than 40 ms are none. */
function soundsIn(samples: Int16Array): { start: number; end: number }[] {
  const block = RATE / 100;
  const levels: number[] = [];
  for (let at = 0; at + block <= samples.length; at += block)
    levels.push(levelOf(samples.subarray(at, at + block)));
  const threshold = Math.max(200, Math.max(0, ...levels) * 0.2);
  const sounds: { start: number; end: number }[] = [];
  let from: number | null = null;
  for (let i = 0; i <= levels.length; i++) {
    const loud = i < levels.length && levels[i]! >= threshold;
    if (loud) from ??= i;
    else if (from !== null) {
      if (i - from >= 4) sounds.push({ start: from * block, end: i * block });
      from = null;
    }
  }
  return sounds;
}

/** The pitch with whose period the sound repeats best. */
function digitAt(samples: Int16Array): number {
  const scores = PITCHES.map((hz) => {
    const lags = [Math.floor(RATE / hz), Math.ceil(RATE / hz)];
    return Math.max(...lags.map((lag) => similarity(samples, samples, lag, 0, samples.length - lag)));
  });
  return scores.indexOf(Math.max(...scores));
}

/** Root mean square. */
export function levelOf(samples: Int16Array): number {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, samples.length));
}

/** Normalised correlation of `length` samples of `a` from `aFrom` on with those of `b` from `bFrom` on: 1 where they are alike. */
export function similarity(
  a: Int16Array,
  b: Int16Array,
  aFrom: number,
  bFrom: number,
  length: number,
): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < length; i++) {
    const [x, y] = [a[aFrom + i] ?? 0, b[bFrom + i] ?? 0];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb);
}
