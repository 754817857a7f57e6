import { describe, expect, it } from 'vitest';
import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { decodePcm16 } from '../../../src/audio/pcm.ts';
import { parseWav } from '../../../src/audio/wav.ts';
import { wavFile } from '../../../src/durable/recordings/wav-file.ts';

async function bytesOf(file: ReturnType<typeof wavFile>, rest = async () => {}): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of file.pieces(rest)) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('a WAV file', () => {
  const audio = Int16Array.from({ length: 14 }, (_, i) => (i - 7) * 3_000);

  it.each([1, 2] as const)('of 16 bits and %d channels holds the samples', async (channels) => {
    const file = wavFile('pcm16', channels, 14 / channels, [audio.subarray(0, 4), audio.subarray(4)]);
    const bytes = await bytesOf(file);
    expect(file.bytes).toBe(bytes.length);
    const wav = parseWav(bytes);
    expect(wav).toMatchObject({ sampleRate: 8000, channels, encoding: 'pcm16' });
    expect(decodePcm16(wav.data)).toEqual(audio);
  });

  it.each([1, 2] as const)('of μ-law and %d channels holds them at half the size', async (channels) => {
    const file = wavFile('mulaw', channels, 14 / channels, [audio.subarray(0, 4), audio.subarray(4)]);
    const bytes = await bytesOf(file);
    expect(file.bytes).toBe(bytes.length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    // RIFF size, bytes a second, bytes of a sample of all channels, samples in the fact chunk.
    expect([view.getUint32(4, true), view.getUint32(28, true), view.getUint16(32, true)]).toEqual([
      bytes.length - 8,
      8000 * channels,
      channels,
    ]);
    expect(view.getUint32(46, true)).toBe(14 / channels);
    const wav = parseWav(bytes);
    expect(wav).toMatchObject({ sampleRate: 8000, channels, encoding: 'mulaw' });
    expect(decodeMulaw(wav.data)).toEqual(decodeMulaw(encodeMulaw(audio)));
  });

  it('of an odd number of bytes is padded, and says how many samples there are', async () => {
    const file = wavFile('mulaw', 1, 3, [audio.subarray(0, 3)]);
    const bytes = await bytesOf(file);
    expect([bytes.length, file.bytes]).toEqual([58 + 4, 58 + 4]);
    expect(parseWav(bytes).data.length).toBe(3);
  });

  it('lets others have their turn every 30 s of audio', async () => {
    let rests = 0;
    await bytesOf(
      wavFile('pcm16', 1, 100, Array<Int16Array>(100).fill(new Int16Array(1))),
      async () => void rests++,
    );
    expect(rests).toBe(3);
  });
});
