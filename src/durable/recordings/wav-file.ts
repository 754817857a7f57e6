import { encodeMulaw } from '../../audio/g711.ts';
import { encodePcm16 } from '../../audio/pcm.ts';
import { wavHeader, wavHeaderBytes } from '../../audio/wav.ts';
import { recordingRate } from './format.ts';
import type { RecordingFile } from './recording-file.ts';

/** Seconds of audio between two rests: a second takes some 20 µs. */
const secondsAtOnce = 30;

/** A 16-bit or μ-law WAV file of `samples` samples of each channel. */
export function wavFile(
  encoding: 'pcm16' | 'mulaw',
  channels: 1 | 2,
  samples: number,
  audio: Iterable<Int16Array>,
): RecordingFile {
  const dataBytes = samples * channels * (encoding === 'pcm16' ? 2 : 1);
  const header =
    encoding === 'pcm16'
      ? wavHeader({ sampleRate: recordingRate, channels, bitsPerSample: 16, dataBytes })
      : mulawWavHeader(channels, samples);
  // RIFF chunks are padded to an even length.
  const padding = dataBytes % 2;
  async function* pieces(rest: () => Promise<void>): AsyncGenerator<Uint8Array> {
    yield header;
    let blocks = 0;
    for (const block of audio) {
      yield encoding === 'pcm16' ? encodePcm16(block) : encodeMulaw(block);
      if (++blocks % secondsAtOnce === 0) await rest();
    }
    if (padding > 0) yield new Uint8Array(padding);
  }
  return { bytes: header.length + dataBytes + padding, pieces };
}

/** Bytes of the header of a μ-law file: that of PCM, the two bytes of `cbSize`, and a fact chunk. */
export const mulawWavHeaderBytes = wavHeaderBytes + 2 + 12;

/**
 * The bytes before the samples of an 8 kHz μ-law WAV file. Formats other than PCM have an extended `fmt ` chunk and a
 * `fact` chunk with the number of samples (Multimedia Programming Interface and Data Specifications 1.0, and RFC 2361,
 * which gives μ-law the tag 7).
 */
function mulawWavHeader(channels: 1 | 2, samples: number): Uint8Array {
  const dataBytes = samples * channels;
  const header = new Uint8Array(mulawWavHeaderBytes);
  const view = new DataView(header.buffer);
  const tag = (at: number, text: string) => header.set(new TextEncoder().encode(text), at);
  tag(0, 'RIFF');
  view.setUint32(4, mulawWavHeaderBytes - 8 + dataBytes + (dataBytes % 2), true);
  tag(8, 'WAVEfmt ');
  view.setUint32(16, 18, true);
  view.setUint16(20, 7, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, recordingRate, true);
  view.setUint32(28, recordingRate * channels, true);
  view.setUint16(32, channels, true);
  view.setUint16(34, 8, true);
  view.setUint16(36, 0, true);
  tag(38, 'fact');
  view.setUint32(42, 4, true);
  view.setUint32(46, samples, true);
  tag(50, 'data');
  view.setUint32(54, dataBytes, true);
  return header;
}
