import { decodePcm16 } from '../../src/audio/pcm.ts';
import { parseWav } from '../../src/audio/wav.ts';
import type { Recording } from './facts.ts';

const BLOCK_MS = 20;
/** Root mean square of 20 ms of speech on a telephone, of 32768; the hiss of G.711 is far below it. */
const LOUD = 250;

/** A recording of two channels: the caller left, the agent right. A text says what is wrong with the file. */
export function readRecording(bytes: Uint8Array): Recording | string {
  try {
    const { channels, encoding, sampleRate, data } = parseWav(bytes);
    if (channels !== 2 || encoding !== 'pcm16') return `a WAV file of ${channels} channels, ${encoding}`;
    const both = decodePcm16(data);
    const side = (first: number) =>
      Int16Array.from({ length: both.length / 2 }, (_, i) => both[2 * i + first]!);
    return { sampleRate, caller: side(0), agent: side(1) };
  } catch (error) {
    return String(error);
  }
}

export function lengthMs({ caller, sampleRate }: Recording): number {
  return (caller.length / sampleRate) * 1000;
}

/** Milliseconds of sound, in blocks of 20 ms, from `startMs` to `endMs`. */
export function loudMs(samples: Int16Array, sampleRate: number, startMs = 0, endMs = Infinity): number {
  const block = (sampleRate / 1000) * BLOCK_MS;
  const last = Math.min(samples.length, (endMs / 1000) * sampleRate);
  let loud = 0;
  for (let at = Math.max(0, Math.round((startMs / 1000) * sampleRate)); at + block <= last; at += block) {
    let sum = 0;
    for (let i = at; i < at + block; i++) sum += samples[i]! ** 2;
    if (Math.sqrt(sum / block) >= LOUD) loud += BLOCK_MS;
  }
  return loud;
}
