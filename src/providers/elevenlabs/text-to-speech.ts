import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import { AttemptFailed, unlessAborted, withAttempts } from '../attempts.ts';
import { bytesOf, startOfText } from '../bodies.ts';
import { GivenUp } from '../given-up.ts';
import { ProviderError, type TextToSpeech } from '../ports.ts';
import { speechFromBytes } from '../raw-speech.ts';
import { streamedRequest } from '../streamed-request.ts';
import { Watchdog } from '../watchdog.ts';
import { Connections, inactivitySeconds } from './connections.ts';
import { failureOfResponse } from './errors.ts';
import type { MultiContextSocket } from './multi-context-socket.ts';
import {
  type ElevenLabsSettings,
  elevenLabsDefaults,
  encodingOf,
  languageCodeOf,
  type ResolvedSettings,
  type SpeechTarget,
  wireVoiceSettings,
} from './settings.ts';

/** Where no socket could be had, sentences go by HTTP for so long: each further attempt would cost its caller `connectMs`. */
const withoutSocketMs = 60_000;

/** Characters of an error's body that are read. */
const longestErrorBody = 10_000;

/** What a body of raw audio may call itself. */
const rawTypes = /^(?:audio\/(?!mpeg|mp3|ogg|wav|x-wav|opus)|(?:application|binary)\/octet-stream)/i;

/** The audio of one attempt, of which the first piece has arrived. */
type Pieces = AsyncIterable<Uint8Array>;

/**
 * ElevenLabs' streaming speech, μ-law at 8 kHz and PCM at 16 kHz, neither converted. One provider serves one call: it holds the call's
 * sockets until `close`. When the signal fires, the iteration ends quietly.
 *
 * A request that fails before its first audio is tried again, see `maxRetries`. A used-up quota is `rate_limited`, and is not tried
 * again; an unknown voice or model is `rejected`.
 */
export function elevenLabsTextToSpeech(
  settings: ElevenLabsSettings,
  clock: Clock = systemClock,
  random: Random = systemRandom,
): TextToSpeech {
  const voice = new ElevenLabsVoice({ ...elevenLabsDefaults, ...settings }, clock, random);
  return {
    warm: (as) => voice.warm(as),
    close: () => voice.close(),
    speak: (request, signal) => {
      const provider = voice.provider;
      return streamedRequest({ provider, clock, signal, toProviderError }, (watchdog) =>
        speechFromBytes(voice.pieces(request.text, { ...request, ...voice.own }, watchdog), {
          provider,
          encoding: encodingOf(request.sampleRate).encoding,
          sampleRate: request.sampleRate,
          characters: request.text.length,
          idleMs: voice.idleMs,
          watchdog,
        }),
      );
    },
  };
}

class ElevenLabsVoice {
  readonly provider: string;
  readonly idleMs: number;
  /** The voice that speaks whichever is asked for. */
  readonly own: { voice?: string };
  readonly #settings: ResolvedSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #connections: Connections;
  #socketsFrom = 0;

  constructor(settings: ResolvedSettings, clock: Clock, random: Random) {
    this.provider = `elevenlabs/${settings.model}`;
    this.idleMs = settings.idleMs;
    this.own = settings.voice === undefined ? {} : { voice: settings.voice };
    this.#settings = settings;
    this.#clock = clock;
    this.#random = random;
    this.#connections = new Connections({
      provider: this.provider,
      headers: { 'xi-api-key': settings.apiKey },
      clock,
      connectMs: settings.connectMs,
      ...(settings.dial === undefined ? {} : { dial: settings.dial }),
    });
  }

  warm(as: SpeechTarget): void {
    if (this.#settings.transport !== 'http') this.#connections.warm(this.#socketUrl({ ...as, ...this.own }));
  }

  close(): void {
    this.#connections.close();
  }

  async *pieces(text: string, target: SpeechTarget, watchdog: Watchdog): Pieces {
    const { maxRetries, firstAudioMs, attemptMs } = this.#settings;
    watchdog.expect('audio', firstAudioMs);
    const options = { maxRetries, clock: this.#clock, random: this.#random, signal: watchdog.signal };
    yield* await withAttempts(() => this.#attempt(text, target, watchdog.signal, attemptMs), options);
  }

  /** Waits for the first audio. */
  async #attempt(text: string, target: SpeechTarget, signal: AbortSignal, withinMs: number): Promise<Pieces> {
    const first = new Watchdog(this.#clock, signal);
    first.expect('audio', withinMs);
    try {
      const pieces = (await this.#byWhatCanBeHad(text, target, first.signal))[Symbol.asyncIterator]();
      try {
        const { done, value } = await unlessAborted(pieces.next(), first.signal);
        first.signal.throwIfAborted();
        return done ? none() : from(value, pieces);
      } catch (error) {
        void pieces.return?.().then(undefined, () => {});
        throw error;
      }
    } catch (error) {
      if (signal.aborted || error instanceof AttemptFailed || error instanceof ProviderError) throw error;
      if (first.expired === null) throw new AttemptFailed(toProviderError(this.provider, error), true);
      const late = `${this.provider}: ${first.expired}`;
      throw new AttemptFailed(new ProviderError(this.provider, 'timeout', late), true);
    } finally {
      // Not closed: what is read from now on heeds the caller's signal.
      first.relax();
    }
  }

  async #byWhatCanBeHad(text: string, target: SpeechTarget, signal: AbortSignal): Promise<Pieces> {
    const wanted = this.#settings.transport !== 'http' && this.#clock.now() >= this.#socketsFrom;
    if (wanted) {
      try {
        const socket = await this.#connections.take(this.#socketUrl(target), signal);
        return spoken(socket, text, wireVoiceSettings(this.#settings.voiceSettings), signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof ProviderError)) throw error;
        // Another way would be refused as well.
        if (error.failure === 'unauthorized') throw new AttemptFailed(error, false);
        if (error.failure === 'rate_limited') throw new AttemptFailed(error, true);
        this.#socketsFrom = this.#clock.now() + withoutSocketMs;
      }
    }
    return this.#overHttp(text, target, signal);
  }

  /** elevenlabs.io/docs/api-reference/text-to-speech/stream. */
  async #overHttp(text: string, target: SpeechTarget, signal: AbortSignal): Promise<Pieces> {
    const { apiKey, model, enableLogging, voiceSettings } = this.#settings;
    const language = languageCodeOf(model, target.language);
    const voice = wireVoiceSettings(voiceSettings);
    const url = this.#url(target.voice, 'stream');
    url.searchParams.set('output_format', encodingOf(target.sampleRate).format);
    if (enableLogging === false) url.searchParams.set('enable_logging', 'false');
    let response: Response;
    try {
      response = await fetch(url.href, {
        method: 'POST',
        headers: { 'xi-api-key': apiKey, 'content-type': 'application/json' },
        body: JSON.stringify({
          text,
          model_id: model,
          ...(language === undefined ? {} : { language_code: language }),
          ...(voice === null ? {} : { voice_settings: voice }),
        }),
        signal,
      });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new AttemptFailed(toProviderError(this.provider, error), true);
    }
    if (!response.ok) {
      const body = await startOfText(response, longestErrorBody, signal);
      throw failureOfResponse(this.provider, response, body, this.#clock);
    }
    const type = response.headers.get('content-type');
    if (response.body === null || (type !== null && !rawTypes.test(type))) {
      response.body?.cancel().catch(() => {});
      const what = type === null ? 'nothing' : type.slice(0, 100);
      throw new AttemptFailed(
        new ProviderError(this.provider, 'malformed', `${this.provider}: answered with ${what}`),
        false,
      );
    }
    return bytesOf(response.body as ReadableStream<Uint8Array>, signal);
  }

  /** elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input. */
  #socketUrl(target: SpeechTarget): string {
    const { model, enableLogging } = this.#settings;
    const language = languageCodeOf(model, target.language);
    const url = this.#url(target.voice, 'multi-stream-input');
    url.protocol = url.protocol.replace('http', 'ws');
    url.searchParams.set('model_id', model);
    url.searchParams.set('output_format', encodingOf(target.sampleRate).format);
    if (language !== undefined) url.searchParams.set('language_code', language);
    url.searchParams.set('inactivity_timeout', String(inactivitySeconds));
    if (enableLogging === false) url.searchParams.set('enable_logging', 'false');
    return url.href;
  }

  #url(voice: string, way: string): URL {
    const base = this.#settings.baseUrl.replace(/\/$/, '');
    return new URL(`${base}/v1/text-to-speech/${encodeURIComponent(voice)}/${way}`);
  }
}

async function* spoken(
  socket: MultiContextSocket,
  text: string,
  voiceSettings: Record<string, unknown> | null,
  signal: AbortSignal,
): Pieces {
  signal.throwIfAborted();
  const context = socket.speak(text, voiceSettings);
  const stop = (): void => {
    context.cancel();
    // Nothing came in time: the connection may be dead, and the next sentence must not wait for it as well.
    if (signal.reason instanceof GivenUp) socket.retire();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    yield* context.pieces;
  } finally {
    signal.removeEventListener('abort', stop);
    context.cancel();
  }
}

async function* from(first: Uint8Array, rest: AsyncIterator<Uint8Array>): Pieces {
  try {
    yield first;
    for (;;) {
      const { done, value } = await rest.next();
      if (done) return;
      yield value;
    }
  } finally {
    await rest.return?.();
  }
}

async function* none(): Pieces {}

function toProviderError(provider: string, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  if (error instanceof AttemptFailed) return error.error;
  // What fetch and response bodies throw when the connection breaks has no class of its own in any runtime.
  return new ProviderError(provider, 'unavailable', `${provider}: the connection broke`, { cause: error });
}
