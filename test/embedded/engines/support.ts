import OpenAI from 'openai';
import { afterAll, beforeAll } from 'vitest';
import { startEngines } from '../../../embedded/engines/engines.ts';
import { type Engines, type EnginesOptions, openaiAliases } from '../../../embedded/engines/options.ts';
import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { Resampler } from '../../../src/audio/resample.ts';
import { wavHeader } from '../../../src/audio/wav.ts';

export const apiKey = 'test-key';

/** Starts the engines for one test file and ends them after it. */
export function useEngines(options: EnginesOptions = {}): { readonly engines: Engines; client(): OpenAI } {
  let engines: Engines | null = null;
  beforeAll(async () => {
    engines = await startEngines({ apiKey, aliases: openaiAliases, ...options });
    await engines.ready;
  });
  afterAll(() => engines?.close());
  const running = () => {
    if (engines === null) throw new Error('the engines have not started');
    return engines;
  };
  return {
    get engines() {
      return running();
    },
    client: () => new OpenAI({ apiKey, baseURL: `${running().url}/v1`, maxRetries: 0 }),
  };
}

export function resampled(samples: Int16Array, from: number, to: number): Int16Array {
  const resampler = new Resampler(from, to);
  return Int16Array.from([...resampler.push(samples), ...resampler.flush()]);
}

/** As a telephone line leaves it: 8 kHz, through μ-law and back. */
export function throughTelephone(samples: Int16Array, rate: number): Int16Array {
  return decodeMulaw(encodeMulaw(resampled(samples, rate, 8000)));
}

/** A 16-bit WAV file; `samples` are interleaved if there are several channels. */
export function wavFile(samples: Int16Array, sampleRate: number, channels = 1): File {
  const header = wavHeader({ sampleRate, channels, bitsPerSample: 16, dataBytes: samples.byteLength });
  return new File([header as Uint8Array<ArrayBuffer>, samples as Int16Array<ArrayBuffer>], 'speech.wav', {
    type: 'audio/wav',
  });
}
