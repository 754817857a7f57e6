import { describe, expect, it } from 'vitest';
import { AudioFormatError, decodePcm16, encodePcm16 } from '../../../src/audio/pcm.ts';

describe('16-bit PCM', () => {
  it('is little-endian, two’s complement', () => {
    const samples = Int16Array.of(0, 1, -1, 32_767, -32_768, 0x1234);
    const bytes = Uint8Array.of(0, 0, 1, 0, 0xff, 0xff, 0xff, 0x7f, 0, 0x80, 0x34, 0x12);
    expect(encodePcm16(samples)).toEqual(bytes);
    expect(decodePcm16(bytes)).toEqual(samples);
  });

  it('reads bytes that begin at an odd offset of their buffer, as in a network frame', () => {
    const frame = Uint8Array.of(9, 0x34, 0x12, 0xff, 0xff, 9);
    expect(decodePcm16(frame.subarray(1, 5))).toEqual(Int16Array.of(0x1234, -1));
    const part = Int16Array.of(5, 0x1234, 5).subarray(1, 2);
    expect(encodePcm16(part)).toEqual(Uint8Array.of(0x34, 0x12));
  });

  it('copies, so that a reused buffer changes nothing', () => {
    const bytes = Uint8Array.of(1, 0);
    const samples = decodePcm16(bytes);
    bytes.fill(7);
    expect(samples).toEqual(Int16Array.of(1));
  });

  it('reads into a buffer that is given, from its start', () => {
    const out = new Int16Array(4).fill(9);
    const samples = decodePcm16(Uint8Array.of(1, 0, 2, 0), out);
    expect(samples).toEqual(Int16Array.of(1, 2));
    expect(out).toEqual(Int16Array.of(1, 2, 9, 9));
    expect(decodePcm16(Uint8Array.of(3, 0), out.subarray(3)).byteOffset).toBe(6);
    expect(() => decodePcm16(new Uint8Array(10), out)).toThrow(RangeError);
  });

  it('refuses half a sample', () => {
    expect(() => decodePcm16(new Uint8Array(3))).toThrow(AudioFormatError);
    expect(decodePcm16(new Uint8Array(0))).toHaveLength(0);
  });
});
