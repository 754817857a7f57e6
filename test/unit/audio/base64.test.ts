import { afterEach, describe, expect, it, vi } from 'vitest';
import { Base64Decoder, decodeBase64, encodeBase64 } from '../../../src/audio/base64.ts';

afterEach(() => vi.unstubAllGlobals());

describe('base64', () => {
  it('agrees with Node’s own for every length up to three frames and every byte', () => {
    const bytes = Uint8Array.from({ length: 480 }, (_, i) => (i * 149) & 0xff);
    for (let length = 0; length <= bytes.length; length++) {
      const part = bytes.subarray(0, length);
      const text = encodeBase64(part);
      expect(text).toBe(Buffer.from(part).toString('base64'));
      expect(decodeBase64(text)).toEqual(part);
    }
  });

  it('encodes more than fits an argument list', () => {
    const bytes = new Uint8Array(1_000_000).fill(0xa5);
    expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
  });

  it.each([
    ['unpadded', 'AAA'],
    ['one character', 'A'],
    ['padding alone', '===='],
    ['three paddings', 'A==='],
    ['padding in the middle', 'AA==AAAA'],
    ['a space', 'AA A'],
    ['a line feed', 'AAAA\nAAA'],
    ['white space to a multiple of four', 'AAAA    '],
    ['white space before the padding', 'AA =AAA='],
    ['the URL-safe alphabet', 'A-_A'],
    ['a character outside Latin-1', 'AAA€'],
    ['a control character', 'AAA\u0000'],
    ['stray bits before ==', 'AB=='],
    ['stray bits before =', 'AAB='],
    ['JSON', '{"a":1}_'],
  ])('is null for %s', (_, text) => {
    expect(decodeBase64(text)).toBeNull();
    expect(new Base64Decoder().decode(text)).toBeNull();
    withBuffers(() => expect(new Base64Decoder().decode(text)).toBeNull());
  });

  it('uses the runtime’s own codec where there is one, and refuses the same', () => {
    // As in workerd: skips white space, throws a SyntaxError for anything else.
    const fromBase64 = vi.fn((text: string) => {
      const stripped = text.replace(/\s/g, '');
      if (!/^[A-Za-z0-9+/]*=*$/.test(stripped)) throw new SyntaxError('not base64');
      return new Uint8Array(Buffer.from(stripped, 'base64'));
    });
    Object.assign(Uint8Array, { fromBase64 });
    try {
      expect(decodeBase64('AQI=')).toEqual(Uint8Array.of(1, 2));
      expect(decodeBase64('AQ I')).toBeNull();
      expect(decodeBase64('AQ!I')).toBeNull();
      expect(fromBase64).toHaveBeenCalledTimes(3);
    } finally {
      Reflect.deleteProperty(Uint8Array, 'fromBase64');
    }
  });

  it('is decoded into a buffer that is used again, where the runtime can, and only up to the size of frames', () => {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 149) & 0xff);
    const check = (decoder: Base64Decoder) => {
      for (const length of [0, 1, 2, 3, 160, 320, 1_024, 1_025, 5_000, 8_192, 8_193, 20_000, 160, 1]) {
        const part = bytes.subarray(0, length);
        expect(decoder.decode(encodeBase64(part))).toEqual(part);
      }
    };
    check(new Base64Decoder());
    withBuffers((written) => {
      const decoder = new Base64Decoder();
      check(decoder);
      expect(written).toHaveBeenCalledTimes(12);
      const first = decoder.decode('AQID');
      const second = decoder.decode('BAUG');
      expect(first).toEqual(second);
      expect(first?.buffer.byteLength).toBeLessThanOrEqual(8_192);
    });
  });
});

/** With `setFromBase64` as in workerd: it skips white space, and throws a SyntaxError for anything else. */
function withBuffers(test: (written: ReturnType<typeof vi.fn>) => void): void {
  const written = vi.fn();
  const setFromBase64 = function (this: Uint8Array, text: string, options: object) {
    expect(options).toEqual({ lastChunkHandling: 'strict' });
    const stripped = text.replace(/\s/g, '');
    const decoded = Buffer.from(stripped, 'base64');
    if (decoded.toString('base64') !== stripped) throw new SyntaxError('not base64');
    this.set(decoded);
    written(decoded.length);
    return { read: text.length, written: decoded.length };
  };
  Object.assign(Uint8Array.prototype, { setFromBase64 });
  try {
    test(written);
  } finally {
    Reflect.deleteProperty(Uint8Array.prototype, 'setFromBase64');
  }
}
