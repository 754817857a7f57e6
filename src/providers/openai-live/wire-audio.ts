import type { AudioFormat } from 'openai/resources/live/live';
import { decodeBase64, encodeBase64 } from '../../audio/base64.ts';
import { decodeMulaw, encodeMulaw } from '../../audio/g711.ts';
import { decodePcm16, encodePcm16 } from '../../audio/pcm.ts';

/**
 * A leg's own format, both ways; neither is converted
 * (https://developers.openai.com/api/docs/guides/voice-websockets, "Choose the audio format").
 */
export function wireFormat(sampleRate: 8000 | 16000): AudioFormat {
  return sampleRate === 8000 ? { type: 'audio/pcmu', rate: 8000 } : { type: 'audio/pcm', rate: 16000 };
}

export function encodeWire(samples: Int16Array, sampleRate: 8000 | 16000): string {
  return encodeBase64(sampleRate === 8000 ? encodeMulaw(samples) : encodePcm16(samples));
}

/** One session's output. Its pieces may be cut anywhere. */
export class WireDecoder {
  readonly #sampleRate: 8000 | 16000;
  #half: number | null = null;

  constructor(sampleRate: 8000 | 16000) {
    this.#sampleRate = sampleRate;
  }

  /** Null if the text is no base64. */
  push(base64: string): Int16Array | null {
    const bytes = decodeBase64(base64);
    if (bytes === null) return null;
    if (this.#sampleRate === 8000) return decodeMulaw(bytes);
    let joined = bytes;
    if (this.#half !== null) {
      joined = new Uint8Array(bytes.length + 1);
      joined[0] = this.#half;
      joined.set(bytes, 1);
    }
    const whole = joined.length - (joined.length % 2);
    this.#half = whole === joined.length ? null : joined[whole]!;
    return decodePcm16(joined.subarray(0, whole));
  }
}
