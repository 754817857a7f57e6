import type OpenAI from 'openai';
import { decodePcm16 } from '../../audio/pcm.ts';
import { Resampler, resamplerRates } from '../../audio/resample.ts';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import type { TextToSpeech, TextToSpeechEvent, TextToSpeechRequest } from '../ports.ts';
import { malformed, streamedRequest } from '../streamed-request.ts';
import type { Watchdog } from '../watchdog.ts';
import { createOpenAiClient, type OpenAiRequests, type OpenAiSettings, requestOpenAi } from './client.ts';
import { toProviderError } from './errors.ts';

export interface OpenAiTextToSpeechSettings extends OpenAiSettings {
  /** How to speak; `tts-1` and `tts-1-hd` do not know it. */
  instructions?: string;
  /** Speaks in place of the voice that is asked for, which is another provider's. */
  voice?: string;
  /** 0.25 to 4; absent: 1. */
  speed?: number;
  /** The longest wait for the first audio, all retries included. Default 10,000. */
  firstAudioMs?: number;
  /** The longest wait for more audio. Default 5,000. */
  idleMs?: number;
}

const defaultFirstAudioMs = 10_000;
const defaultIdleMs = 5_000;

/** `response_format: 'pcm'` is 24 kHz, 16-bit, little-endian, mono, without a header (OpenAI, "Text to speech"). */
const pcmRate = 24_000;

/** The API takes at most 4,096 characters, some five minutes of speech: more comes from a broken server. */
const longestAudioSeconds = 600;

/** What a body of headerless PCM may call itself; a rate may follow, e.g. `audio/pcm;rate=16000`. */
const pcmTypes = /^(?:audio\/(?:x-)?(?:pcm|raw)|(?:application|binary)\/octet-stream)\s*(?:;|$)/i;

/**
 * Speech as raw PCM, converted to the leg's rate while it arrives. When the signal fires, the iteration ends quietly.
 * An answer that is no audio, or holds none, fails with `malformed`; one that breaks off with `unavailable`, after what
 * it had yielded.
 */
export function openAiTextToSpeech(
  settings: OpenAiTextToSpeechSettings,
  clock: Clock = systemClock,
  random: Random = systemRandom,
): TextToSpeech {
  const client = createOpenAiClient(settings);
  const provider = `openai/${settings.model}`;
  return {
    speak: (request, signal) =>
      streamedRequest({ provider, clock, signal, toProviderError }, (watchdog) =>
        speechFrom(client, { settings, provider, clock, random }, request, watchdog),
      ),
  };
}

async function* speechFrom(
  client: OpenAI,
  requests: OpenAiRequests & { settings: OpenAiTextToSpeechSettings },
  request: TextToSpeechRequest,
  watchdog: Watchdog,
): AsyncGenerator<TextToSpeechEvent, void, void> {
  const { settings, provider } = requests;
  const { signal } = watchdog;
  watchdog.expect('audio', settings.firstAudioMs ?? defaultFirstAudioMs);
  const body = {
    model: settings.model,
    input: request.text,
    voice: settings.voice ?? request.voice,
    response_format: 'pcm' as const,
    ...(settings.instructions === undefined ? {} : { instructions: settings.instructions }),
    ...(settings.speed === undefined ? {} : { speed: settings.speed }),
  };
  const response = await requestOpenAi(requests, signal, () => client.audio.speech.create(body, { signal }));
  const rate = rateOf(provider, response.headers.get('content-type'));
  if (response.body === null) throw malformed(provider, 'answered without audio');
  const resampler = new Resampler(rate, request.sampleRate);
  const reader = response.body.getReader();
  let half: Uint8Array = new Uint8Array(0);
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (signal.aborted) signal.throwIfAborted();
      if (done) break;
      if (value.length === 0) continue;
      watchdog.relax();
      if (bytes === 0) {
        // First, since an interrupted sentence is charged as well.
        yield { type: 'usage', usage: { provider, characters: request.text.length } };
        if (signal.aborted) return;
      }
      bytes += value.length;
      if (bytes > longestAudioSeconds * rate * 2) throw malformed(provider, 'sent audio without end');
      const joined = half.length === 0 ? value : concatenate(half, value);
      const whole = joined.length - (joined.length % 2);
      half = joined.slice(whole);
      const samples = resampler.push(decodePcm16(joined.subarray(0, whole)));
      if (samples.length > 0) yield { type: 'audio', samples };
      if (signal.aborted) return;
      watchdog.expect('more audio', settings.idleMs ?? defaultIdleMs);
    }
  } finally {
    // Never waited for: a vendor that hangs would hold the call.
    reader.cancel().catch(() => {});
  }
  if (bytes < 2) throw malformed(provider, 'answered with empty audio');
  const rest = resampler.flush();
  if (rest.length > 0) yield { type: 'audio', samples: rest };
}

/** Rate of the body's samples. A page or a JSON object sent with status 200 must not be played. */
function rateOf(provider: string, type: string | null): number {
  if (type === null) return pcmRate;
  if (!pcmTypes.test(type)) throw malformed(provider, `answered with ${type.slice(0, 100)}`);
  const stated = /;\s*rate=(\d{1,6})\b/i.exec(type)?.[1];
  if (stated === undefined) return pcmRate;
  const rate = Number(stated);
  if (!(resamplerRates as readonly number[]).includes(rate)) {
    throw malformed(provider, `answered with audio of ${rate} Hz`);
  }
  return rate;
}

function concatenate(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
