/** TC39 "Uint8Array to/from base64", in workerd and in browsers, not in Node 22. */
interface NativeBase64Constructor {
  fromBase64?: (text: string, options: typeof strict) => Uint8Array;
}
interface NativeBase64 {
  toBase64?: () => string;
  setFromBase64?: (text: string, options: typeof strict) => { written: number };
}

const strict = { lastChunkHandling: 'strict' } as const;

/** `String.fromCharCode` takes its argument list on the stack. */
const encodeChunkBytes = 8192;

/**
 * Base64 (RFC 4648 section 4) to bytes, or null if the text is none. Strict: the standard alphabet, no white space,
 * padded (unpadded text is refused: every telephony sender pads, and a cut text would otherwise pass), no
 * stray bits in the last character. The empty text is no bytes.
 */
export function decodeBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = paddingOf(text);
  const length = (text.length / 4) * 3 - padding;
  try {
    const native = (Uint8Array as NativeBase64Constructor).fromBase64;
    const bytes = native === undefined ? decodeByAtob(text, padding) : native(text, strict);
    // Both decoders skip white space, which leaves fewer bytes than the length of the text promises.
    return bytes !== null && bytes.length === length ? bytes : null;
  } catch {
    // Both throw for a character outside the alphabet, and for nothing else.
    return null;
  }
}

/** What a longer text has is no frame, and is not kept. */
const MOST_KEPT_BYTES = 8_192;

/** Decodes texts of the size of a frame, one after the other, into a buffer that is used again: in workerd a new one costs twice what the decoding does. */
export class Base64Decoder {
  #kept = new Uint8Array(1_024);

  /** As {@link decodeBase64}; the result is valid until the next call. */
  decode(text: string): Uint8Array | null {
    const kept: Uint8Array & NativeBase64 = this.#keptFor(text);
    if (text.length % 4 !== 0 || kept.setFromBase64 === undefined) return decodeBase64(text);
    const length = (text.length / 4) * 3 - paddingOf(text);
    if (length > kept.length) return decodeBase64(text);
    try {
      return kept.setFromBase64(text, strict).written === length ? kept.subarray(0, length) : null;
    } catch {
      return null;
    }
  }

  #keptFor(text: string): Uint8Array {
    const least = Math.min(text.length, MOST_KEPT_BYTES);
    if (this.#kept.length < least) this.#kept = new Uint8Array(least);
    return this.#kept;
  }
}

/** Bytes to padded base64. */
export function encodeBase64(bytes: Uint8Array): string {
  const native = bytes as NativeBase64;
  if (native.toBase64 !== undefined) return native.toBase64();
  let binary = '';
  for (let i = 0; i < bytes.length; i += encodeChunkBytes) {
    binary += String.fromCharCode(...bytes.subarray(i, i + encodeChunkBytes));
  }
  return btoa(binary);
}

function paddingOf(text: string): number {
  return text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function decodeByAtob(text: string, padding: number): Uint8Array | null {
  if (padding > 0) {
    const last = alphabet.indexOf(text.charAt(text.length - 1 - padding));
    if ((last & (padding === 1 ? 0b11 : 0b1111)) !== 0) return null;
  }
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
