import { decodeMulaw, encodeMulaw } from '../../src/audio/g711.ts';
import { randomNumbers } from '../../test/support/line-sounds.ts';
import { joined } from '../../tools/caller/audio.ts';
import { activeLevel, type Clip, lineRate } from './clips.ts';
import type { Span } from './labels.ts';
import type { Group } from './speakers.ts';

/** A turn of a caller whom the agent listens to. */
export const turnKinds = ['as recorded', 'pause inside', 'pause between', 'dictated'] as const;
/** What comes over the agent's speech: the first is to stop it, the others are not. */
export const overlapKinds = ['interruption', 'backchannel', 'cry', 'cough', 'noise'] as const;
export type TurnKind = (typeof turnKinds)[number];
export type OverlapKind = (typeof overlapKinds)[number];

/** Ratio of speech to noise, in dB; Infinity: only the noise of an idle line. */
export const conditions = [Number.POSITIVE_INFINITY, 20, 10] as const;
export type Condition = (typeof conditions)[number];

/** What the noise is that of. */
export type NoiseKind = 'room' | 'voices';

/** One situation of a call, as it comes over the line, and what is true of it. */
export interface Scene {
  kind: TurnKind | OverlapKind;
  group: Group;
  speaker: string;
  snr: Condition;
  /** Null: only that of an idle line. */
  noise: NoiseKind | null;
  /** What the same line brought before: something that the caller has said. The detector knows it, and so the line. */
  before: Int16Array;
  /** At {@link lineRate}, through μ-law and back. */
  line: Int16Array;
  /** From the caller's first voiced sample to the last. */
  talk: Span;
  /** The pauses that were put inside, in milliseconds. */
  pausesMs: readonly number[];
}

/** Noise of an idle line; ITU-T G.712 allows a channel −65 dBm0, of which G.711's full scale is 3.17 dB away. */
const IDLE_LEVEL = 32_124 * 10 ** ((-65 - 3.17) / 20);
/** Before a turn, for the detector to learn the line. */
const LEAD_MS = 1_500;
/** After a turn: longer than the longest wait of any setting. */
const TAIL_MS = 6_000;
/** The caller comes in so long after the agent has begun. */
const OVERLAP_FROM_MS = [1_500, 4_000] as const;
const OVERLAP_TAIL_MS = 4_000;
/** Of what was said before no more is heard, and so much of the line around it. */
const EARLIER_MS = 5_000;
const AROUND_EARLIER_MS = 1_000;
/** Of a clip's edge, against clicks. */
const FADE_MS = 5;

/** Pauses inside turns, as the issue has them; those of a number that is dictated are the shorter ones among them. */
export const PAUSE_MS = [200, 2_500] as const;
export const DICTATION_PAUSE_MS = [200, 1_500] as const;

export type Random = () => number;

/** Always the same numbers for a name. */
export function randomFor(name: string): Random {
  // FNV-1a, 32 bits.
  let hash = 0x811c9dc5;
  for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
  const random = randomNumbers((hash % 2_147_483_646) + 1);
  // The first number of this generator is close to its seed.
  random();
  return random;
}

/** Between two bounds, as many in each octave: short pauses are frequent, long ones are not. */
export function logUniform([least, most]: readonly [number, number], random: Random): number {
  return least * (most / least) ** random();
}

/** A clip with pauses of `pausesMs` in place of its own, after the phrases `after`, in order. */
export function withPauses(clip: Clip, after: readonly number[], pausesMs: readonly number[]): Int16Array {
  const parts: Int16Array[] = [];
  let from = 0;
  after.forEach((phrase, i) => {
    parts.push(faded(clip.samples.subarray(from, clip.phrases[phrase]!.end)), silence(pausesMs[i]!));
    from = clip.phrases[phrase + 1]!.start;
  });
  return joined([...parts, faded(clip.samples.subarray(from))]);
}

/** Clips one after the other, with pauses between them. */
export function inOrder(clips: readonly Int16Array[], pausesMs: readonly number[]): Int16Array {
  return joined(
    clips.flatMap((clip, i) => (i === 0 ? [faded(clip)] : [silence(pausesMs[i - 1]!), faded(clip)])),
  );
}

/** Noise as long as is asked for, at any level. */
export interface Noise {
  kind: NoiseKind;
  samples(length: number): Float64Array;
}

export interface SceneOptions {
  kind: Scene['kind'];
  group: Group;
  speaker: string;
  snr: Condition;
  pausesMs?: readonly number[];
  /** Something else that the caller has said before. */
  earlier: Int16Array;
  noise: Noise;
  random: Random;
}

/** What is said as it comes over a telephone line. */
export function sceneOf(said: Int16Array, options: SceneOptions): Scene {
  const over = overlapKinds.some((known) => known === options.kind);
  const [earliest, latest] = OVERLAP_FROM_MS;
  const start = ms(over ? earliest + (latest - earliest) * options.random() : LEAD_MS);
  const line = new Float64Array(start + said.length + ms(over ? OVERLAP_TAIL_MS : TAIL_MS));
  line.set(said, start);
  return onLine(line, { start, end: start + said.length }, activeLevel(said), options);
}

/** Nobody speaks; there is noise as loud as under the caller's earlier speech. */
export function noiseScene(seconds: number, options: SceneOptions): Scene {
  const line = new Float64Array(ms(seconds * 1_000));
  return onLine(line, { start: 0, end: line.length }, activeLevel(options.earlier), options);
}

function onLine(scene: Float64Array, talk: Span, speechLevel: number, options: SceneOptions): Scene {
  const { kind, group, speaker, snr, pausesMs = [], earlier, noise, random } = options;
  const heard = earlier.subarray(0, ms(EARLIER_MS));
  const before = ms(AROUND_EARLIER_MS) * 2 + heard.length;
  const line = new Float64Array(before + scene.length);
  line.set(heard, ms(AROUND_EARLIER_MS));
  line.set(scene, before);
  addNoise(line, Number.isFinite(snr) ? speechLevel / 10 ** (snr / 20) : 0, noise, random);
  const samples = telephone(line);
  return {
    kind,
    group,
    speaker,
    snr,
    noise: Number.isFinite(snr) ? noise.kind : null,
    before: samples.subarray(0, before),
    line: samples.subarray(before),
    talk,
    pausesMs,
  };
}

function addNoise(line: Float64Array, level: number, noise: Noise, random: Random): void {
  const sound = level === 0 ? null : noise.samples(line.length);
  const gain = sound === null ? 0 : level / rootMeanSquare(sound);
  for (let i = 0; i < line.length; i++) {
    line[i] = line[i]! + IDLE_LEVEL * white(random) + (sound === null ? 0 : gain * sound[i]!);
  }
}

function telephone(line: Float64Array): Int16Array {
  const samples = Int16Array.from(line, (value) => Math.round(Math.max(-32_768, Math.min(32_767, value))));
  return decodeMulaw(encodeMulaw(samples));
}

/** Noise that falls with frequency, as that of a room: a pole at 0.9. */
export function roomNoise(random: Random): Noise {
  return {
    kind: 'room',
    samples(length) {
      let low = 0;
      return Float64Array.from({ length }, () => {
        low = 0.9 * low + white(random);
        return low;
      });
    },
  };
}

/** Voices in the background: as many at once as cannot be told apart. */
const VOICES = 6;

/** Each of {@link VOICES} says one of the clips after the other, beginning somewhere. */
export function voicesNoise(clips: readonly Clip[], random: Random): Noise {
  return {
    kind: 'voices',
    samples(length) {
      const sum = new Float64Array(length);
      for (let voice = 0; voice < VOICES; voice++) {
        let at = -Math.round(random() * 2 * lineRate);
        while (at < length) {
          const { samples } = clips[Math.floor(random() * clips.length)]!;
          for (let i = Math.max(0, -at); i < samples.length && at + i < length; i++)
            sum[at + i]! += samples[i]!;
          at += samples.length;
        }
      }
      return sum;
    },
  };
}

/** A cough by rule: two or three bursts of noise, each falling off within a quarter of a second. */
export function cough(random: Random): Int16Array {
  const bursts = 2 + Math.floor(random() * 2);
  return joined(
    Array.from({ length: bursts }, () => {
      const length = ms(180 + 120 * random());
      let low = 0;
      return Int16Array.from({ length }, (_, i) => {
        // A throat's resonance lies at some 500 to 1,500 Hz; a pole at 0.5 is nearly flat up to there.
        low = 0.5 * low + white(random);
        const rise = Math.min(1, i / ms(10));
        return Math.round(3_500 * rise * low * Math.exp(-i / ms(60)));
      });
    }),
  );
}

function faded(samples: Int16Array): Int16Array {
  const length = Math.min(ms(FADE_MS), samples.length >> 1);
  return samples.map((sample, i) =>
    Math.round(sample * Math.min(1, (i + 1) / length, (samples.length - i) / length)),
  );
}

function rootMeanSquare(samples: Float64Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / samples.length);
}

const silence = (durationMs: number) => new Int16Array(ms(durationMs));
const ms = (duration: number) => Math.round((duration * lineRate) / 1_000);
/** White noise, of standard deviation 1. */
const white = (random: Random) => (2 * random() - 1) * Math.sqrt(3);
