import { describe, expect, it } from 'vitest';
import { encodeAlaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { AudioFormatError, encodePcm16 } from '../../../src/audio/pcm.ts';
import { parseWav, wavHeader, wavToMono } from '../../../src/audio/wav.ts';

const samples = Int16Array.of(0, 1000, -1000, 32_767, -32_768, 5);

describe('WAV', () => {
  it('reads back what the header says', () => {
    const file = join(
      wavHeader({ sampleRate: 8000, channels: 1, bitsPerSample: 16, dataBytes: 12 }),
      encodePcm16(samples),
    );
    expect(file).toHaveLength(56);
    expect(parseWav(file)).toEqual({
      sampleRate: 8000,
      channels: 1,
      encoding: 'pcm16',
      data: encodePcm16(samples),
    });
    expect(wavToMono(file)).toEqual({ sampleRate: 8000, samples });
  });

  it('writes the 44 bytes that other programs write', () => {
    const header = wavHeader({ sampleRate: 16_000, channels: 2, bitsPerSample: 16, dataBytes: 64_000 });
    expect([...header].map((byte) => byte.toString(16).padStart(2, '0')).join('')).toBe(
      `${'52494646'}${'24fa0000'}${'57415645'}${'666d7420'}${'10000000'}${'0100'}${'0200'}${'803e0000'}` +
        `${'00fa0000'}${'0400'}${'1000'}${'64617461'}${'00fa0000'}`,
    );
  });

  it('refuses to write what the fields cannot hold', () => {
    const good = { sampleRate: 8000, channels: 1, bitsPerSample: 16, dataBytes: 0 } as const;
    for (const bad of [
      { dataBytes: 2 ** 32 },
      { dataBytes: -1 },
      { sampleRate: 2 ** 32 },
      { channels: 1.5 },
    ]) {
      expect(() => wavHeader({ ...good, ...bad })).toThrow(AudioFormatError);
    }
  });

  it.each([
    ['mulaw', 7, encodeMulaw(samples)],
    ['alaw', 6, encodeAlaw(samples)],
  ] as const)('reads %s', (encoding, tag, data) => {
    const file = riff(chunk('fmt ', format({ tag, bits: 8 })), chunk('fact', u32(6)), chunk('data', data));
    expect(parseWav(file)).toMatchObject({ encoding, data });
    expect(wavToMono(file).samples).toHaveLength(6);
  });

  it('reads WAVE_FORMAT_EXTENSIBLE, and skips chunks it does not know, odd ones with their padding', () => {
    const extension = join(u16(22), u16(16), u32(4), u16(1), new Uint8Array(14));
    const file = riff(
      chunk('LIST', new Uint8Array(7)),
      chunk('fmt ', join(format({ tag: 0xfffe, bits: 16 }), extension)),
      chunk('data', encodePcm16(samples)),
    );
    expect(wavToMono(file).samples).toEqual(samples);
  });

  it('averages channels to mono without wrapping', () => {
    const file = riff(
      chunk('fmt ', format({ channels: 2 })),
      chunk('data', encodePcm16(Int16Array.of(32_767, 32_767, -100, 300))),
    );
    expect(wavToMono(file).samples).toEqual(Int16Array.of(32_767, 100));
  });

  it('works on a view into a larger buffer', () => {
    const file = riff(chunk('fmt ', format({})), chunk('data', encodePcm16(samples)));
    const buffer = new Uint8Array(file.length + 9).fill(0xee);
    buffer.set(file, 5);
    expect(wavToMono(buffer.subarray(5, 5 + file.length)).samples).toEqual(samples);
  });

  it.each([
    ['0xFFFFFFFF, as ffmpeg writes to a pipe', 0xffffffff, 0xffffffff],
    ['just under 2 GiB, as SoX does', 0x7ffff024, 0x7ffff000],
    ['0, as a writer that never returned to it', 36, 0],
  ])('takes all that follows where the length was left open: %s', (_, riffSize, dataSize) => {
    const file = riff(chunk('fmt ', format({})), tag('data'), u32(dataSize), encodePcm16(samples));
    new DataView(file.buffer).setUint32(4, riffSize, true);
    expect(wavToMono(file).samples).toEqual(samples);
    expect(wavToMono(file.subarray(0, file.length - 1)).samples).toEqual(samples.subarray(0, 5));
  });

  it('takes a length of 0 at its word where the file accounts for what follows', () => {
    const file = riff(
      chunk('fmt ', format({})),
      chunk('data', new Uint8Array(0)),
      chunk('LIST', new Uint8Array(8)),
    );
    expect(wavToMono(file).samples).toHaveLength(0);
  });

  const good = riff(chunk('fmt ', format({})), chunk('data', encodePcm16(samples)));
  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['a text', new TextEncoder().encode('<!doctype html><html><body>no audio</body></html>')],
    ['big-endian RIFX', join(tag('RIFX'), good.subarray(4))],
    ['no format before the audio', riff(chunk('data', encodePcm16(samples)), chunk('fmt ', format({})))],
    ['no audio', riff(chunk('fmt ', format({})))],
    [
      'a format chunk that is too short',
      riff(chunk('fmt ', new Uint8Array(14)), chunk('data', samplesBytes())),
    ],
    [
      'an extensible one that is too short',
      riff(chunk('fmt ', format({ tag: 0xfffe })), chunk('data', samplesBytes())),
    ],
    ['a chunk longer than the file', riff(tag('LIST'), u32(1_000_000), chunk('fmt ', format({})))],
    ['audio longer than the file', riff(chunk('fmt ', format({})), tag('data'), u32(13), samplesBytes())],
    ['half a sample', riff(chunk('fmt ', format({})), chunk('data', new Uint8Array(3)))],
    ['no channels', riff(chunk('fmt ', format({ channels: 0 })), chunk('data', samplesBytes()))],
    ['65535 channels', riff(chunk('fmt ', format({ channels: 65_535 })), chunk('data', samplesBytes()))],
    ['a rate of 0', riff(chunk('fmt ', format({ rate: 0 })), chunk('data', samplesBytes()))],
    ['a rate of 4 GHz', riff(chunk('fmt ', format({ rate: 0xffffffff })), chunk('data', samplesBytes()))],
    ['24 bits', riff(chunk('fmt ', format({ bits: 24 })), chunk('data', samplesBytes()))],
    ['floating point', riff(chunk('fmt ', format({ tag: 3, bits: 32 })), chunk('data', samplesBytes()))],
    [
      'thousands of empty chunks',
      riff(...Array.from({ length: 5000 }, () => chunk('junk', new Uint8Array(0))), good),
    ],
  ])('refuses %s', (_, file) => {
    expect(() => parseWav(file)).toThrow(AudioFormatError);
  });

  it('refuses a file cut anywhere, and throws nothing else', () => {
    for (let length = 0; length < good.length; length++) {
      expect(() => parseWav(good.subarray(0, length)), `${length} bytes`).toThrow(AudioFormatError);
    }
  });

  it('throws nothing but AudioFormatError, whatever byte of the header is wrong', () => {
    for (let at = 0; at < 44; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const file = good.slice();
        file[at] = value;
        try {
          expect(wavToMono(file).samples.length).toBeLessThanOrEqual(6);
        } catch (error) {
          expect(error).toBeInstanceOf(AudioFormatError);
        }
      }
    }
  });
});

function samplesBytes(): Uint8Array {
  return encodePcm16(samples);
}

function riff(...chunks: Uint8Array[]): Uint8Array {
  const body = join(tag('WAVE'), ...chunks);
  return join(tag('RIFF'), u32(body.length), body);
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  return join(tag(name), u32(data.length), data, new Uint8Array(data.length % 2));
}

function format({ tag = 1, channels = 1, rate = 8000, bits = 16 }): Uint8Array {
  const block = (channels * bits) / 8;
  return join(u16(tag), u16(channels), u32(rate), u32(rate * block), u16(block), u16(bits));
}

function tag(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >> 8) & 0xff);
}

function u32(value: number): Uint8Array {
  return join(u16(value & 0xffff), u16(value >>> 16));
}

function join(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
