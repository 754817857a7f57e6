import { decodeMulaw } from '../../audio/g711.ts';
import { decodePcm16 } from '../../audio/pcm.ts';
import { type Clock, systemClock, systemRandom } from '../../call/clock.ts';
import type { ProviderError, TextToSpeech, TextToSpeechEvent, TextToSpeechRequest } from '../ports.ts';
import { Watchdog } from '../watchdog.ts';
import {
  backOffMs,
  type DeepgramSettings,
  deepgramUrl,
  defaultMaxRetries,
  failed,
  isRetryable,
  wait,
} from './settings.ts';
import { SpeakConnection, type SpeakJob } from './speak-connection.ts';

export interface DeepgramTextToSpeechSettings extends DeepgramSettings {
  /** Speaks in place of the voice that is asked for, which is another provider's. E.g. `aura-2-thalia-en`. */
  voice?: string;
  /** 0.7 to 1.5; absent: 1. Not every language has it. */
  speed?: number;
  /** The longest wait for one attempt's first audio, once the text is sent. Default 3,000: Aura-2's median is 313 (Coval, May 2026). */
  answerMs?: number;
  /** The longest wait for the first audio, all retries included. Default 10,000. */
  firstAudioMs?: number;
  /** The longest wait for more audio. Default 5,000. */
  idleMs?: number;
}

const defaultAnswerMs = 3_000;
const defaultFirstAudioMs = 10_000;
const defaultIdleMs = 5_000;

/** An agent speaks with one voice, seldom with one for each of a few languages. */
const MOST_CONNECTIONS = 3;

/**
 * Aura over `/v1/speak`: https://developers.deepgram.com/reference/text-to-speech/speak-streaming. One connection a voice, which
 * says sentence after sentence; sentences that are asked for at once are said one after the other. μ-law at 8 kHz, linear PCM at
 * 16 kHz. When the signal fires, the iteration ends quietly, and the vendor is told to stop. Audio that breaks off fails with
 * `unavailable` or `timeout` after what it had yielded; empty audio with `malformed`.
 */
export function deepgramTextToSpeech(
  settings: DeepgramTextToSpeechSettings,
  clock: Clock = systemClock,
): TextToSpeech {
  const connections = new SpeakConnections(settings, clock);
  return {
    warm({ voice, sampleRate }) {
      if (!connections.closed) connections.for(settings.voice ?? voice, sampleRate);
    },
    close: () => connections.close(),
    async *speak(request, signal) {
      const voice = settings.voice ?? request.voice;
      const watchdog = new Watchdog(clock, signal);
      try {
        yield* speechFrom(connections, settings, clock, { ...request, voice }, watchdog);
      } catch (error) {
        if (signal.aborted) return;
        if (watchdog.expired !== null) throw failed(`deepgram/${voice}`, 'timeout', watchdog.expired);
        throw error;
      } finally {
        watchdog.close();
      }
    },
  };
}

/** The call's connections, by voice and rate. */
class SpeakConnections {
  readonly #settings: DeepgramTextToSpeechSettings;
  readonly #clock: Clock;
  readonly #open = new Map<string, SpeakConnection>();
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  constructor(settings: DeepgramTextToSpeechSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** One that can take another text. */
  for(voice: string, sampleRate: 8000 | 16000): SpeakConnection {
    if (this.#closed) throw failed(`deepgram/${voice}`, 'unavailable', 'the call is over');
    const key = `${sampleRate} ${voice}`;
    const there = this.#open.get(key);
    this.#open.delete(key);
    if (there?.usable) {
      // The last is the one that was used last.
      this.#open.set(key, there);
      return there;
    }
    there?.retire();
    for (const [oldest, connection] of this.#open) {
      if (this.#open.size < MOST_CONNECTIONS) break;
      this.#open.delete(oldest);
      connection.retire();
    }
    return this.#connect(key, voice, sampleRate, false);
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#open.values()) connection.close();
    this.#open.clear();
  }

  #connect(key: string, voice: string, sampleRate: 8000 | 16000, renewed: boolean): SpeakConnection {
    const connection: SpeakConnection = new SpeakConnection({
      provider: `deepgram/${voice}`,
      url: deepgramUrl(this.#settings, '/v1/speak', {
        model: voice,
        encoding: sampleRate === 8000 ? 'mulaw' : 'linear16',
        sample_rate: sampleRate,
        speed: this.#settings.speed,
      }),
      settings: this.#settings,
      clock: this.#clock,
      answerMs: this.#settings.answerMs ?? defaultAnswerMs,
      lost: (idle) => {
        if (this.#open.get(key) !== connection) return;
        this.#open.delete(key);
        // For the next sentence; but not for ever, where the vendor closes whatever is idle.
        const useful = !renewed || connection.served > 0;
        if (idle && useful && !this.#closed) this.#connect(key, voice, sampleRate, true);
      },
    });
    this.#open.set(key, connection);
    return connection;
  }
}

async function* speechFrom(
  connections: SpeakConnections,
  settings: DeepgramTextToSpeechSettings,
  clock: Clock,
  request: TextToSpeechRequest,
  watchdog: Watchdog,
): AsyncGenerator<TextToSpeechEvent, void, void> {
  const { signal } = watchdog;
  const maxRetries = settings.maxRetries ?? defaultMaxRetries;
  watchdog.expect('audio', settings.firstAudioMs ?? defaultFirstAudioMs);
  for (let retries = 0, renewals = 0; ; ) {
    signal.throwIfAborted();
    const connection = connections.for(request.voice, request.sampleRate);
    const job = connection.speak(request.text);
    const cancel = () => connection.cancel(job);
    signal.addEventListener('abort', cancel, { once: true });
    let error: ProviderError | null;
    try {
      yield* audioOf(job, settings, request, watchdog);
      error = job.error;
    } finally {
      // A consumer that stops reading has interrupted the sentence as well.
      cancel();
      signal.removeEventListener('abort', cancel);
    }
    signal.throwIfAborted();
    if (error === null) return;
    if (job.bytes > 0 || !isRetryable(error)) throw error;
    if (job.reused && error.failure === 'unavailable' && renewals++ === 0) continue;
    if (retries >= maxRetries) throw error;
    await wait(clock, backOffMs(retries++, systemRandom.fraction()), signal);
  }
}

async function* audioOf(
  job: SpeakJob,
  settings: DeepgramTextToSpeechSettings,
  request: TextToSpeechRequest,
  watchdog: Watchdog,
): AsyncGenerator<TextToSpeechEvent, void, void> {
  const { signal } = watchdog;
  let begun = false;
  let half: Uint8Array = new Uint8Array(0);
  for await (const bytes of job.audio) {
    signal.throwIfAborted();
    watchdog.relax();
    if (!begun) {
      begun = true;
      // First, since an interrupted sentence is charged as well.
      const usage = { provider: `deepgram/${request.voice}`, characters: request.text.length };
      yield { type: 'usage', usage };
      if (signal.aborted) return;
    }
    let samples: Int16Array;
    if (request.sampleRate === 8000) {
      samples = decodeMulaw(bytes);
    } else {
      const joined = new Uint8Array(half.length + bytes.length);
      joined.set(half);
      joined.set(bytes, half.length);
      const whole = joined.length - (joined.length % 2);
      half = joined.slice(whole);
      samples = decodePcm16(joined.subarray(0, whole));
    }
    if (samples.length > 0) yield { type: 'audio', samples };
    if (signal.aborted) return;
    watchdog.expect('more audio', settings.idleMs ?? defaultIdleMs);
  }
}
