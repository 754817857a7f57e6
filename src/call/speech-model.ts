import {
  type Message,
  ProviderError,
  type SpeechToText,
  type SpeechToTextEvent,
  type ToolCall,
  type Usage,
} from '../providers/ports.ts';
import type {
  SpeechToSpeech,
  SpeechToSpeechEvent,
  SpeechToSpeechOptions,
  SpeechToSpeechSession,
} from '../providers/speech-to-speech.ts';
import { AsyncQueue } from './async-queue.ts';

/** What comes of one response. */
export type SpokenEvent =
  | { type: 'audio'; samples: Int16Array }
  | { type: 'text'; text: string }
  | { type: 'toolCall'; call: ToolCall };

/**
 * One model that hears, thinks and speaks, as the pipeline uses it: its ear is a speech-to-text port, and `respond` answers with
 * audio. So who speaks when is decided in one place for both engines. The agent's fixed lines are spoken by text-to-speech.
 */
export class SpeechModel {
  readonly speechToText: SpeechToText;
  readonly #model: SpeechToSpeech;
  readonly #options: Omit<SpeechToSpeechOptions, 'signal'>;
  readonly #onUsage: (usage: Usage, turn: number | null) => void;
  #session: SpeechToSpeechSession | null = null;
  #lost: ProviderError | null = null;
  readonly #ear = new AsyncQueue<SpeechToTextEvent | { lost: unknown }>();
  readonly #responses = new Map<number, Response>();
  /** Which turn each response was asked for in. */
  readonly #turns = new Map<number, number>();

  constructor(options: {
    model: SpeechToSpeech;
    session: Omit<SpeechToSpeechOptions, 'signal'>;
    /** Of responses, also of those that nobody waits for any more; `turn`: whose the response is. */
    onUsage: (usage: Usage, turn: number | null) => void;
  }) {
    this.#model = options.model;
    this.#options = options.session;
    this.#onUsage = options.onUsage;
    this.speechToText = { open: ({ signal }) => this.#open(signal) };
  }

  /** Null while it works; where it is lost for good, the call goes on without it. */
  get lost(): ProviderError | null {
    return this.#lost;
  }

  /** Who has served a turn that it answers. */
  get provider(): string {
    return this.#model.provider;
  }

  /** Answers the conversation as the model has heard it, in a turn of that number. The events throw `ProviderError`. */
  respond(signal: AbortSignal, turn: number): { response: number; events: AsyncIterable<SpokenEvent> } {
    const session = this.#session;
    if (session === null || this.#lost !== null) {
      throw this.#lost ?? new ProviderError('speech-to-speech', 'unavailable', 'There is no session');
    }
    const response = session.respond();
    const queue: Response = new AsyncQueue();
    this.#responses.set(response, queue);
    this.#turns.set(response, turn);
    return { response, events: this.#receive(response, queue, session, signal) };
  }

  /** Nothing more of a response was heard than this: the model is to remember no more. */
  heardOnly(response: number, heardMs: number, heardText: string): void {
    this.#session?.truncate(response, heardMs, heardText);
  }

  /** What a tool answered; the next `respond` knows it. */
  toolResult(toolCallId: string, content: string): void {
    this.#session?.toolResult(toolCallId, content);
  }

  /** Something was said that the model has neither heard nor said itself. */
  add(message: Message): void {
    this.#session?.add(message);
  }

  #open(signal: AbortSignal): ReturnType<SpeechToText['open']> {
    const session = this.#model.open({ ...this.#options, signal });
    this.#session = session;
    void this.#listen(session, signal);
    return {
      push: (samples) => session.push(samples),
      pause: () => session.pause(),
      endUtterance: () => session.endUtterance(),
      discardUtterance: () => session.discardUtterance(),
      events: this.#heardEvents(),
    };
  }

  async *#heardEvents(): AsyncGenerator<SpeechToTextEvent, void, void> {
    for await (const event of this.#ear) {
      if ('lost' in event && !('type' in event)) throw event.lost;
      yield event as SpeechToTextEvent;
    }
  }

  async #listen(session: SpeechToSpeechSession, signal: AbortSignal): Promise<void> {
    let cause: unknown = null;
    try {
      for await (const event of session.events) this.#dispatch(event);
    } catch (error) {
      cause = error;
    }
    if (!signal.aborted) {
      this.#lost =
        cause instanceof ProviderError
          ? cause
          : new ProviderError('speech-to-speech', 'unavailable', 'The session ended', { cause });
      this.#ear.push({ lost: this.#lost });
    }
    this.#ear.end();
    for (const queue of this.#responses.values()) {
      if (this.#lost !== null) queue.push({ failed: this.#lost });
      queue.end();
    }
    this.#responses.clear();
  }

  #dispatch(event: SpeechToSpeechEvent): void {
    switch (event.type) {
      case 'audio':
        this.#responses.get(event.response)?.push({ type: 'audio', samples: event.samples });
        return;
      case 'text':
        this.#responses.get(event.response)?.push({ type: 'text', text: event.text });
        return;
      case 'toolCall':
        this.#responses.get(event.response)?.push({ type: 'toolCall', call: event.call });
        return;
      case 'responded':
        this.#responses.get(event.response)?.push('over');
        return;
      case 'responseFailed':
        this.#responses.get(event.response)?.push({ failed: event.error });
        return;
      case 'usage':
        // What the caller said belongs to his turn, as with any ear.
        if ('response' in event && event.response !== undefined) {
          this.#onUsage(event.usage, this.#turns.get(event.response) ?? null);
        } else {
          this.#ear.push(event);
        }
        return;
      default:
        this.#ear.push(event);
    }
  }

  async *#receive(
    response: number,
    queue: Response,
    session: SpeechToSpeechSession,
    signal: AbortSignal,
  ): AsyncGenerator<SpokenEvent, void, void> {
    const stop = () => {
      session.cancel(response);
      queue.end();
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    try {
      for await (const event of queue) {
        if (signal.aborted || event === 'over') return;
        if ('failed' in event) throw event.failed;
        yield event;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#responses.delete(response);
    }
  }
}

type Response = AsyncQueue<SpokenEvent | { failed: unknown } | 'over'>;
