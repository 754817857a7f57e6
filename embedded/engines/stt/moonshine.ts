import sherpa, { type OfflineRecognizer } from 'sherpa-onnx-node';
import { cleanTranscript, moonshineFiles } from './moonshine-files.ts';
import { splitAtQuiet } from './split.ts';

/** The rate that Moonshine hears, in Hz. */
export const moonshineRate = 16_000;

/**
 * Silence put before and after each piece. Measured on the human clips at 8 kHz μ-law: of 114 words 6 are wrong
 * without it and 4 with 100 ms; cut into 3 s windows 15 without it, 10 with 100 ms and 26 with 400 ms.
 */
const paddingSamples = 0.1 * moonshineRate;

/** Moonshine is made for short utterances; its cost grows with the square of the length. */
const longestPiece = 30 * moonshineRate;

/** Below this no sample of a piece is speech (−60 dB of full scale), and nothing is decoded. */
const silentPeak = 33;

/** Moonshine-tiny (English) by sherpa-onnx, in this process; the event loop stays free while it decodes. */
export class Moonshine {
  readonly #recognizer: OfflineRecognizer;

  private constructor(recognizer: OfflineRecognizer) {
    this.#recognizer = recognizer;
  }

  /** @throws {Error} if a package is missing or the model does not load. */
  static async load(): Promise<Moonshine> {
    const files = await moonshineFiles();
    try {
      return new Moonshine(
        await sherpa.OfflineRecognizer.createAsync({
          featConfig: { sampleRate: moonshineRate, featureDim: 80 },
          modelConfig: {
            moonshine: { encoder: files.encoder, mergedDecoder: files.mergedDecoder },
            tokens: files.tokens,
            numThreads: 1,
            provider: 'cpu',
          },
        }),
      );
    } finally {
      await files.remove();
    }
  }

  /**
   * What is said in `samples` (16-bit, {@link moonshineRate}); '' if nothing is. Longer audio than 30 s is cut where
   * it is quiet.
   *
   * @throws the signal's reason, at the latest when the piece that is being decoded (at most 30 s) is done.
   */
  async transcribe(samples: Int16Array, signal: AbortSignal): Promise<string> {
    const texts: string[] = [];
    for (const piece of splitAtQuiet(samples, longestPiece)) {
      signal.throwIfAborted();
      if (peak(piece) < silentPeak) continue;
      // The model answers some short clips with nothing, padded or not, and rarely both: it gets both.
      const text = (await this.#decode(piece, paddingSamples)) || (await this.#decode(piece, 0));
      if (text !== '') texts.push(text);
    }
    signal.throwIfAborted();
    return texts.join(' ');
  }

  async #decode(piece: Int16Array, padding: number): Promise<string> {
    const samples = new Float32Array(piece.length + 2 * padding);
    for (let i = 0; i < piece.length; i++) samples[padding + i] = piece[i]! / 32768;
    const stream = this.#recognizer.createStream();
    stream.acceptWaveform({ samples, sampleRate: moonshineRate });
    return cleanTranscript((await this.#recognizer.decodeAsync(stream)).text);
  }
}

function peak(samples: Int16Array): number {
  let most = 0;
  for (const sample of samples) most = Math.max(most, Math.abs(sample));
  return most;
}
