import type { AudioTranscription, RealtimeReasoningEffort } from 'openai/resources/realtime/realtime';
import { AsyncQueue } from '../../call/async-queue.ts';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import type { Message, ProviderError } from '../ports.ts';
import type {
  SpeechToSpeech,
  SpeechToSpeechEvent,
  SpeechToSpeechOptions,
  SpeechToSpeechSession,
} from '../speech-to-speech.ts';
import type { SessionConfig } from './connection.ts';
import { Conversation } from './conversation.ts';
import { RealtimeLink } from './link.ts';
import { defaultMaxRetries, type OpenAiRealtimeSettings } from './settings.ts';
import { SpokenResponses } from './spoken-responses.ts';
import { defaultTranscriptionModel, transcriptionOf } from './transcription.ts';
import { UtteranceInput } from './utterances.ts';
import { wireFormat } from './wire-audio.ts';

export interface OpenAiRealtimeSpeechToSpeechSettings extends OpenAiRealtimeSettings {
  /** Default `gpt-realtime-2.1`. */
  model?: string;
  /** Writes down what the caller said, beside the model. Default `gpt-live-transcribe`. */
  transcriptionModel?: string;
  transcriptionDelay?: AudioTranscription['delay'];
  /** Speaks in place of the voice that is asked for. */
  voice?: string;
  /** 0.25 to 1.5; absent: 1. */
  speed?: number;
  /** How long a reasoning model may think before it speaks; absent: the model's own. */
  reasoningEffort?: RealtimeReasoningEffort;
  /** The longest wait for the first piece of a response; then once more on a new connection. Default 4,000: twice the p95 on telephone calls. */
  firstAudioMs?: number;
  /** The longest wait for the next piece. Default 5,000. */
  idleMs?: number;
  /** The longest wait for the transcript of an utterance. Default 5,000. */
  finalMs?: number;
  /** See the speech-to-text settings. */
  settleMs?: number;
  keepMs?: number;
}

const defaultModel = 'gpt-realtime-2.1';
const defaultFirstAudioMs = 4_000;
const defaultIdleMs = 5_000;
const defaultFinalMs = 5_000;
const defaultSettleMs = 250;
const defaultKeepMs = 60_000;
/** The API's own bound of one response. */
const mostOutputTokens = 4_096;

/**
 * Conversations with one model that hears and speaks (https://developers.openai.com/api/docs/guides/realtime-conversations), with the server's
 * turn detection off: the call ends utterances and asks for responses. A session that is lost or at its limit is followed by
 * another one, which is told in words what was said.
 */
export function openAiRealtimeSpeechToSpeech(
  settings: OpenAiRealtimeSpeechToSpeechSettings,
  clock: Clock = systemClock,
  random: Pick<Random, 'fraction'> = systemRandom,
): SpeechToSpeech {
  const sessions = new Set<RealtimeConversation>();
  return {
    provider: providerOf(settings),
    open(options) {
      const session = new RealtimeConversation(settings, options, clock, random);
      sessions.add(session);
      return session;
    },
    close() {
      for (const session of sessions) session.close();
      sessions.clear();
    },
  };
}

function providerOf({ model = defaultModel }: OpenAiRealtimeSpeechToSpeechSettings): string {
  return `openai/${model}`;
}

class RealtimeConversation implements SpeechToSpeechSession {
  readonly events: AsyncIterable<SpeechToSpeechEvent>;
  readonly #options: SpeechToSpeechOptions;
  readonly #queue = new AsyncQueue<SpeechToSpeechEvent>();
  readonly #conversation = new Conversation();
  readonly #input: UtteranceInput;
  readonly #responses: SpokenResponses;
  readonly #link: RealtimeLink;
  readonly #unwanted = new Set<number>();
  #lost: ProviderError | null = null;
  #over = false;

  constructor(
    settings: OpenAiRealtimeSpeechToSpeechSettings,
    options: SpeechToSpeechOptions,
    clock: Clock,
    random: Pick<Random, 'fraction'>,
  ) {
    const { sampleRate, language, signal } = options;
    const model = settings.model ?? defaultModel;
    const provider = providerOf(settings);
    this.#options = options;
    this.events = this.#iterate();
    const emit = (event: SpeechToSpeechEvent) => this.#queue.push(event);
    this.#input = new UtteranceInput({
      sampleRate,
      clock,
      emit,
      provider: `openai/${settings.transcriptionModel ?? defaultTranscriptionModel}`,
      finalMs: settings.finalMs ?? defaultFinalMs,
      settleMs: settings.settleMs ?? defaultSettleMs,
      keepMs: settings.keepMs ?? defaultKeepMs,
      tellLanguage: language === undefined,
    });
    this.#responses = new SpokenResponses({
      sampleRate,
      provider,
      clock,
      random,
      emit,
      conversation: this.#conversation,
      firstAudioMs: settings.firstAudioMs ?? defaultFirstAudioMs,
      idleMs: settings.idleMs ?? defaultIdleMs,
      maxRetries: settings.maxRetries ?? defaultMaxRetries,
      replace: (error) => this.#link.replace(error),
      settled: () => this.#link.settled(),
    });
    for (const message of options.history ?? []) this.#conversation.addMessage(message);
    this.#link = new RealtimeLink({
      provider,
      settings,
      clock,
      random,
      query: { model },
      session: sessionOf(settings, options),
      client: {
        opened: (connection) => {
          this.#input.attach(connection);
          this.#conversation.open(connection, this.#input);
          this.#input.resendCurrent();
          this.#responses.opened(connection);
        },
        event: (event) => {
          if (this.#input.take(event)) this.#link.settled();
          else this.#responses.take(event);
        },
        dropped: (error) => {
          this.#input.attach(null);
          this.#conversation.closed();
          this.#responses.dropped(error);
        },
        failed: (error) => this.#fail(error),
        busy: () => this.#responses.busy || this.#input.busy,
        mayProbe: () => !this.#input.spoken,
      },
    });
    if (signal.aborted) this.close();
    else {
      signal.addEventListener('abort', () => this.close(), { once: true });
      this.#link.start();
    }
  }

  push(samples: Int16Array): void {
    if (!this.#over) this.#input.push(samples);
  }

  pause(): void {
    if (!this.#over) this.#input.pause();
  }

  endUtterance(): number {
    if (this.#over) return this.#input.current.number;
    const utterance = this.#input.end();
    this.#conversation.record({ kind: 'utterance', utterance, item: null });
    return utterance.number;
  }

  discardUtterance(): void {
    if (!this.#over) this.#input.discard();
  }

  respond(): number {
    return this.#responses.ask({ output_modalities: ['audio'] });
  }

  cancel(response: number): void {
    this.#unwanted.add(response);
    this.#responses.cancel(response);
  }

  truncate(response: number, heardMs: number, heardText: string): void {
    this.#responses.truncate(response, heardMs, heardText);
  }

  add(message: Message): void {
    if (!this.#over) this.#conversation.addMessage(message);
  }

  toolResult(toolCallId: string, output: string): void {
    if (!this.#over) this.#conversation.add({ kind: 'result', callId: toolCallId, output, item: null });
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#input.close();
    this.#responses.close();
    this.#link.close();
    this.#queue.end();
  }

  #fail(error: ProviderError): void {
    this.#input.fail(error);
    this.#responses.failed(error);
    this.#lost = error;
    this.close();
  }

  async *#iterate(): AsyncGenerator<SpeechToSpeechEvent, void, void> {
    const { signal } = this.#options;
    for await (const event of this.#queue) {
      if (signal.aborted) return;
      if ('response' in event && this.#unwanted.has(event.response)) continue;
      yield event;
      if (signal.aborted) return;
    }
    if (this.#lost !== null && !signal.aborted) throw this.#lost;
  }
}

function sessionOf(
  settings: OpenAiRealtimeSpeechToSpeechSettings,
  options: SpeechToSpeechOptions,
): SessionConfig {
  const format = wireFormat(options.sampleRate);
  const { reasoningEffort: effort, speed } = settings;
  return {
    type: 'realtime',
    instructions: options.instructions,
    output_modalities: ['audio'],
    max_output_tokens: Math.min(mostOutputTokens, options.maxOutputTokens),
    audio: {
      input: {
        format,
        transcription: transcriptionOf({
          model: settings.transcriptionModel ?? defaultTranscriptionModel,
          language: options.language,
          keywords: options.keywords,
          delay: settings.transcriptionDelay,
        }),
        turn_detection: null,
      },
      output: {
        format,
        voice: settings.voice ?? options.voice,
        ...(speed === undefined ? {} : { speed }),
      },
    },
    tools: (options.tools ?? []).map(({ name, description, parameters }) => ({
      type: 'function',
      name,
      description,
      parameters,
    })),
    tool_choice: options.tools?.length ? 'auto' : 'none',
    ...(effort === undefined ? {} : { reasoning: { effort } }),
  };
}
