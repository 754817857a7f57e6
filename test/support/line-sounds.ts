import { decodeMulaw, encodeMulaw } from '../../src/audio/g711.ts';

/** Rate of everything here, in Hz. */
export const lineRate = 8000;

/** What a telephone line carries beside speech: made by rule, always the same, through μ-law and back. */
export interface LineSound {
  name: string;
  /** 16-bit, at {@link lineRate}. `dbm0`: the level of a lone tone of it. */
  samples(dbm0?: number): Int16Array;
}

/** Amplitude at a time in seconds from the sound's start, where 1 is the amplitude of a lone tone at the sound's level. */
export type Wave = (seconds: number) => number;

/** Peak of a sine of 0 dBm0: G.711's full scale is 3.17 dB above it (ITU-T G.711, table 5 for μ-law). */
const zeroDbm0 = 32_124 * 10 ** (-3.17 / 20);

/** Noise of an idle line; ITU-T G.712 allows a channel −65 dBm0. */
const idleNoiseDbm0 = -65;

/** A wave as a line carries it: between stretches of idle noise, at a level of the lone tone. */
export function onLine(wave: Wave, seconds: number, dbm0 = -13, idleSeconds = 0.6): Int16Array {
  const level = zeroDbm0 * 10 ** (dbm0 / 20);
  const noise = zeroDbm0 * 10 ** (idleNoiseDbm0 / 20);
  const random = randomNumbers(7);
  const idle = Math.round(idleSeconds * lineRate);
  const length = Math.round(seconds * lineRate);
  const samples = Int16Array.from({ length: idle + length + idle }, (_, i) => {
    const within = i >= idle && i < idle + length;
    const value = (within ? level * wave((i - idle) / lineRate) : 0) + noise * gaussian(random);
    return Math.round(Math.max(-32_768, Math.min(32_767, value)));
  });
  return decodeMulaw(encodeMulaw(samples));
}

/** Tones that signal something to a machine or a caller, with the cadences of their standards, by default at −13 dBm0. */
export function signallingTones(): LineSound[] {
  const sound = (name: string, wave: Wave, seconds: number): LineSound => ({
    name,
    samples: (dbm0) => onLine(wave, seconds, dbm0),
  });
  return [
    // ITU-T T.30: 0.5 s on, 3 s off.
    sound('fax CNG', cadence(tone(1100), 0.5, 3), 11),
    // ITU-T T.30 and V.25: 2.6 to 4 s; V.8's answer turns the phase every 450 ms.
    sound('fax CED', tone(2100), 3),
    sound('fax CED with phase reversals', reversing(2100, 0.45), 3),
    sound('modem ANSam', (t) => reversing(2100, 0.45)(t) * (1 + 0.2 * Math.sin(2 * Math.PI * 15 * t)), 3),
    // ITU-T V.21: flags of HDLC (01111110) at 300 bit/s, by the caller and by the answerer.
    sound('V.21 preamble, channel 1', frequencyShift(1180, 980, flags), 1.5),
    sound('V.21 preamble, channel 2', frequencyShift(1850, 1650, flags), 1.5),
    sound('V.21 data, channel 2', frequencyShift(1850, 1650, randomBits(11)), 2.5),
    // ANSI T1.401 and EIA-464; ITU-T E.180 supplement 2.
    sound('ringback, US', cadence(tones(440, 480), 2, 4), 14),
    sound('ringback, UK', (t) => (t % 3 < 1 && (t % 3) % 0.6 < 0.4 ? tones(400, 450)(t) : 0), 9),
    sound('ringback, EU', cadence(tone(425), 1, 4), 11),
    sound('busy, US', cadence(tones(480, 620), 0.5, 0.5), 5),
    sound('busy, EU', cadence(tone(425), 0.5, 0.5), 5),
    sound('congestion, US', cadence(tones(480, 620), 0.25, 0.25), 4),
    sound('congestion, EU', cadence(tone(425), 0.25, 0.25), 4),
    sound('dial tone, US', tones(350, 440), 4),
    sound('dial tone, EU', tone(425), 4),
    sound('dial tone, stutter', (t) => (t > 1 || t % 0.2 < 0.1 ? tones(350, 440)(t) : 0), 3),
    // ITU-T E.180: three rising tones before an announcement.
    sound('special information tone', (t) => specialInformation(t % 2), 6),
    sound('howler, US', (t) => (t % 0.2 < 0.1 ? tones(1400, 2060, 2450, 2600)(t) : 0), 3),
    // ITU-T Q.23 and Q.24, whose shortest pulse and pause are 40 ms.
    ...['1', '5', '9', '0', '#', 'D'].map((key) =>
      sound(`DTMF ${key}`, cadence(tones(...dtmf(key)), 0.1, 0.1), 2),
    ),
    sound('DTMF 5 held down', tones(...dtmf('5')), 2),
    sound('DTMF dialling', (t) => keyed('8005551234', t, 0.15), 1.5),
    sound('DTMF dialling, as fast as allowed', (t) => keyed('8005551234', t, 0.08), 1),
    sound('answering machine beep', tone(1000), 0.5),
    sound('answering machine beep, long', tone(440), 1.2),
    sound('answering machine beep, high', tone(1400), 0.35),
    sound('conference chime', (t) => chime(t, 880) + chime(t - 0.25, 660), 1),
  ];
}

/** Noise and hum of a line, up to levels that callers complain of. */
export function lineNoise(): LineSound[] {
  const random = randomNumbers(3);
  const white = () => gaussian(random) / Math.SQRT2;
  let low = 0;
  // A pole at 0.9 leaves the spectrum of a room or of CN frames (RFC 3389): falling with frequency.
  const brown = () => {
    low = 0.9 * low + 0.44 * white();
    return low;
  };
  return [
    { name: 'silence', samples: () => new Int16Array(3 * lineRate) },
    ...[-60, -50, -40].map((level) => ({
      name: `comfort noise, ${level} dBm0`,
      samples: (dbm0 = level) => onLine(brown, 4, dbm0, 0.2),
    })),
    { name: 'white noise, -45 dBm0', samples: (dbm0 = -45) => onLine(white, 4, dbm0, 0.2) },
    ...[50, 60].map((hertz) => ({
      name: `hum of ${hertz} Hz`,
      samples: (dbm0 = -40) => onLine(hum(hertz), 4, dbm0),
    })),
  ];
}

/** Mains as loud as speech. */
export function loudHum(): LineSound[] {
  return [50, 60].map((hertz) => ({
    name: `loud hum of ${hertz} Hz`,
    samples: (dbm0 = -25) => onLine(hum(hertz), 4, dbm0),
  }));
}

// --- tones -----------------------------------------------------------------------------------------------------

export function tone(hertz: number): Wave {
  return (t) => Math.sin(2 * Math.PI * hertz * t);
}

/** Several at once, each 6 dB below a lone one, as in EIA-464. */
export function tones(...hertz: number[]): Wave {
  return (t) => hertz.reduce((sum, f) => sum + 0.5 * Math.sin(2 * Math.PI * f * t), 0);
}

export function cadence(wave: Wave, on: number, off: number): Wave {
  return (t) => (t % (on + off) < on ? wave(t) : 0);
}

function reversing(hertz: number, every: number): Wave {
  return (t) => (Math.floor(t / every) % 2 === 0 ? 1 : -1) * Math.sin(2 * Math.PI * hertz * t);
}

const flags = (bit: number) => (bit % 8 === 0 || bit % 8 === 7 ? 0 : 1);

function randomBits(seed: number): (bit: number) => number {
  const random = randomNumbers(seed);
  const bits = Uint8Array.from({ length: 4096 }, () => (random() < 0.5 ? 0 : 1));
  return (bit) => bits[bit % bits.length]!;
}

/** Binary FSK at 300 bit/s, with a phase that does not jump. */
function frequencyShift(zero: number, one: number, bits: (bit: number) => number): Wave {
  const rate = 300;
  // Cycles before each bit.
  const phases = [0];
  return (t) => {
    const bit = Math.floor(t * rate);
    for (let i = phases.length - 1; i < bit; i++)
      phases.push(phases[i]! + (bits(i) === 1 ? one : zero) / rate);
    const hertz = bits(bit) === 1 ? one : zero;
    return Math.sin(2 * Math.PI * (phases[bit]! + hertz * (t - bit / rate)));
  };
}

function specialInformation(t: number): number {
  const step = Math.floor(t / 0.33);
  return step < 3 ? Math.sin(2 * Math.PI * [950, 1400, 1800][step]! * t) : 0;
}

/** ITU-T Q.23. */
function dtmf(key: string): [number, number] {
  const at = ['123A', '456B', '789C', '*0#D'].findIndex((row) => row.includes(key));
  const row = ['123A', '456B', '789C', '*0#D'][at]!;
  return [[697, 770, 852, 941][at]!, [1209, 1336, 1477, 1633][row.indexOf(key)]!];
}

/** A key every so many seconds, held for half of them. */
function keyed(keys: string, t: number, every: number): number {
  const key = keys[Math.floor(t / every)];
  return key !== undefined && t % every < every / 2 ? tones(...dtmf(key))(t) : 0;
}

function chime(t: number, hertz: number): number {
  if (t < 0) return 0;
  return 0.7 * Math.exp(-4 * t) * Math.sin(2 * Math.PI * hertz * t);
}

/** Mains and its harmonics, as a bad ground leaves them. */
function hum(hertz: number): Wave {
  return (t) =>
    [1, 0.5, 0.6, 0.2, 0.3].reduce(
      (sum, gain, i) => sum + gain * Math.sin(2 * Math.PI * hertz * (i + 1) * t + i),
      0,
    ) / 1.6;
}

// --- chance ----------------------------------------------------------------------------------------------------

/** Numbers from 0 to 1, always the same for a seed (Park and Miller's generator). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Of standard deviation 1, by the sum of twelve (Irwin–Hall). */
export function gaussian(random: () => number): number {
  let sum = -6;
  for (let i = 0; i < 12; i++) sum += random();
  return sum;
}
