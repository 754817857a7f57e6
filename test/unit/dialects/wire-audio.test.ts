import { describe, expect, it } from 'vitest';
import { Blocks } from '../../../src/dialects/blocks.ts';
import { ReorderWindow } from '../../../src/dialects/reorder-window.ts';
import { AudioDecoder, AudioEncoder, wireFormat } from '../../../src/dialects/wire-audio.ts';
import { l16, tone } from '../../support/dialect-leg.ts';
import { seeded } from '../../support/random.ts';

describe('the kinds of audio', () => {
  it.each([
    ['audio/x-mulaw', 8000, 'mulaw', 8000],
    ['PCMA', 8000, 'alaw', 8000],
    ['audio/l16;rate=16000', 8000, 'l16', 16000],
    ['audio/x-raw', 24000, 'l16', 24000],
  ])('knows %s', (name, rate, encoding, sampleRate) => {
    expect(wireFormat(name, rate, 1)).toEqual({ encoding, sampleRate, channels: 1, bigEndian: false });
  });

  it.each([
    ['audio/x-opus', 8000, 1],
    ['constructor', 8000, 1],
    ['l16', 64000, 1],
    ['l16', 8000, 3],
    ['', 8000, 1],
  ])('knows no %j of %d Hz and %d channels', (name, rate, channels) => {
    expect(wireFormat(name, rate, channels)).toBeNull();
  });

  it.each(['mulaw', 'alaw', 'l16'] as const)('%s comes back as it went out', (encoding) => {
    for (const bigEndian of [false, true]) {
      const format = { encoding, sampleRate: 8000, channels: 1 as const, bigEndian };
      const bytes = new AudioEncoder(format, 8000).encode(tone(160));
      const back = new AudioDecoder(format).decode(bytes)!;
      const most = encoding === 'l16' ? 0 : 260;
      expect(Math.max(...back.map((sample, i) => Math.abs(sample - tone(160)[i]!)))).toBeLessThanOrEqual(
        most,
      );
    }
  });

  it('decodes L16 that lies at an odd place of its buffer, and reads its bytes in the order that is said', () => {
    const buffer = new Uint8Array(321);
    buffer.set(l16(tone(160), true), 1);
    const decoder = new AudioDecoder({ encoding: 'l16', sampleRate: 8000, channels: 1, bigEndian: true });
    expect([...decoder.decode(buffer.subarray(1))!]).toEqual([...tone(160)]);
  });
});

describe('blocks', () => {
  it('give back what they were given, in whole blocks, however it is cut', () => {
    const random = seeded(8);
    for (let round = 0; round < 200; round++) {
      const block = 1 + random.whole(7);
      const sizes = {
        block,
        least: block * (1 + random.whole(4)),
        most: block * (4 + random.whole(4)),
        silence: 9,
      };
      const sent: Uint8Array[] = [];
      const blocks = new Blocks(sizes, (bytes) => sent.push(bytes.slice()));
      const input = Uint8Array.from({ length: random.whole(200) }, () => random.whole(8));
      for (let at = 0; at < input.length; ) {
        const next = at + 1 + random.whole(40);
        blocks.push(input.subarray(at, next));
        at = next;
      }
      blocks.flush();
      const all = Buffer.concat(sent);
      expect(sent.every(({ length }) => length > 0 && length % block === 0 && length <= sizes.most)).toBe(
        true,
      );
      expect(all.subarray(0, input.length).equals(input)).toBe(true);
      expect(all.length - input.length).toBeLessThan(block);
      expect(all.subarray(input.length).every((byte) => byte === 9)).toBe(true);
    }
  });
});

describe('the reorder window', () => {
  function run(numbers: readonly number[]): (number | string)[] {
    const seen: (number | string)[] = [];
    const window = new ReorderWindow<number>(5, (frame, lost) => {
      if (lost > 0) seen.push(`${lost} lost`);
      seen.push(frame);
    });
    for (const number of numbers) window.push(number, number);
    return seen;
  }

  it.each([
    [
      [7, 8, 9],
      [7, 8, 9],
    ],
    [
      [1, 3, 2, 4],
      [1, 2, 3, 4],
    ],
    [
      [1, 2, 2, 3, 1, 4],
      [1, 2, 3, 4],
    ],
    [
      [1, 3, 4, 5, 6, 7, 8],
      [1, '1 lost', 3, 4, 5, 6, 7, 8],
    ],
    [
      [1, 3, 4, 5, 6, 2, 7],
      [1, 2, 3, 4, 5, 6, 7],
    ],
    [
      [1, 6, 5, 9, 7, 3, 2],
      [1, '1 lost', 3],
    ],
  ])('makes of %j %j', (numbers, seen) => {
    expect(run(numbers)).toEqual(seen);
  });

  it('keeps the order and loses nothing, if nothing is more than four places early', () => {
    const random = seeded(9);
    for (let round = 0; round < 200; round++) {
      const numbers = Array.from({ length: 60 }, (_, i) => i);
      // Blocks of four, each shuffled; the first frame of all stays the first.
      const mixed = [0];
      for (let at = 1; at < numbers.length; at += 4) {
        const block = numbers.slice(at, at + 4);
        while (block.length > 0) mixed.push(...block.splice(random.whole(block.length), 1));
      }
      expect(run(mixed)).toEqual(numbers);
    }
  });
});
