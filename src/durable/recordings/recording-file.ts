import { createOggOpusWriter } from '../../audio/ogg-opus.ts';
import type { Opus } from '../../audio/opus.ts';
import { type RecordingShape, recordingRate } from './format.ts';
import { wavFile } from './wav-file.ts';

/** A recording as a file, made piece by piece while it is stored. */
export interface RecordingFile {
  /** Of the whole file; null where only its end will tell. */
  bytes: number | null;
  /** Its bytes in order, once; a piece is valid until the next is asked for. `rest` is awaited between slices of work. */
  pieces(rest: () => Promise<void>): AsyncIterable<Uint8Array>;
}

/**
 * The file of a recording.
 *
 * @param samples of each channel. @param audio blocks as of `spooledAudio`. @param opus the codec; loaded for Ogg Opus only.
 */
export function recordingFile(
  { format, channels }: RecordingShape,
  samples: number,
  audio: Iterable<Int16Array>,
  opus: () => Opus,
): RecordingFile {
  if (format === 'ogg-opus') return opusFile(channels, audio, opus);
  return wavFile(format === 'wav' ? 'pcm16' : 'mulaw', channels, samples, audio);
}

function opusFile(channels: 1 | 2, audio: Iterable<Int16Array>, opus: () => Opus): RecordingFile {
  async function* pieces(rest: () => Promise<void>): AsyncGenerator<Uint8Array> {
    const writer = createOggOpusWriter(opus(), { channels, sampleRate: recordingRate });
    try {
      for (const block of audio) {
        yield* await writer.write(block);
        // A second of audio takes milliseconds to encode.
        await rest();
      }
      yield* await writer.end();
    } finally {
      writer.close();
    }
  }
  return { bytes: null, pieces };
}
