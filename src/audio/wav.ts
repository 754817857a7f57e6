import { decodeAlaw, decodeMulaw } from './g711.ts';
import { AudioFormatError, decodePcm16 } from './pcm.ts';

/** Bytes of the header that {@link wavHeader} makes. */
export const wavHeaderBytes = 44;

export interface WavFormat {
  /** In Hz. */
  sampleRate: number;
  channels: number;
  bitsPerSample: 16;
  /** Bytes of audio that follow the header. */
  dataBytes: number;
}

/**
 * The 44 bytes before the samples of a 16-bit PCM WAV file.
 *
 * @throws {AudioFormatError} if a value does not fit its field (a WAV file ends at 4 GiB).
 */
export function wavHeader(format: WavFormat): Uint8Array<ArrayBuffer> {
  const { sampleRate, channels, bitsPerSample, dataBytes } = format;
  const blockBytes = (channels * bitsPerSample) / 8;
  const whole = (value: number, most: number) => Number.isInteger(value) && value >= 0 && value <= most;
  if (
    !whole(dataBytes, 0xffffffff - 36) ||
    !whole(sampleRate * blockBytes, 0xffffffff) ||
    !whole(channels, 0xffff) ||
    !whole(blockBytes, 0xffff)
  ) {
    throw new AudioFormatError(`no WAV header can say ${JSON.stringify(format)}`);
  }
  const header = new Uint8Array(wavHeaderBytes);
  const view = new DataView(header.buffer);
  writeTag(header, 0, 'RIFF');
  view.setUint32(4, 36 + dataBytes, true);
  writeTag(header, 8, 'WAVE');
  writeTag(header, 12, 'fmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, formatTags.pcm, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * blockBytes, true);
  view.setUint16(32, blockBytes, true);
  view.setUint16(34, bitsPerSample, true);
  writeTag(header, 36, 'data');
  view.setUint32(40, dataBytes, true);
  return header;
}

export interface Wav {
  /** In Hz, 1,000 to 384,000. */
  sampleRate: number;
  /** 1 to 8, interleaved in `data`. */
  channels: number;
  encoding: 'pcm16' | 'mulaw' | 'alaw';
  /** The audio, a view of the bytes that were parsed; a whole number of sample frames. */
  data: Uint8Array;
}

/** RFC 2361 and Microsoft's mmreg.h. */
const formatTags = { pcm: 1, alaw: 6, mulaw: 7, extensible: 0xfffe } as const;

/**
 * Writers to a pipe do not know the length and leave 0xFFFFFFFF (ffmpeg, OpenAI) or something just below
 * 0x80000000 (SoX): the audio then goes to the end.
 */
const unknownLength = 0x7fff_f000;

/** Before the audio, a file of honest origin has a handful of chunks. */
const mostChunks = 64;

/**
 * Reads a WAV file: 16-bit PCM, μ-law or A-law, plain or `WAVE_FORMAT_EXTENSIBLE`. Chunks it does not know are
 * skipped. A length that a streaming writer left open (see {@link unknownLength}, or 0 where the RIFF size
 * does not account for what follows) means all that follows.
 *
 * @throws {AudioFormatError} if it is none, is truncated, contradicts itself or has another encoding.
 */
export function parseWav(bytes: Uint8Array): Wav {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || tagAt(bytes, 0) !== 'RIFF' || tagAt(bytes, 8) !== 'WAVE') {
    throw new AudioFormatError('no RIFF/WAVE header');
  }
  let format: Omit<Wav, 'data'> | undefined;
  let offset = 12;
  for (let chunk = 0; chunk < mostChunks; chunk++) {
    if (offset + 8 > bytes.length) throw new AudioFormatError('truncated before its audio');
    const tag = tagAt(bytes, offset);
    const size = view.getUint32(offset + 4, true);
    offset += 8;
    if (tag === 'data') {
      if (format === undefined) throw new AudioFormatError('no format before the audio');
      return { ...format, data: audioAt(bytes, offset, size, format, view.getUint32(4, true)) };
    }
    if (offset + size > bytes.length) throw new AudioFormatError(`chunk ${JSON.stringify(tag)} is truncated`);
    if (tag === 'fmt ') format = parseFormat(new DataView(bytes.buffer, bytes.byteOffset + offset, size));
    offset += size + (size % 2);
  }
  throw new AudioFormatError(`no audio within ${mostChunks} chunks`);
}

function parseFormat(view: DataView): Omit<Wav, 'data'> {
  if (view.byteLength < 16) throw new AudioFormatError('format chunk is too short');
  let tag = view.getUint16(0, true);
  if (tag === formatTags.extensible) {
    if (view.byteLength < 40) throw new AudioFormatError('extensible format chunk is too short');
    tag = view.getUint16(24, true);
  }
  const channels = view.getUint16(2, true);
  const sampleRate = view.getUint32(4, true);
  const bitsPerSample = view.getUint16(14, true);
  if (channels < 1 || channels > 8) throw new AudioFormatError(`${channels} channels`);
  if (sampleRate < 1000 || sampleRate > 384_000) throw new AudioFormatError(`a rate of ${sampleRate} Hz`);
  const encoding =
    tag === formatTags.pcm && bitsPerSample === 16
      ? 'pcm16'
      : tag === formatTags.mulaw && bitsPerSample === 8
        ? 'mulaw'
        : tag === formatTags.alaw && bitsPerSample === 8
          ? 'alaw'
          : null;
  if (encoding === null) {
    throw new AudioFormatError(`format ${tag} with ${bitsPerSample} bits is not supported`);
  }
  return { sampleRate, channels, encoding };
}

function audioAt(
  bytes: Uint8Array,
  offset: number,
  size: number,
  format: Omit<Wav, 'data'>,
  riffSize: number,
): Uint8Array {
  const blockBytes = format.channels * (format.encoding === 'pcm16' ? 2 : 1);
  const rest = bytes.length - offset;
  const open = size >= unknownLength || (size === 0 && (riffSize + 8 <= offset || riffSize >= unknownLength));
  if (open) {
    // A stream may have been cut anywhere.
    return bytes.subarray(offset, offset + rest - (rest % blockBytes));
  }
  if (size > rest) throw new AudioFormatError(`audio of ${size} bytes is truncated to ${rest}`);
  if (size % blockBytes !== 0) throw new AudioFormatError('audio is no whole number of samples');
  return bytes.subarray(offset, offset + size);
}

/**
 * Reads a WAV file as 16-bit mono; channels are averaged.
 *
 * @throws {AudioFormatError} as {@link parseWav}.
 */
export function wavToMono(bytes: Uint8Array): { sampleRate: number; samples: Int16Array } {
  const { sampleRate, channels, encoding, data } = parseWav(bytes);
  const decode = { pcm16: decodePcm16, mulaw: decodeMulaw, alaw: decodeAlaw }[encoding];
  const interleaved = decode(data);
  if (channels === 1) return { sampleRate, samples: interleaved };
  const samples = new Int16Array(interleaved.length / channels);
  for (let i = 0; i < samples.length; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += interleaved[i * channels + channel]!;
    samples[i] = Math.round(sum / channels);
  }
  return { sampleRate, samples };
}

function writeTag(bytes: Uint8Array, offset: number, tag: string): void {
  for (let i = 0; i < 4; i++) bytes[offset + i] = tag.charCodeAt(i);
}

function tagAt(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + 4));
}
