import { z } from 'zod';
import { AudioFormatError } from '../../../src/audio/pcm.ts';
import { Resampler } from '../../../src/audio/resample.ts';
import { parseWav, wavToMono } from '../../../src/audio/wav.ts';
import { type Moonshine, moonshineRate } from '../stt/moonshine.ts';
import { ApiError, apiErrors } from './api-error.ts';
import { bodyLimits, parseFields, parseForm, withBody } from './body.ts';
import { type Exchange, sendJson, sendText } from './exchange.ts';
import type { Gate } from './gate.ts';
import type { Models } from './models.ts';

export const transcriptionsPath = '/v1/audio/transcriptions';

/** OpenAI's own bounds: 0.1 s, and 1,500 s for its newer transcribers. */
const shortestSeconds = 0.1;
const longestSeconds = 1500;

const fields = z.object({
  model: z.string().min(1).max(128),
  response_format: z.enum(['json', 'text', 'verbose_json']).default('json'),
  // Accepted for compatibility and without effect: the model knows English only and takes no prompt.
  language: z.string().max(64).optional(),
  prompt: z.string().max(8192).optional(),
  temperature: z.coerce.number().min(0).max(1).optional(),
  stream: z.enum(['false'], 'streaming is not supported').optional(),
});

/** `POST /v1/audio/transcriptions`: a WAV file in, its English text out. */
export async function transcribe(
  exchange: Exchange,
  models: Models,
  gate: Gate,
  engine: () => Moonshine,
): Promise<void> {
  const { request, response, signal, budget } = exchange;
  const limit = bodyLimits.fileBytes + bodyLimits.multipartExtraBytes;
  await withBody(request, limit, budget, async (body) => {
    const form = await parseForm(body, request.headers['content-type']);
    const file = form.files.get('file');
    if (file === undefined) throw apiErrors.missing('file');
    const asked = parseFields(form.fields, fields);
    models.demand(asked.model, 'moonshine-tiny', transcriptionsPath);
    if (file.length > bodyLimits.fileBytes) throw apiErrors.tooLarge(bodyLimits.fileBytes);
    const { samples, seconds } = decodeFile(file);
    const text = await gate.run(signal, () => engine().transcribe(samples, signal));
    if (asked.response_format === 'text') sendText(response, 200, `${text}\n`, 'text/plain; charset=utf-8');
    else {
      const usage = { type: 'duration', seconds: Math.ceil(seconds) };
      const details = { task: 'transcribe', language: 'english', duration: seconds };
      sendJson(response, 200, {
        ...(asked.response_format === 'verbose_json' ? details : {}),
        text,
        usage,
      });
    }
  });
}

/** The file's audio, mono and at the model's rate, and its length. @throws {ApiError} 400 */
function decodeFile(file: Uint8Array): { samples: Int16Array; seconds: number } {
  try {
    // The length is known before anything of it is expanded.
    const { data, encoding, channels, sampleRate } = parseWav(file);
    const frames = data.length / (channels * (encoding === 'pcm16' ? 2 : 1));
    const seconds = frames / sampleRate;
    if (seconds < shortestSeconds) {
      throw new ApiError(
        400,
        `Audio file is too short. Minimum audio length is ${shortestSeconds} seconds.`,
        {
          param: 'file',
          code: 'audio_too_short',
        },
      );
    }
    if (seconds > longestSeconds) {
      throw new ApiError(400, `Audio file is too long. Maximum audio length is ${longestSeconds} seconds.`, {
        param: 'file',
        code: 'audio_too_long',
      });
    }
    const { samples } = wavToMono(file);
    return { samples: resample(samples, sampleRate), seconds };
  } catch (cause) {
    if (!(cause instanceof AudioFormatError) && !(cause instanceof RangeError)) throw cause;
    throw new ApiError(
      400,
      `The audio file could not be decoded or its format is not supported: ${cause.message}`,
      {
        param: 'file',
        cause,
      },
    );
  }
}

function resample(samples: Int16Array, rate: number): Int16Array {
  const resampler = new Resampler(rate, moonshineRate);
  const body = resampler.push(samples);
  const tail = resampler.flush();
  const all = new Int16Array(body.length + tail.length);
  all.set(body);
  all.set(tail, body.length);
  return all;
}
