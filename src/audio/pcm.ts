/** Audio bytes are not what they are said to be: an odd length, a broken header, an encoding that is not known. */
export class AudioFormatError extends Error {
  override readonly name = 'AudioFormatError';
}

/** Typed arrays use the machine's byte order; on the little-endian machines all of them are, L16 needs no swap. */
const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * 16-bit little-endian PCM bytes to samples. The result is a copy, at any offset of `bytes` in its buffer.
 *
 * @param out written from its start, if given; must be at least half as long as `bytes`. The result is then its beginning.
 * @throws {AudioFormatError} if the number of bytes is odd.
 */
export function decodePcm16(bytes: Uint8Array, out?: Int16Array): Int16Array {
  if (bytes.length % 2 !== 0) {
    throw new AudioFormatError(`16-bit PCM has an odd number of bytes (${bytes.length})`);
  }
  const count = bytes.length / 2;
  if (out !== undefined && out.length < count) {
    throw new RangeError(`out holds ${out.length} samples, ${count} are needed`);
  }
  const samples = out?.subarray(0, count) ?? new Int16Array(count);
  if (littleEndian) {
    new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength).set(bytes);
    return samples;
  }
  for (let i = 0; i < samples.length; i++) samples[i] = bytes[2 * i]! | (bytes[2 * i + 1]! << 8);
  return samples;
}

/** Samples as 16-bit little-endian PCM bytes: the same memory where that is how the machine has them, a copy elsewhere. */
export function asPcm16(samples: Int16Array): Uint8Array<ArrayBuffer> {
  if (!littleEndian || !(samples.buffer instanceof ArrayBuffer)) return encodePcm16(samples);
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** Samples to 16-bit little-endian PCM bytes. The result is a copy. */
export function encodePcm16(samples: Int16Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(samples.length * 2);
  if (littleEndian) {
    bytes.set(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
    return bytes;
  }
  for (let i = 0; i < samples.length; i++) {
    bytes[2 * i] = samples[i]! & 0xff;
    bytes[2 * i + 1] = (samples[i]! >> 8) & 0xff;
  }
  return bytes;
}
