import { decodeAlaw, decodeMulaw, encodeAlaw, encodeMulaw } from '../audio/g711.ts';
import { encodePcm16 } from '../audio/pcm.ts';
import { Resampler, resamplerRates } from '../audio/resample.ts';
import type { AudioEncoding, SampleRate } from './native-messages.ts';

/** How audio stands on the wire. */
export interface WireFormat {
  encoding: AudioEncoding;
  /** Hz. */
  sampleRate: number;
  /** 2: the caller left, the other party right, sample by sample. */
  channels: 1 | 2;
  /** L16 in network byte order (RFC 3551 section 4.5.11); nearly everybody sends the other one. */
  bigEndian: boolean;
}

/** By the names that carriers give them, in small letters and without `audio/`. */
const encodings: Record<string, AudioEncoding> = {
  mulaw: 'mulaw',
  'x-mulaw': 'mulaw',
  pcmu: 'mulaw',
  alaw: 'alaw',
  'x-alaw': 'alaw',
  pcma: 'alaw',
  l16: 'l16',
  'x-l16': 'l16',
  raw: 'l16',
  'x-raw': 'l16',
};

/**
 * The format that is named so, little-endian; null: nobody here speaks it.
 *
 * @param name e.g. `audio/x-mulaw`, `PCMU`, `audio/l16;rate=16000`; a rate in it counts before `sampleRate`.
 */
export function wireFormat(name: string, sampleRate: number, channels: number): WireFormat | null {
  const [type = '', ...parameters] = name.toLowerCase().split(';');
  const known = type.trim().replace(/^audio\//, '');
  const encoding = Object.hasOwn(encodings, known) ? encodings[known] : undefined;
  const named = parameters.map((parameter) => /^\s*rate=(\d{4,6})\s*$/.exec(parameter)?.[1]).find(Boolean);
  const rate = named === undefined ? sampleRate : Number(named);
  if (encoding === undefined || !(resamplerRates as readonly number[]).includes(rate)) return null;
  if (channels !== 1 && channels !== 2) return null;
  return { encoding, sampleRate: rate, channels, bigEndian: false };
}

/** Bytes of one sample of all channels. */
export function frameBytes({ encoding, channels }: WireFormat): number {
  return (encoding === 'l16' ? 2 : 1) * channels;
}

export function bytesOf(ms: number, format: WireFormat): number {
  return Math.round((ms * format.sampleRate) / 1000) * frameBytes(format);
}

/** The byte that is silence. */
export function silenceByte(encoding: AudioEncoding): number {
  return { mulaw: 0xff, alaw: 0xd5, l16: 0 }[encoding];
}

/** Typed arrays use the machine's byte order. */
const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The wire's bytes to the caller's samples, at 8 or 16 kHz. */
export class AudioDecoder {
  /** Of what it returns: the wire's own rate if that is 8 or 16 kHz, else the one nearest above, 16 kHz at most. */
  readonly sampleRate: SampleRate;
  readonly #format: WireFormat;
  readonly #resampler: Resampler | null;
  /** Decoded frames, one after the other: nothing past the dialect keeps them. */
  #scratch = new Int16Array(1_600);

  constructor(format: WireFormat) {
    this.#format = format;
    this.sampleRate = format.sampleRate === 8_000 ? 8_000 : 16_000;
    this.#resampler =
      format.sampleRate === this.sampleRate ? null : new Resampler(format.sampleRate, this.sampleRate);
  }

  /** Null: the bytes are no whole samples. The result is valid until the next call. */
  decode(bytes: Uint8Array): Int16Array | null {
    const { encoding, channels } = this.#format;
    if (bytes.length % frameBytes(this.#format) !== 0) return null;
    const count = encoding === 'l16' ? bytes.length / 2 : bytes.length;
    if (this.#scratch.length < count) this.#scratch = new Int16Array(count);
    let samples = this.#scratch.subarray(0, count);
    if (encoding === 'mulaw') decodeMulaw(bytes, samples);
    else if (encoding === 'alaw') decodeAlaw(bytes, samples);
    else this.#decodeL16(bytes, samples);
    if (channels === 2) {
      for (let i = 0; i < count / 2; i++) samples[i] = samples[2 * i]!;
      samples = samples.subarray(0, count / 2);
    }
    return this.#resampler === null ? samples : this.#resampler.push(samples);
  }

  #decodeL16(bytes: Uint8Array, samples: Int16Array): void {
    const { bigEndian } = this.#format;
    if (bigEndian !== littleEndian) {
      new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength).set(bytes);
      return;
    }
    const [high, low] = bigEndian ? [0, 1] : [1, 0];
    for (let i = 0; i < samples.length; i++) {
      samples[i] = (bytes[2 * i + high]! << 8) | bytes[2 * i + low]!;
    }
  }
}

/** The agent's samples to the wire's bytes, mono. */
export class AudioEncoder {
  readonly format: WireFormat;
  readonly #resampler: Resampler | null;

  constructor(format: WireFormat, sampleRate: SampleRate) {
    this.format = { ...format, channels: 1 };
    this.#resampler = format.sampleRate === sampleRate ? null : new Resampler(sampleRate, format.sampleRate);
  }

  /** Keeps no reference to `samples`. */
  encode(samples: Int16Array): Uint8Array {
    return this.#bytes(this.#resampler === null ? samples : this.#resampler.push(samples));
  }

  /** What a change of the rate still holds back. */
  flush(): Uint8Array {
    return this.#resampler === null ? new Uint8Array(0) : this.#bytes(this.#resampler.flush());
  }

  /** Forgets it. */
  clear(): void {
    this.#resampler?.flush();
  }

  #bytes(samples: Int16Array): Uint8Array {
    const { encoding, bigEndian } = this.format;
    if (encoding === 'mulaw') return encodeMulaw(samples);
    if (encoding === 'alaw') return encodeAlaw(samples);
    const bytes = encodePcm16(samples);
    if (bigEndian) {
      for (let i = 0; i < bytes.length; i += 2) {
        const low = bytes[i]!;
        bytes[i] = bytes[i + 1]!;
        bytes[i + 1] = low;
      }
    }
    return bytes;
  }
}
