import { decodeAlaw, decodeMulaw, encodeAlaw, encodeMulaw } from '../../src/audio/g711.ts';
import { decodePcm16, encodePcm16 } from '../../src/audio/pcm.ts';
import { Resampler } from '../../src/audio/resample.ts';
import { wavHeader, wavToMono } from '../../src/audio/wav.ts';
import type { AudioEncoding, SampleRate } from '../../src/dialects/native-messages.ts';

/** Samples to the bytes of the wire. */
export function encodeAudio(samples: Int16Array, encoding: AudioEncoding): Uint8Array {
  return { mulaw: encodeMulaw, alaw: encodeAlaw, l16: encodePcm16 }[encoding](samples);
}

/** Bytes of the wire to samples. Throws `AudioFormatError` for L16 of an odd number of bytes. */
export function decodeAudio(bytes: Uint8Array, encoding: AudioEncoding): Int16Array {
  return { mulaw: decodeMulaw, alaw: decodeAlaw, l16: decodePcm16 }[encoding](bytes);
}

/** Padded base64, by Node's own encoder: without `toBase64` the Worker's takes thirty times as long, and most frames are sent so. */
export function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** A WAV file as mono samples at `sampleRate`. Throws `AudioFormatError`, or `RangeError` for a rate it cannot convert. */
export function wavToSamples(bytes: Uint8Array, sampleRate: SampleRate): Int16Array {
  const wav = wavToMono(bytes);
  if (wav.sampleRate === sampleRate) return wav.samples;
  const resampler = new Resampler(wav.sampleRate, sampleRate);
  return joined([resampler.push(wav.samples), resampler.flush()]);
}

/** The pieces, one after the other. */
export function joined(pieces: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Mono samples as a 16-bit WAV file. */
export function samplesToWav(samples: Int16Array, sampleRate: number): Uint8Array {
  const data = encodePcm16(samples);
  const header = wavHeader({ sampleRate, channels: 1, bitsPerSample: 16, dataBytes: data.length });
  const file = new Uint8Array(header.length + data.length);
  file.set(header);
  file.set(data, header.length);
  return file;
}

/** Speech lies within 40 dB of the utterance's loudest 10 ms; what is quieter is the room, or an encoder's hiss. */
const voicedBelowPeak = 0.01;
/** Root mean square below which nothing is speech, of 32768. */
const quietest = 30;

/**
 * The span from the first to the last voiced sample, by the level of each 10 ms; null if there is none. Judged by level,
 * since it is a clean recording whose end is wanted exactly, and not a telephone line.
 */
export function voicedSpan(samples: Int16Array, sampleRate: number): { start: number; end: number } | null {
  const block = sampleRate / 100;
  const levels: number[] = [];
  for (let at = 0; at < samples.length; at += block) {
    let sum = 0;
    const end = Math.min(at + block, samples.length);
    for (let i = at; i < end; i++) sum += samples[i]! ** 2;
    levels.push(Math.sqrt(sum / (end - at)));
  }
  const threshold = Math.max(quietest, Math.max(0, ...levels) * voicedBelowPeak);
  const first = levels.findIndex((level) => level >= threshold);
  if (first < 0) return null;
  const last = levels.findLastIndex((level) => level >= threshold);
  return { start: first * block, end: Math.min((last + 1) * block, samples.length) };
}
