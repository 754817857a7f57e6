import type { AiModels } from '@cloudflare/workers-types';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import { bytesOf } from '../bodies.ts';
import type { TextToSpeech, TextToSpeechRequest } from '../ports.ts';
import { speechFromBytes } from '../raw-speech.ts';
import { malformed, streamedRequest } from '../streamed-request.ts';
import type { Watchdog } from '../watchdog.ts';
import { type ModelRun, providerOf, runModel, toProviderError, type WorkersAiSettings } from './binding.ts';

export interface WorkersAiTextToSpeechSettings extends WorkersAiSettings {
  /** Default `@cf/deepgram/aura-2-en`, and `@cf/deepgram/aura-2-es` for Spanish. */
  model?: string;
  /** A speaker of the model, e.g. `luna`; speaks in place of the voice that is asked for, which is another provider's. */
  voice?: string;
  /** The longest wait for the first audio, all attempts included. Default 10,000. */
  firstAudioMs?: number;
  /** The longest wait for more audio. Default 5,000. */
  idleMs?: number;
}

// No p99 of the first audio is published (peers.md: Aura-2 p50 313 ms): OpenAI's.
const defaultFirstAudioMs = 10_000;
const defaultIdleMs = 5_000;

type AuraInput = AiModels['@cf/deepgram/aura-2-en']['inputs'];

/** What a body of raw audio may call itself; the model's page says `audio/mpeg`, whichever encoding is asked for. */
const audioTypes = /^(?:audio\/|(?:application|binary)\/octet-stream\b)/i;

/**
 * Deepgram's Aura-2 on Workers AI: μ-law at 8 kHz, PCM at 16 kHz, without a container and without conversion
 * (developers.cloudflare.com/workers-ai/models/aura-2-en/). When the signal fires, the iteration ends quietly. A file in place of raw
 * audio is `malformed`: played, it would be noise.
 */
export function workersAiTextToSpeech(
  settings: WorkersAiTextToSpeechSettings,
  clock: Clock = systemClock,
  random: Random = systemRandom,
): TextToSpeech {
  return {
    speak(request, signal) {
      const model = modelFor(settings, request.language);
      const provider = providerOf(model);
      return streamedRequest({ provider, clock, signal, toProviderError }, (watchdog) => {
        watchdog.expect('audio', settings.firstAudioMs ?? defaultFirstAudioMs);
        const run = { settings, model, clock, random, signal: watchdog.signal };
        return speechFromBytes(pieces(run, request, settings.voice ?? request.voice, watchdog), {
          provider,
          encoding: request.sampleRate === 8000 ? 'mulaw' : 'pcm16',
          sampleRate: request.sampleRate,
          characters: request.text.length,
          idleMs: settings.idleMs ?? defaultIdleMs,
          watchdog,
        });
      });
    },
  };
}

async function* pieces(
  run: ModelRun,
  request: TextToSpeechRequest,
  voice: string,
  watchdog: Watchdog,
): AsyncGenerator<Uint8Array, void, void> {
  const { signal } = watchdog;
  const provider = providerOf(run.model);
  const inputs = {
    text: request.text,
    speaker: speakerOf(voice) as NonNullable<AuraInput['speaker']>,
    encoding: request.sampleRate === 8000 ? 'mulaw' : 'linear16',
    container: 'none',
    sample_rate: request.sampleRate,
  } satisfies AuraInput;
  const response = await runModel(run, () => inputs);
  const type = response.headers.get('content-type');
  if (response.body === null || (type !== null && !audioTypes.test(type))) {
    response.body?.cancel().catch(() => {});
    throw malformed(provider, `answered with ${type?.slice(0, 100) ?? 'nothing'}`);
  }
  let start: Uint8Array | null = new Uint8Array(0);
  for await (const piece of bytesOf(response.body as ReadableStream<Uint8Array>, signal)) {
    if (start === null) {
      yield piece;
      continue;
    }
    const joined: Uint8Array = new Uint8Array(start.length + piece.length);
    joined.set(start);
    joined.set(piece, start.length);
    start = joined;
    if (start.length < longestMagic) continue;
    if (isFile(start)) throw malformed(provider, 'answered with a file in place of raw audio');
    yield start;
    start = null;
  }
  if (start !== null) yield start;
}

const longestMagic = 4;

/** WAV, Ogg, FLAC, and MP3 with or without a tag. Speech begins in silence, which none of them resembles. */
function isFile(bytes: Uint8Array): boolean {
  const tag = String.fromCharCode(...bytes.subarray(0, longestMagic));
  if (tag === 'RIFF' || tag === 'OggS' || tag === 'fLaC' || tag.startsWith('ID3')) return true;
  const [sync, version, rates] = bytes as unknown as [number, number, number];
  // ISO 11172-3 layer III: no frame has bit rate 15 or sample rate 3.
  return (
    sync === 0xff && [0xfa, 0xfb, 0xf2, 0xf3].includes(version) && rates >> 4 !== 15 && (rates & 12) !== 12
  );
}

/** Deepgram's own names of its voices are understood as well: `aura-2-luna-en` is `luna`. */
function speakerOf(voice: string): string {
  return /^aura-2-([a-z]+)-[a-z]{2}$/.exec(voice)?.[1] ?? voice;
}

function modelFor(settings: WorkersAiTextToSpeechSettings, language: string | undefined): string {
  if (settings.model !== undefined) return settings.model;
  return language?.split('-')[0]?.toLowerCase() === 'es'
    ? '@cf/deepgram/aura-2-es'
    : '@cf/deepgram/aura-2-en';
}
