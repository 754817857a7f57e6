import type { RealtimeAudioFormats } from 'openai/resources/realtime/realtime';
import { decodeBase64 } from '../../audio/base64.ts';
import { decodeMulaw, encodeMulaw } from '../../audio/g711.ts';
import { decodePcm16, encodePcm16 } from '../../audio/pcm.ts';
import { Resampler } from '../../audio/resample.ts';

/** The API's own rate of PCM: "Only a 24kHz sample rate is supported" (types of the `openai` package). */
const pcmRate = 24_000;

/** The encoding that costs a leg of this rate the least: μ-law at 8 kHz passes without a loss. */
export function wireFormat(sampleRate: 8000 | 16000): RealtimeAudioFormats {
  return sampleRate === 8000 ? { type: 'audio/pcmu' } : { type: 'audio/pcm', rate: pcmRate };
}

export function wireBytesPerMs(sampleRate: 8000 | 16000): number {
  return sampleRate === 8000 ? 8 : (pcmRate * 2) / 1000;
}

/** A leg's samples to bytes of {@link wireFormat}. */
export class WireEncoder {
  readonly bytesPerMs: number;
  readonly #resampler: Resampler | null;

  constructor(sampleRate: 8000 | 16000) {
    this.bytesPerMs = wireBytesPerMs(sampleRate);
    this.#resampler = sampleRate === 8000 ? null : new Resampler(sampleRate, pcmRate);
  }

  push(samples: Int16Array): Uint8Array {
    return this.#resampler === null ? encodeMulaw(samples) : encodePcm16(this.#resampler.push(samples));
  }

  /** What the filter still holds. A new stream begins. */
  flush(): Uint8Array {
    return this.#resampler === null ? new Uint8Array(0) : encodePcm16(this.#resampler.flush());
  }

  silence(bytes: number): Uint8Array {
    // G.711: all bits set is zero in μ-law.
    return new Uint8Array(bytes).fill(this.#resampler === null ? 0xff : 0);
  }
}

/** The base64 of {@link wireFormat} to a leg's samples. */
export class WireDecoder {
  /** Of audio that came. */
  bytes = 0;
  readonly #resampler: Resampler | null;
  #half: number | null = null;

  constructor(sampleRate: 8000 | 16000) {
    this.#resampler = sampleRate === 8000 ? null : new Resampler(pcmRate, sampleRate);
  }

  /** Null if the text is no base64. */
  push(base64: string): Int16Array | null {
    const bytes = decodeBase64(base64);
    if (bytes === null) return null;
    this.bytes += bytes.length;
    if (this.#resampler === null) return decodeMulaw(bytes);
    let joined = bytes;
    if (this.#half !== null) {
      joined = new Uint8Array(bytes.length + 1);
      joined[0] = this.#half;
      joined.set(bytes, 1);
    }
    const whole = joined.length - (joined.length % 2);
    this.#half = whole === joined.length ? null : joined[whole]!;
    return this.#resampler.push(decodePcm16(joined.subarray(0, whole)));
  }

  flush(): Int16Array {
    return this.#resampler === null ? new Int16Array(0) : this.#resampler.flush();
  }
}
