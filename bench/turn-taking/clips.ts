import { readFile } from 'node:fs/promises';
import { decodePcm16 } from '../../src/audio/pcm.ts';
import { Resampler } from '../../src/audio/resample.ts';
import { wavToMono } from '../../src/audio/wav.ts';
import { joined } from '../../tools/caller/audio.ts';
import { type Span, voicedSpan, voicedSpans } from './labels.ts';
import type { Recording } from './speakers.ts';

/** Rate of everything that is played, in Hz. */
export const lineRate = 8_000;

/** A turn as it was recorded, at {@link lineRate}, from its first voiced sample to its last. */
export interface Clip {
  samples: Int16Array;
  /** Its parts, between pauses of the speaker's own. */
  phrases: readonly Span[];
}

/** Level of active speech, in dB of full scale: the nominal one of a telephone line (ITU-T P.56). */
const ACTIVE_LEVEL_DB = -26;

/** The turns of a recording, all at the same level of speech. @param gapMs pauses from which on phrases are told apart. */
export async function clipsOf(recording: Recording, gapMs: number): Promise<Clip[]> {
  const { samples, sampleRate } = await read(recording);
  const whole: Recording['turns'] = [[0, samples.length / sampleRate]];
  return (recording.turns ?? whole).map(([from, to]) => {
    const part = samples.subarray(Math.round(from * sampleRate), Math.round(to * sampleRate));
    const span = voicedSpan(part, sampleRate);
    if (span === null) throw new Error(`no voice from ${from} to ${to} s of ${recording.from}`);
    return clipOf(atRate(part.subarray(span.start, span.end), sampleRate), gapMs);
  });
}

/** Speech without silence around it as a clip. */
export function clipOf(speech: Int16Array, gapMs: number): Clip {
  const samples = atLevel(speech, ACTIVE_LEVEL_DB);
  const phrases = voicedSpans(samples, lineRate, gapMs);
  // The ends are those of the recording, whatever a lower rate has left of its last sound.
  if (phrases.length > 0) {
    phrases[0]!.start = 0;
    phrases.at(-1)!.end = samples.length;
  }
  return { samples, phrases };
}

async function read({ from, rawRate }: Recording): Promise<{ samples: Int16Array; sampleRate: number }> {
  if (typeof from !== 'string') return { samples: from, sampleRate: lineRate };
  const bytes = await readFile(from);
  return rawRate === undefined
    ? wavToMono(bytes)
    : { samples: decodePcm16(bytes.subarray(0, bytes.length & ~1)), sampleRate: rawRate };
}

function atRate(samples: Int16Array, sampleRate: number): Int16Array {
  if (sampleRate === lineRate) return samples.slice();
  const resampler = new Resampler(sampleRate, lineRate);
  return joined([resampler.push(samples), resampler.flush()]);
}

/** Root mean square of the voiced parts. */
export function activeLevel(samples: Int16Array): number {
  let sum = 0;
  let count = 0;
  for (const { start, end } of voicedSpans(samples, lineRate, 0)) {
    for (let i = start; i < end; i++) sum += samples[i]! ** 2;
    count += end - start;
  }
  return Math.sqrt(sum / Math.max(1, count));
}

function atLevel(samples: Int16Array, db: number): Int16Array {
  const level = activeLevel(samples);
  const gain = level === 0 ? 1 : (32_768 * 10 ** (db / 20)) / level;
  return samples.map((sample) => Math.max(-32_768, Math.min(32_767, Math.round(sample * gain))));
}
