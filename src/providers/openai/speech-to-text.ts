import { z } from 'zod';
import { asPcm16 } from '../../audio/pcm.ts';
import { wavHeader } from '../../audio/wav.ts';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import type { SpeechToText, Usage } from '../ports.ts';
import { Watchdog } from '../watchdog.ts';
import { type Transcribe, WindowedSession } from '../windowed-session.ts';
import { type OpenAiRequests, type OpenAiSettings, requestOpenAi } from './client.ts';
import { malformed, toProviderError } from './errors.ts';
import { postForm } from './post-form.ts';
import { keywordsOf, languageCode, promptWith } from './transcription-hints.ts';

export interface OpenAiSpeechToTextSettings extends OpenAiSettings {
  /** Speech longer than this is transcribed while the caller still talks; 0 or Infinity: never. Default 2,000. */
  bufferMs?: number;
  /** Whether speech is transcribed at each pause, before it is known that the turn is over. Default true. */
  runAhead?: boolean;
  /** Windows being transcribed at once. Default 3. */
  maxInFlight?: number;
  /** The longest wait for one window's text, all retries included. Default 15,000. */
  deadlineMs?: number;
  /** Words to expect, or the style to write in, in the language of the audio. */
  prompt?: string;
}

const PATH = '/audio/transcriptions';
const defaultBufferMs = 2_000;
const defaultMaxInFlight = 3;
const defaultDeadlineMs = 15_000;

/** Ten minutes of the fastest speech have some 15,000 characters. */
const longestText = 50_000;

const transcriptionSchema = z.object({
  text: z.string().max(longestText),
  /** Those that were heard; empty where none could be told. `gpt-transcribe` only. */
  languages: z
    .array(z.object({ code: z.string().max(35) }))
    .nullish()
    .catch(null),
  usage: z
    .union([
      z.object({ type: z.literal('duration'), seconds: z.number() }),
      z.object({ type: z.literal('tokens'), input_tokens: z.number(), output_tokens: z.number() }),
    ])
    .nullish()
    .catch(null),
});

/**
 * Transcription of whole utterances, or of windows of long ones (see {@link WindowedSession}), as WAV files at the leg's
 * own rate: every model of the endpoint resamples by itself. When the session's signal fires, its events end quietly.
 */
export function openAiSpeechToText(
  settings: OpenAiSpeechToTextSettings,
  clock: Clock = systemClock,
  random: Random = systemRandom,
): SpeechToText {
  const requests = { provider: `openai/${settings.model}`, settings, clock, random };
  return {
    open: (options) =>
      new WindowedSession(
        (samples, signal) => transcribeWindow(requests, { ...options, samples, signal }),
        options,
        {
          provider: requests.provider,
          bufferMs: settings.bufferMs ?? defaultBufferMs,
          runAhead: settings.runAhead ?? true,
          maxInFlight: settings.maxInFlight ?? defaultMaxInFlight,
        },
      ),
  };
}

interface WindowRequest {
  samples: Int16Array;
  sampleRate: number;
  language?: string;
  keywords?: readonly string[];
  signal: AbortSignal;
}

async function transcribeWindow(
  requests: OpenAiRequests & { settings: OpenAiSpeechToTextSettings },
  request: WindowRequest,
): ReturnType<Transcribe> {
  const { provider, settings, clock } = requests;
  const watchdog = new Watchdog(clock, request.signal);
  watchdog.expect('transcript', settings.deadlineMs ?? defaultDeadlineMs);
  try {
    const { signal } = watchdog;
    const form = new FormData();
    form.append('file', wavFile(request.samples, request.sampleRate));
    form.append('model', settings.model);
    form.append('response_format', 'json');
    for (const [name, hint] of hintsOf(settings, request)) form.append(name, hint);
    const answer = await requestOpenAi(requests, signal, () => postForm(requests, PATH, form, signal));
    const parsed = transcriptionSchema.safeParse(answer);
    if (!parsed.success) throw malformed(provider, 'answered with no transcription');
    const seconds = request.samples.length / request.sampleRate;
    const { text, languages, usage } = parsed.data;
    return { text, usage: usageOf(provider, seconds, usage), language: languages?.[0]?.code ?? null };
  } catch (error) {
    throw watchdog.failure(provider) ?? toProviderError(provider, error);
  } finally {
    watchdog.close();
  }
}

/**
 * What the call tells of its language and its words, in the fields that the model knows: `keywords` are for `gpt-transcribe` alone
 * (types of the `openai` package 7.55, `TranscriptionCreateParams`); other models, and other servers', take a prompt.
 */
function hintsOf({ model, prompt }: OpenAiSpeechToTextSettings, request: WindowRequest): [string, string][] {
  const language = languageCode(request.language);
  const keywords = keywordsOf(request.keywords);
  const takesKeywords = model.startsWith('gpt-transcribe');
  const words = promptWith(prompt, takesKeywords ? [] : keywords);
  const hints: [string, string][] = [];
  if (language !== undefined) hints.push(['language', language]);
  if (takesKeywords) for (const keyword of keywords) hints.push(['keywords[]', keyword]);
  // Diarising takes no prompt.
  if (words !== null && !model.includes('diarize')) hints.push(['prompt', words]);
  return hints;
}

function wavFile(samples: Int16Array, sampleRate: number): File {
  // The file makes its own copy.
  const data = asPcm16(samples);
  const header = wavHeader({ sampleRate, channels: 1, bitsPerSample: 16, dataBytes: data.length });
  return new File([header, data], 'speech.wav', { type: 'audio/wav' });
}

function usageOf(
  provider: string,
  audioSeconds: number,
  usage: z.infer<typeof transcriptionSchema>['usage'],
): Usage {
  if (usage?.type === 'duration') return { provider, audioSeconds: usage.seconds };
  if (usage?.type === 'tokens') {
    return { provider, audioSeconds, inputTokens: usage.input_tokens, outputTokens: usage.output_tokens };
  }
  return { provider, audioSeconds };
}
