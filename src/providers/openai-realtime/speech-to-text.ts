import type { AudioTranscription } from 'openai/resources/realtime/realtime';
import { AsyncQueue } from '../../call/async-queue.ts';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import type {
  ProviderError,
  SpeechToText,
  SpeechToTextEvent,
  SpeechToTextOptions,
  SpeechToTextSession,
} from '../ports.ts';
import { type ConnectionOptions, RealtimeConnection, type SessionConfig } from './connection.ts';
import { RealtimeLink } from './link.ts';
import type { OpenAiRealtimeSettings } from './settings.ts';
import { defaultTranscriptionModel, transcriptionOf } from './transcription.ts';
import { UtteranceInput } from './utterances.ts';
import { wireFormat } from './wire-audio.ts';

export interface OpenAiRealtimeSpeechToTextSettings extends OpenAiRealtimeSettings {
  /** Default `gpt-live-transcribe`. */
  model?: string;
  /** What the calls are about, for the transcriber. */
  prompt?: string;
  /** How long the model may wait for context: longer is more accurate. Absent: the model's own. */
  delay?: AudioTranscription['delay'];
  /**
   * The longest wait for the final text of an utterance; then once more on a new connection. Default 3,500: twice the p99 of 1.66 s
   * that Pipecat publishes for OpenAI's realtime transcription (`stt_latency.py`).
   */
  finalMs?: number;
  /**
   * At a pause, the interim text counts as settled (`stable`) when no delta has come for so long. Default 250. The API does not tell
   * how much of the audio a delta covers, so this is an estimate: where a word still comes, another interim text follows, and the
   * final text decides.
   */
  settleMs?: number;
  /** The most audio of one utterance that is kept to be sent again after a lost connection. Default 60,000. */
  keepMs?: number;
}

const defaultFinalMs = 3_500;
const defaultSettleMs = 250;
const defaultKeepMs = 60_000;

/**
 * Streaming transcription over one WebSocket for each session, without the server's turn detection: the call commits each utterance.
 * At 8 kHz the leg's μ-law goes out as it is. What was unfinished when a connection is lost is sent again on the next one.
 */
export function openAiRealtimeSpeechToText(
  settings: OpenAiRealtimeSpeechToTextSettings,
  clock: Clock = systemClock,
  random: Pick<Random, 'fraction'> = systemRandom,
): SpeechToText {
  const model = settings.model ?? defaultTranscriptionModel;
  const session = (options: Partial<SpeechToTextOptions>): SessionConfig => ({
    type: 'transcription',
    audio: {
      input: {
        format: wireFormat(options.sampleRate ?? 8000),
        transcription: transcriptionOf({ ...settings, ...options, model }),
        turn_detection: null,
      },
    },
  });
  const connection = (options: Partial<SpeechToTextOptions>): ConnectionOptions => ({
    provider: `openai/${model}`,
    settings,
    // With a model in the address the session is a conversation and refuses to transcribe
    // (https://developers.openai.com/api/docs/guides/realtime-transcription, "Create a transcription session").
    query: { intent: 'transcription' },
    session: session(options),
    clock,
  });
  const closing = new AbortController();
  let warm: Promise<RealtimeConnection> | null = null;

  return {
    warm() {
      if (warm !== null || closing.signal.aborted) return;
      warm = RealtimeConnection.open(connection({}), closing.signal);
      warm.catch(() => {});
    },
    open(options) {
      const ready = warm;
      warm = null;
      const first = async (signal: AbortSignal): Promise<RealtimeConnection> => {
        const warmed = await ready?.catch(() => null);
        if (warmed == null) return RealtimeConnection.open(connection(options), signal);
        // The port's options are known only now.
        await warmed.configure(session(options));
        return warmed;
      };
      return new RealtimeTranscription(
        { ...connection(options), random, ...(ready === null ? {} : { first }) },
        settings,
        options,
      );
    },
    close() {
      closing.abort();
      void warm?.then((unused) => unused.close()).catch(() => {});
      warm = null;
    },
  };
}

class RealtimeTranscription implements SpeechToTextSession {
  readonly events: AsyncIterable<SpeechToTextEvent>;
  readonly #queue = new AsyncQueue<SpeechToTextEvent>();
  readonly #signal: AbortSignal;
  readonly #input: UtteranceInput;
  readonly #link: RealtimeLink;
  /** What was understood of it, but not read, must not be shown any more. */
  readonly #discarded = new WeakSet<SpeechToTextEvent>();
  #interims: SpeechToTextEvent[] = [];

  constructor(
    options: ConnectionOptions & {
      random: Pick<Random, 'fraction'>;
      first?: (signal: AbortSignal) => Promise<RealtimeConnection>;
    },
    settings: OpenAiRealtimeSpeechToTextSettings,
    { sampleRate, language, signal }: SpeechToTextOptions,
  ) {
    this.#signal = signal;
    this.events = this.#iterate();
    this.#input = new UtteranceInput({
      sampleRate,
      provider: options.provider,
      clock: options.clock,
      finalMs: settings.finalMs ?? defaultFinalMs,
      settleMs: settings.settleMs ?? defaultSettleMs,
      keepMs: settings.keepMs ?? defaultKeepMs,
      tellLanguage: language === undefined,
      emit: (event) => {
        if (event.type === 'interim' && event.utterance === this.#input.current.number) {
          this.#interims.push(event);
        }
        this.#queue.push(event);
      },
      retry: (error) => this.#link.replace(error),
    });
    this.#link = new RealtimeLink({
      ...options,
      client: {
        opened: (connection) => {
          this.#input.attach(connection);
          this.#input.resend();
        },
        event: (event) => {
          this.#input.take(event);
          this.#link.settled();
        },
        dropped: () => this.#input.attach(null),
        failed: (error: ProviderError) => this.#input.fail(error),
        busy: () => this.#input.busy,
        mayProbe: () => !this.#input.spoken,
      },
    });
    if (signal.aborted) this.#close();
    else {
      signal.addEventListener('abort', () => this.#close(), { once: true });
      this.#link.start();
    }
  }

  push(samples: Int16Array): void {
    if (this.#signal.aborted) return;
    this.#link.start(true);
    this.#input.push(samples);
  }

  pause(): void {
    if (!this.#signal.aborted) this.#input.pause();
  }

  endUtterance(): number {
    this.#interims = [];
    if (this.#signal.aborted) return this.#input.current.number;
    this.#link.start();
    const { number } = this.#input.end();
    this.#link.settled();
    return number;
  }

  discardUtterance(): void {
    if (this.#signal.aborted) return;
    for (const event of this.#interims) this.#discarded.add(event);
    this.#interims = [];
    this.#input.discard();
    this.#link.settled();
  }

  async *#iterate(): AsyncGenerator<SpeechToTextEvent, void, void> {
    for await (const event of this.#queue) {
      if (this.#signal.aborted) return;
      if (this.#discarded.has(event)) continue;
      yield event;
      if (this.#signal.aborted) return;
    }
  }

  #close(): void {
    this.#input.close();
    this.#link.close();
    this.#queue.end();
  }
}
