import { afterEach, describe, expect, it, vi } from 'vitest';
import { decodeBase64, encodeBase64 } from '../../../src/audio/base64.ts';

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
});
