import { encodePcm16 } from '../../audio/pcm.ts';
import { wavHeader } from '../../audio/wav.ts';

/** Half an hour: some 115 MB at 16 kHz. A call lasts five minutes unless it is set otherwise. */
const LONGEST_MS = 30 * 60_000;

/** Both sides of a call as this page sent and heard them, in step: one channel each. */
export class TwoChannelRecording {
  readonly #sampleRate: number;
  /** Interleaved: left what was sent, right what was heard. */
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;

  /** @param sampleRate in Hz. */
  constructor(sampleRate: number) {
    this.#sampleRate = sampleRate;
  }

  get durationMs(): number {
    return (this.#bytes / 4 / this.#sampleRate) * 1000;
  }

  /** Adds the same stretch of time of both sides. False: the recording is full, and this is not in it. */
  add(sent: Int16Array, heard: Int16Array): boolean {
    if (this.durationMs >= LONGEST_MS) return false;
    const both = new Int16Array(2 * sent.length);
    for (let i = 0; i < sent.length; i++) {
      both[2 * i] = sent[i]!;
      both[2 * i + 1] = heard[i] ?? 0;
    }
    const bytes = encodePcm16(both);
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    return true;
  }

  /** A 16-bit WAV file, in parts. */
  toWav(): Uint8Array<ArrayBuffer>[] {
    const header = wavHeader({
      sampleRate: this.#sampleRate,
      channels: 2,
      bitsPerSample: 16,
      dataBytes: this.#bytes,
    });
    return [header, ...this.#chunks];
  }
}
