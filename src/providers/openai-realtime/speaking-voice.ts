import type { ResponseCreateEvent } from 'openai/resources/realtime/realtime';
import { AsyncQueue } from '../../call/async-queue.ts';
import type { ProviderError, TextToSpeechEvent, Usage } from '../ports.ts';
import type { RealtimeConnection } from './connection.ts';
import { errorFrom, unavailable } from './errors.ts';
import type { ServerEvent, ServerResponse } from './events.ts';
import { type LinkOptions, RealtimeLink } from './link.ts';
import { usageOfResponse } from './usage.ts';

export type SentenceEvent =
  | { type: 'audio'; base64: string }
  | { type: 'words'; text: string }
  /** The last. */
  | { type: 'done'; response: ServerResponse }
  /** The last. `final`: another attempt was made already. */
  | { type: 'failed'; error: ProviderError; final: boolean };

/** One out-of-band response. */
export interface Sentence {
  /** Unique in the call; the server gives it back in the response's metadata. */
  id: string;
  /** Ends when the signal fires as well. */
  events: AsyncQueue<SentenceEvent>;
  create: ResponseCreateEvent;
  /** What the server calls its response. */
  response: string | null;
  over: boolean;
  /** See `TextToSpeechRequest`. */
  onLateBill?: (usage: Usage) => void;
}

/** Cancelled sentences whose `response.created` has not come; more of them come from a server that creates nothing. */
const mostForsaken = 100;

/**
 * The socket of one voice. Several sentences may be under way on it; what comes is told apart by the id of the response, which
 * is known by the sentence's id in its metadata. What belongs to no sentence that somebody listens to is dropped.
 */
export class SpeakingVoice {
  /** Null until its first sentence. */
  name: string | null = null;
  readonly #link: RealtimeLink;
  readonly #provider: string;
  /** By their own id. */
  readonly #sentences = new Map<string, Sentence>();
  /** The same, by the server's id, once it is known. */
  readonly #responses = new Map<string, Sentence>();
  /** Left before the server had told the id that a cancel needs. */
  readonly #forsaken = new Set<string>();
  #connection: RealtimeConnection | null = null;
  #usage: Usage[] = [];
  /** Whom to tell the bill of a sentence that was left, by its own id and by the server's. */
  readonly #lateBills = new Map<string, (usage: Usage) => void>();
  #count = 0;

  constructor(options: Omit<LinkOptions, 'client'>) {
    this.#provider = options.provider;
    this.#link = new RealtimeLink({
      ...options,
      client: {
        opened: (connection) => this.#opened(connection),
        event: (event) => this.#take(event),
        dropped: (error) => this.#dropped(error),
        failed: (error) => this.#failAll(error, true),
        busy: () => this.#sentences.size > 0,
        mayProbe: () => true,
      },
    });
  }

  start(): void {
    this.#link.start();
  }

  /** Asks for a sentence, at once or as soon as there is a connection. */
  say(
    create: (id: string) => ResponseCreateEvent,
    signal: AbortSignal,
    onLateBill?: (usage: Usage) => void,
  ): Sentence {
    const id = `sentence_${this.#count++}`;
    const events = new AsyncQueue<SentenceEvent>();
    const late = onLateBill === undefined ? {} : { onLateBill };
    const sentence: Sentence = { id, events, create: create(id), response: null, over: false, ...late };
    signal.addEventListener('abort', () => events.end(), { once: true });
    this.#sentences.set(id, sentence);
    if (this.#connection !== null) this.#connection.send(sentence.create);
    else this.#link.start();
    return sentence;
  }

  /** Nobody listens to it any more. */
  leave(sentence: Sentence): void {
    sentence.events.end();
    this.#sentences.delete(sentence.id);
    if (!sentence.over) {
      if (sentence.response !== null) this.#cancel(sentence.response);
      else if (this.#connection !== null) this.#forsake(sentence.id);
      this.#expectBill(sentence);
    }
    if (sentence.response !== null) this.#responses.delete(sentence.response);
    this.#link.settled();
  }

  /** Usage that was not told yet, also of sentences that were left. */
  *takeUsage(): Generator<TextToSpeechEvent, void, void> {
    for (const usage of this.#usage.splice(0)) yield { type: 'usage', usage };
  }

  /** Whether nothing at all has come over the connection since then. */
  silentSince(time: number): boolean {
    return this.#connection !== null && this.#connection.heardAt <= time;
  }

  replace(error: ProviderError): void {
    this.#link.replace(error);
  }

  close(): void {
    this.#link.close();
    for (const sentence of this.#sentences.values()) sentence.events.end();
    this.#sentences.clear();
    this.#responses.clear();
  }

  #opened(connection: RealtimeConnection): void {
    // A renewal in the middle of sentences: what they had of the old connection cannot be continued.
    this.#failStarted();
    this.#connection = connection;
    for (const sentence of this.#sentences.values()) connection.send(sentence.create);
  }

  #dropped(error: ProviderError): void {
    this.#connection = null;
    this.#responses.clear();
    this.#forsaken.clear();
    this.#failAll(error, false);
  }

  #failStarted(): void {
    if (this.#connection === null) return;
    this.#connection = null;
    this.#forsaken.clear();
    const error = unavailable(this.#provider, 'the session was renewed in the middle of the sentence');
    for (const sentence of [...this.#responses.values()]) {
      this.#end(sentence, { type: 'failed', error, final: false });
    }
    this.#responses.clear();
  }

  #failAll(error: ProviderError, final: boolean): void {
    for (const sentence of [...this.#sentences.values()])
      this.#end(sentence, { type: 'failed', error, final });
  }

  #end(sentence: Sentence, event: SentenceEvent): void {
    sentence.over = true;
    this.#sentences.delete(sentence.id);
    if (sentence.response !== null) this.#responses.delete(sentence.response);
    sentence.events.push(event);
    sentence.events.end();
    this.#link.settled();
  }

  #take(event: ServerEvent): void {
    switch (event.type) {
      case 'response.created':
        this.#created(event.response);
        return;
      case 'response.output_audio.delta':
        this.#responses.get(event.response_id)?.events.push({ type: 'audio', base64: event.delta });
        return;
      case 'response.output_audio_transcript.delta':
        this.#responses.get(event.response_id)?.events.push({ type: 'words', text: event.delta });
        return;
      case 'response.done': {
        this.#remember(event.response);
        const sentence = this.#responses.get(event.response.id);
        if (sentence !== undefined) this.#end(sentence, { type: 'done', response: event.response });
        return;
      }
      case 'error': {
        const { event_id: id } = event.error;
        const sentence = id == null ? undefined : this.#sentences.get(id);
        if (sentence !== undefined) {
          this.#end(sentence, {
            type: 'failed',
            error: errorFrom(this.#provider, event.error),
            final: false,
          });
        } else if (id != null) {
          this.#forsaken.delete(id);
        }
        return;
      }
      default:
    }
  }

  #created(response: ServerResponse): void {
    const id = response.metadata?.sentence;
    if (id === undefined) return;
    if (this.#forsaken.delete(id)) {
      this.#cancel(response.id);
      return;
    }
    const sentence = this.#sentences.get(id);
    if (sentence === undefined || sentence.response !== null) return;
    sentence.response = response.id;
    this.#responses.set(response.id, sentence);
  }

  #cancel(response: string): void {
    this.#connection?.send({ type: 'response.cancel', event_id: 'cancel', response_id: response });
  }

  #forsake(id: string): void {
    this.#forsaken.add(id);
    if (this.#forsaken.size > mostForsaken) {
      for (const oldest of this.#forsaken) {
        this.#forsaken.delete(oldest);
        break;
      }
    }
  }

  #expectBill({ id, response, onLateBill }: Sentence): void {
    if (onLateBill === undefined) return;
    this.#lateBills.set(id, onLateBill);
    if (response !== null) this.#lateBills.set(response, onLateBill);
    for (const oldest of this.#lateBills.keys()) {
      if (this.#lateBills.size <= mostForsaken) break;
      this.#lateBills.delete(oldest);
    }
  }

  #remember(response: ServerResponse): void {
    const usage = usageOfResponse(this.#provider, response);
    if (usage === null) return;
    const late = this.#lateBills.get(response.id) ?? this.#lateBills.get(response.metadata?.sentence ?? '');
    if (late === undefined) this.#usage.push(usage);
    else late(usage);
  }
}
