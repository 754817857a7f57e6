import type { AiModels } from '@cloudflare/workers-types';
import { z } from 'zod';
import { encodeBase64 } from '../../audio/base64.ts';
import { encodePcm16 } from '../../audio/pcm.ts';
import { wavHeader } from '../../audio/wav.ts';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import { startOfText } from '../bodies.ts';
import type { SpeechToText, SpeechToTextOptions, Usage } from '../ports.ts';
import { malformed } from '../streamed-request.ts';
import { Watchdog } from '../watchdog.ts';
import { WindowedSession } from '../windowed-session.ts';
import { providerOf, runModel, toProviderError, type WorkersAiSettings } from './binding.ts';

export interface WorkersAiSpeechToTextSettings extends WorkersAiSettings {
  /** Default `@cf/openai/whisper-large-v3-turbo`; any of `@cf/deepgram/` is given Deepgram's inputs. */
  model?: string;
  /** Speech longer than this is transcribed while the caller still talks; 0 or Infinity: never. Default 2,000. */
  bufferMs?: number;
  /** Whether speech is transcribed at each pause, before it is known that the turn is over. Default true. */
  runAhead?: boolean;
  /** Windows being transcribed at once. Default 3. */
  maxInFlight?: number;
  /** The longest wait for one window's text, all attempts included. Default 15,000. */
  deadlineMs?: number;
  /** Words to expect, or the style to write in, in the language of the audio. Whisper only. */
  prompt?: string;
}

const defaultModel = '@cf/openai/whisper-large-v3-turbo';
const defaultBufferMs = 2_000;
const defaultMaxInFlight = 3;
// No p99 is published for these: OpenAI's.
const defaultDeadlineMs = 15_000;

/** Ten minutes of the fastest speech have some 15,000 characters. */
const longestText = 50_000;
/** Both models tell every word's time as well. */
const longestAnswer = 4_000_000;

type WhisperInput = AiModels['@cf/openai/whisper-large-v3-turbo']['inputs'];
type NovaInput = AiModels['@cf/deepgram/nova-3']['inputs'];

/** developers.cloudflare.com/workers-ai/models/whisper-large-v3-turbo/, "Output". */
const whisperSchema = z.object({
  text: z.string().max(longestText),
  transcription_info: z.object({ duration: z.number().nullish() }).nullish().catch(null),
});

/** developers.cloudflare.com/workers-ai/models/nova-3/, "Output". */
const novaSchema = z.object({
  results: z.object({
    channels: z
      .array(z.object({ alternatives: z.array(z.object({ transcript: z.string().max(longestText) })) }))
      .min(1),
  }),
});

interface Heard {
  text: string;
  seconds: number | null;
}

/**
 * Transcription of whole utterances, or of windows of long ones (see {@link WindowedSession}), as WAV files at the leg's own rate.
 * Deepgram's models transcribe files here as well; its live socket is the provider `deepgram`. When the session's signal fires, its
 * events end quietly.
 */
export function workersAiSpeechToText(
  settings: WorkersAiSpeechToTextSettings,
  clock: Clock = systemClock,
  random: Random = systemRandom,
): SpeechToText {
  const model = settings.model ?? defaultModel;
  const transcriber = model.startsWith('@cf/deepgram/') ? deepgram : whisper;
  return {
    open: (options) =>
      new WindowedSession(
        (samples, signal) => {
          const wav = wavFile(samples, options.sampleRate);
          const run = { settings, model, clock, random, signal };
          const seconds = samples.length / options.sampleRate;
          return transcribe(run, seconds, () => transcriber.inputs(wav, options, settings), transcriber.read);
        },
        options,
        {
          provider: providerOf(model),
          bufferMs: settings.bufferMs ?? defaultBufferMs,
          runAhead: settings.runAhead ?? true,
          maxInFlight: settings.maxInFlight ?? defaultMaxInFlight,
        },
      ),
  };
}

const whisper = {
  inputs(wav: Uint8Array, options: SpeechToTextOptions, settings: WorkersAiSpeechToTextSettings) {
    const { language, keywords } = options;
    const prompt = [settings.prompt, keywords?.join(', ')].filter(Boolean).join(' ');
    return {
      audio: encodeBase64(wav),
      task: 'transcribe',
      // Each window stands alone: text of the one before would be repeated into silence.
      condition_on_previous_text: false,
      ...(language === undefined ? {} : { language: language.split('-')[0]!.toLowerCase() }),
      ...(prompt === '' ? {} : { initial_prompt: prompt }),
    } satisfies WhisperInput;
  },
  read(answer: unknown): Heard | null {
    const parsed = whisperSchema.safeParse(answer);
    if (!parsed.success) return null;
    return { text: parsed.data.text, seconds: parsed.data.transcription_info?.duration ?? null };
  },
};

const deepgram = {
  inputs(wav: Uint8Array, options: SpeechToTextOptions) {
    const { language, keywords } = options;
    return {
      // The binding sends a stream as the body, and everything beside it as the query.
      audio: { body: streamOf(wav), contentType: 'audio/wav' },
      punctuate: true,
      smart_format: true,
      ...(language === undefined ? { detect_language: true } : { language }),
      // The one parameter takes one term; Deepgram's own API takes a hundred.
      ...(keywords?.length === 1 ? { keyterm: keywords[0]! } : {}),
    } satisfies NovaInput;
  },
  read(answer: unknown): Heard | null {
    const parsed = novaSchema.safeParse(answer);
    if (!parsed.success) return null;
    const [channel] = parsed.data.results.channels;
    return { text: channel?.alternatives[0]?.transcript ?? '', seconds: null };
  },
};

async function transcribe(
  run: Parameters<typeof runModel>[0],
  seconds: number,
  inputs: () => Record<string, unknown>,
  read: (answer: unknown) => Heard | null,
): Promise<{ text: string; usage: Usage }> {
  const provider = providerOf(run.model);
  const watchdog = new Watchdog(run.clock, run.signal);
  const { deadlineMs } = run.settings as WorkersAiSpeechToTextSettings;
  watchdog.expect('transcript', deadlineMs ?? defaultDeadlineMs);
  const { signal } = watchdog;
  try {
    const response = await runModel({ ...run, signal }, inputs);
    const answer = await startOfText(response, longestAnswer, signal);
    signal.throwIfAborted();
    const heard = read(JSON.parse(answer));
    if (heard === null) throw malformed(provider, 'answered with no transcription');
    return { text: heard.text, usage: { provider, audioSeconds: heard.seconds ?? seconds } };
  } catch (error) {
    throw watchdog.failure(provider) ?? toProviderError(provider, error);
  } finally {
    watchdog.close();
  }
}

function wavFile(samples: Int16Array, sampleRate: number): Uint8Array {
  const data = encodePcm16(samples);
  const header = wavHeader({ sampleRate, channels: 1, bitsPerSample: 16, dataBytes: data.length });
  const file = new Uint8Array(header.length + data.length);
  file.set(header);
  file.set(data, header.length);
  return file;
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}
