/**
 * ITU-T G.711 companding, by tables. Samples are 16-bit with the codec's 14 bits (μ-law) or 13 bits (A-law)
 * in the upper ones, as on every telephony interface. Where G.711 leaves a value on the border of two
 * intervals open, the reference code of ITU-T G.191 (one's complement for negative values) decides.
 */

/** G.711 table 2: added before the logarithm so that every segment starts at a power of two (33 of 14 bits). */
const mulawBias = 33 << 2;

function mulawValue(code: number): number {
  const inverted = ~code & 0xff;
  const magnitude = ((((inverted & 0x0f) << 3) + mulawBias) << ((inverted & 0x70) >> 4)) - mulawBias;
  return (inverted & 0x80) !== 0 ? -magnitude : magnitude;
}

/** `value` is the upper 14 bits of a sample, signed. */
function mulawCode(value: number): number {
  const magnitude = Math.min((value < 0 ? ~value : value) + 33, 0x1fff);
  const segment = 26 - Math.clz32(magnitude);
  const code = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0f);
  return ~(value < 0 ? code | 0x80 : code) & 0xff;
}

function alawValue(code: number): number {
  const bits = code ^ 0x55;
  const segment = (bits & 0x70) >> 4;
  const mantissa = ((bits & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? mantissa : (mantissa + 0x100) << (segment - 1);
  return (bits & 0x80) !== 0 ? magnitude : -magnitude;
}

/** `value` is the upper 12 bits of a sample, signed: the thirteenth never decides. */
function alawCode(value: number): number {
  const magnitude = value < 0 ? ~value : value;
  const segment = Math.max(0, 28 - Math.clz32(magnitude));
  const mantissa = segment <= 1 ? magnitude & 0x0f : (magnitude >> (segment - 1)) & 0x0f;
  return ((segment << 4) | mantissa | (value < 0 ? 0 : 0x80)) ^ 0x55;
}

const mulawValues = Int16Array.from({ length: 256 }, (_, code) => mulawValue(code));
const alawValues = Int16Array.from({ length: 256 }, (_, code) => alawValue(code));
/** Indexed by the sample's upper 14 bits as an unsigned number. */
const mulawCodes = Uint8Array.from({ length: 1 << 14 }, (_, i) => mulawCode((i << 18) >> 18));
/** Indexed by the sample's upper 12 bits as an unsigned number. */
const alawCodes = Uint8Array.from({ length: 1 << 12 }, (_, i) => alawCode((i << 20) >> 20));

/**
 * μ-law bytes to 16-bit samples.
 *
 * @param out written from its start, if given; must be at least as long as `bytes`. The result is then its beginning.
 */
export function decodeMulaw(bytes: Uint8Array, out?: Int16Array): Int16Array {
  return decode(mulawValues, bytes, out);
}

/** 16-bit samples to μ-law bytes; `out` as for {@link decodeMulaw}. */
export function encodeMulaw(samples: Int16Array, out?: Uint8Array): Uint8Array {
  const target = outFor(samples.length, out) ?? new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) target[i] = mulawCodes[(samples[i]! >> 2) & 0x3fff]!;
  return target;
}

/** A-law bytes to 16-bit samples; `out` as for {@link decodeMulaw}. */
export function decodeAlaw(bytes: Uint8Array, out?: Int16Array): Int16Array {
  return decode(alawValues, bytes, out);
}

/** 16-bit samples to A-law bytes; `out` as for {@link decodeMulaw}. */
export function encodeAlaw(samples: Int16Array, out?: Uint8Array): Uint8Array {
  const target = outFor(samples.length, out) ?? new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) target[i] = alawCodes[(samples[i]! >> 4) & 0xfff]!;
  return target;
}

function decode(values: Int16Array, bytes: Uint8Array, out: Int16Array | undefined): Int16Array {
  const target = outFor(bytes.length, out) ?? new Int16Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) target[i] = values[bytes[i]!]!;
  return target;
}

function outFor<T extends Int16Array | Uint8Array>(length: number, out: T | undefined): T | undefined {
  if (out === undefined || out.length === length) return out;
  if (out.length < length) throw new RangeError(`out holds ${out.length} samples, ${length} are needed`);
  return out.subarray(0, length) as T;
}
