import { z } from 'zod';
import { wavHeader, wavHeaderBytes } from '../../../src/audio/wav.ts';
import { type Flite, type FliteVoice, fliteVoices } from '../tts/flite.ts';
import { apiErrors } from './api-error.ts';
import { bodyLimits, parseJson, withBody } from './body.ts';
import { type Exchange, writePiece } from './exchange.ts';
import type { Gate } from './gate.ts';
import type { Models } from './models.ts';

export const speechPath = '/v1/audio/speech';

/** Hz of `pcm` and `wav`, as OpenAI's. */
export const speechRate = 24_000;

/** OpenAI's voices, each by the flite voice that comes nearest; flite has one woman (`slt`). */
const openaiVoices: Readonly<Record<string, FliteVoice>> = {
  alloy: 'rms',
  ash: 'rms',
  ballad: 'awb',
  cedar: 'rms',
  echo: 'rms',
  fable: 'awb',
  onyx: 'rms',
  verse: 'rms',
  coral: 'slt',
  marin: 'slt',
  nova: 'slt',
  sage: 'slt',
  shimmer: 'slt',
};

const fields = z.object({
  model: z.string().min(1).max(128),
  input: z.string().min(1).max(4096),
  voice: z.string().max(64).default('rms'),
  response_format: z.enum(['pcm', 'wav'], "must be 'pcm' or 'wav' with this server").default('wav'),
  speed: z.number().min(0.25).max(4).default(1),
  // Accepted for compatibility and without effect.
  instructions: z.string().max(4096).optional(),
  stream_format: z.enum(['audio'], "must be 'audio' with this server").optional(),
});

/**
 * `POST /v1/audio/speech`: text in; 24 kHz 16-bit mono out, each sentence as soon as it is spoken. The default format
 * is `wav`, since there is no mp3 here.
 */
export async function speak(
  exchange: Exchange,
  models: Models,
  gate: Gate,
  engine: () => Flite,
): Promise<void> {
  const { request, response, signal, budget } = exchange;
  const asked = await withBody(request, bodyLimits.jsonBytes, budget, async (body) =>
    parseJson(body, fields),
  );
  models.demand(asked.model, 'flite', speechPath);
  const voice = fliteVoices.find((name) => name === asked.voice) ?? openaiVoices[asked.voice];
  if (voice === undefined) {
    const known = [...fliteVoices, ...Object.keys(openaiVoices)].join(', ');
    throw apiErrors.invalid('voice', `must be one of ${known}`);
  }
  const options = { voice, speed: asked.speed, sampleRate: speechRate };
  await gate.run(signal, async () => {
    const start = () => {
      if (response.headersSent) return;
      response.writeHead(200, {
        'content-type': asked.response_format === 'pcm' ? 'audio/pcm' : 'audio/wav',
        'cache-control': 'no-store',
      });
    };
    for await (const samples of engine().speak(asked.input, options, signal)) {
      // The status waits for the first audio, so that a failure before it is told as one.
      if (!response.headersSent) {
        start();
        if (asked.response_format === 'wav') await writePiece(exchange, openWavHeader());
      }
      await writePiece(exchange, new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
    }
    response.end();
  });
}

/** A header whose lengths say "to the end", as OpenAI's streamed WAV has it. */
function openWavHeader(): Uint8Array {
  const header = wavHeader({ sampleRate: speechRate, channels: 1, bitsPerSample: 16, dataBytes: 0 });
  const view = new DataView(header.buffer);
  const unknown = 0xffff_ffff;
  view.setUint32(4, unknown, true);
  view.setUint32(wavHeaderBytes - 4, unknown, true);
  return header;
}
