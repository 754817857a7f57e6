import { describe, expect, it } from 'vitest';
import { decodeAlaw, decodeMulaw, encodeAlaw, encodeMulaw } from '../../../src/audio/g711.ts';

const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
const samples = Int16Array.from({ length: 65_536 }, (_, i) => i - 32_768);

/**
 * The decision values x₁… and the quantised values y₁… of the positive half, built from the segments of G.711's
 * tables 1a (A-law, 12 bits) and 2a (μ-law, 14 bits), in 16 bits: an independent way to the same numbers.
 */
function segments(start: readonly number[], step: readonly number[], scale: number) {
  const decisions: number[] = [];
  const values: number[] = [];
  for (const [segment, first] of start.entries()) {
    for (let i = 0; i < 16; i++) {
      decisions.push((first + i * step[segment]!) * scale);
      values.push((first + i * step[segment]! + step[segment]! / 2) * scale);
    }
  }
  return { decisions, values };
}
const steps = [2, 4, 8, 16, 32, 64, 128, 256];
const mulaw = segments([-1, 31, 95, 223, 479, 991, 2015, 4063], steps, 4);
const alaw = segments([0, 32, 64, 128, 256, 512, 1024, 2048], [2, 2, 4, 8, 16, 32, 64, 128], 8);

describe('G.711', () => {
  it('decodes μ-law to the values of table 2a', () => {
    // Character signals of positive values count down from 0xFF, of negative ones from 0x7F.
    for (let i = 0; i < 128; i++) {
      expect(decodeMulaw(Uint8Array.of(0xff - i))[0]).toBe(mulaw.values[i]);
      expect(decodeMulaw(Uint8Array.of(0x7f - i))[0]).toBe(-mulaw.values[i]! || 0);
    }
  });

  it('decodes A-law to the values of table 1a, with even bits inverted', () => {
    for (let i = 0; i < 128; i++) {
      expect(decodeAlaw(Uint8Array.of((0x80 | i) ^ 0x55))[0]).toBe(alaw.values[i]);
      expect(decodeAlaw(Uint8Array.of(i ^ 0x55))[0]).toBe(-alaw.values[i]!);
    }
  });

  it.each([
    ['μ-law', mulaw, encodeMulaw, decodeMulaw],
    ['A-law', alaw, encodeAlaw, decodeAlaw],
  ] as const)(
    'encodes every sample into the interval of its decision values: %s',
    (_, table, encode, decode) => {
      const decoded = decode(encode(samples));
      let interval = 0;
      for (let sample = 0; sample <= 32_767; sample++) {
        while (interval < 127 && sample >= table.decisions[interval + 1]!) interval++;
        expect(decoded[sample + 32_768]).toBe(table.values[interval]);
        // −1 − sample is its mirror image in one's complement, as in G.191.
        expect(decoded[32_767 - sample]).toBe(-table.values[interval]! || 0);
      }
    },
  );

  it('gives the well-known codes of silence and of full scale', () => {
    const inputs = Int16Array.of(0, 32_767, -32_768, 8, -8, 1000, -1000);
    expect([...encodeMulaw(inputs)]).toEqual([0xff, 0x80, 0x00, 0xfe, 0x7e, 0xce, 0x4e]);
    expect([...encodeAlaw(inputs)]).toEqual([0xd5, 0xaa, 0x2a, 0xd5, 0x55, 0xfa, 0x7a]);
  });

  it('returns every code unchanged, but μ-law −0, which becomes 0', () => {
    expect(encodeAlaw(decodeAlaw(codes))).toEqual(codes);
    const expected = codes.slice();
    expected[0x7f] = 0xff;
    expect(encodeMulaw(decodeMulaw(codes))).toEqual(expected);
  });

  it.each([
    ['μ-law', encodeMulaw, decodeMulaw],
    ['A-law', encodeAlaw, decodeAlaw],
  ] as const)('never makes a louder sample quieter: %s', (_, encode, decode) => {
    const decoded = decode(encode(samples));
    for (let i = 1; i < decoded.length; i++) expect(decoded[i]! >= decoded[i - 1]!).toBe(true);
  });

  it('writes into the array it is given and returns the part it wrote', () => {
    const samplesOut = new Int16Array(300).fill(7);
    const decoded = decodeMulaw(codes, samplesOut);
    expect(decoded.buffer).toBe(samplesOut.buffer);
    expect(decoded).toEqual(decodeMulaw(codes));
    expect(samplesOut[256]).toBe(7);
    const codesOut = new Uint8Array(256);
    expect(encodeAlaw(decodeAlaw(codes), codesOut)).toBe(codesOut);
    expect(codesOut).toEqual(codes);
    expect(() => decodeAlaw(codes, new Int16Array(255))).toThrow(RangeError);
    expect(() => encodeMulaw(samplesOut, new Uint8Array(299))).toThrow(RangeError);
  });
});
