import type { ResponseCreateEvent } from 'openai/resources/realtime/realtime';
import type { Clock, Random, Timer } from '../../call/clock.ts';
import type { ProviderError, ToolCall } from '../ports.ts';
import type { SpeechToSpeechEvent } from '../speech-to-speech.ts';
import type { RealtimeConnection } from './connection.ts';
import type { Conversation } from './conversation.ts';
import { errorFrom, errorOfResponse, malformed, retryable, timedOut } from './errors.ts';
import type { ServerEvent, ServerEventOf, ServerResponse } from './events.ts';
import { SpokenResponse } from './spoken-response.ts';
import { usageOfResponse } from './usage.ts';
import { wireBytesPerMs } from './wire-audio.ts';

export interface SpokenResponsesOptions {
  sampleRate: 8000 | 16000;
  provider: string;
  clock: Clock;
  random: Pick<Random, 'fraction'>;
  conversation: Conversation;
  firstAudioMs: number;
  idleMs: number;
  maxRetries: number;
  emit(event: SpeechToSpeechEvent): void;
  /** The connection does not answer. */
  replace(error: ProviderError): void;
  /** One is over. */
  settled(): void;
}

/** How long a cancelled response may hold the next one up (LiveKit's figure). */
const cancelMs = 2_000;
/** The wait before a response that the server refused because another one was under way is asked for again. */
const occupiedMs = 100;
const backOffMs = 100;
const longestAudioMs = 600_000;
/** Responses whose audio may still be truncated. */
const mostRemembered = 50;

/**
 * The model's turns of one session. The default conversation takes one response at a time
 * (`conversation_already_has_active_response`), so they are asked for one after the other. What belongs to no response that is
 * under way and wanted is dropped.
 */
export class SpokenResponses {
  readonly #options: SpokenResponsesOptions;
  #connection: RealtimeConnection | null = null;
  #queue: SpokenResponse[] = [];
  #active: SpokenResponse | null = null;
  #remembered: SpokenResponse[] = [];
  #count = 0;
  #timer: Timer | null = null;
  #again: Timer | null = null;

  constructor(options: SpokenResponsesOptions) {
    this.#options = options;
  }

  get busy(): boolean {
    return this.#active !== null || this.#queue.length > 0;
  }

  ask(create: ResponseCreateEvent['response']): number {
    const response = new SpokenResponse(this.#count++, create, this.#options.sampleRate);
    this.#queue.push(response);
    this.#remembered.push(response);
    if (this.#remembered.length > mostRemembered) this.#remembered.shift();
    this.#next();
    return response.number;
  }

  cancel(number: number): void {
    this.#queue = this.#queue.filter((response) => response.number !== number);
    const active = this.#active;
    if (active?.number !== number || active.cancelled) return;
    active.cancelled = true;
    if (active.id !== null) this.#sendCancel(active.id);
    this.#expect('end of a cancelled response', cancelMs);
  }

  truncate(number: number, heardMs: number, heardText: string): void {
    const response = this.#remembered.find((candidate) => candidate.number === number);
    if (response === undefined || !response.recorded) return;
    const { conversation, sampleRate } = this.#options;
    const { entry, decoder } = response;
    const spokenHere = response.id !== null && entry.item !== null;
    if (!spokenHere) {
      conversation.rewrite(entry, heardText);
      return;
    }
    entry.text = heardText;
    const audioMs = Math.floor(decoder.bytes / wireBytesPerMs(sampleRate));
    const endMs = Math.min(Math.max(0, Math.floor(heardMs)), audioMs);
    if (endMs === 0) {
      conversation.send({ type: 'conversation.item.delete', item_id: entry.item! });
      entry.item = null;
      return;
    }
    conversation.send({
      type: 'conversation.item.truncate',
      item_id: entry.item!,
      content_index: 0,
      audio_end_ms: endMs,
    });
  }

  /** A new connection, whose conversation is as it should be. */
  opened(connection: RealtimeConnection): void {
    this.#connection = connection;
    this.#lose();
    this.#next();
  }

  dropped(error: ProviderError): void {
    this.#connection = null;
    this.#lose(error);
  }

  failed(error: ProviderError): void {
    for (const { number } of this.#queue.splice(0)) {
      this.#options.emit({ type: 'responseFailed', response: number, error });
    }
  }

  close(): void {
    this.#timer?.cancel();
    this.#again?.cancel();
    this.#connection = null;
    this.#queue = [];
    this.#active = null;
  }

  take(event: ServerEvent): void {
    const active = this.#active;
    switch (event.type) {
      case 'response.created':
        if (event.response.metadata?.response !== String(active?.number) || active === null) return;
        active.id = event.response.id;
        if (active.cancelled) this.#sendCancel(active.id);
        return;
      case 'response.output_item.added':
        if (event.response_id !== active?.id) return;
        this.#alive(active);
        if (event.item.type === 'message') active.entry.item = event.item.id;
        this.#record(active);
        return;
      case 'response.output_audio.delta':
        if (event.response_id === active?.id) this.#hear(active, event.delta);
        return;
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
        if (event.response_id === active?.id) this.#read(active, event.delta);
        return;
      case 'response.output_item.done':
        if (event.response_id === active?.id) this.#call(active, event.item);
        return;
      case 'response.done':
        this.#done(event.response);
        return;
      case 'error':
        this.#refused(event);
        return;
      default:
    }
  }

  #next(): void {
    if (this.#connection === null || this.#active !== null || this.#again !== null) return;
    const response = this.#queue.shift();
    if (response === undefined) return;
    this.#active = response;
    response.attempts++;
    response.id = null;
    this.#connection.send({
      type: 'response.create',
      event_id: `response_${response.number}`,
      response: { ...response.create, metadata: { response: String(response.number) } },
    });
    this.#expect('response', this.#options.firstAudioMs);
  }

  #sendCancel(id: string): void {
    this.#connection?.send({ type: 'response.cancel', event_id: 'cancel', response_id: id });
  }

  #alive(response: SpokenResponse): void {
    if (!response.cancelled) this.#expect('more of the response', this.#options.idleMs);
  }

  /** From its first item on it stands where it was given, in front of what the caller says into it. */
  #record(response: SpokenResponse): void {
    if (response.recorded) return;
    response.recorded = true;
    this.#options.conversation.record(response.entry);
  }

  #hear(response: SpokenResponse, base64: string): void {
    const { provider, sampleRate, emit } = this.#options;
    this.#alive(response);
    const samples = response.decoder.push(base64);
    if (samples === null) throw malformed(provider, 'sent audio that is no base64');
    if (response.decoder.bytes > longestAudioMs * wireBytesPerMs(sampleRate)) {
      throw malformed(provider, 'sent audio without end');
    }
    if (response.cancelled || samples.length === 0) return;
    response.told = true;
    emit({ type: 'audio', response: response.number, samples });
  }

  #read(response: SpokenResponse, text: string): void {
    this.#alive(response);
    if (response.cancelled || text === '') return;
    response.told = true;
    response.entry.text += text;
    this.#options.emit({ type: 'text', response: response.number, text });
  }

  #call(response: SpokenResponse, item: ServerEventOf<'response.output_item.done'>['item']): void {
    this.#alive(response);
    if (item.type !== 'function_call' || response.cancelled) return;
    if (item.call_id == null || item.name == null) {
      throw malformed(this.#options.provider, 'asked for a tool without a name');
    }
    const call: ToolCall = { id: item.call_id, name: item.name, arguments: item.arguments ?? '' };
    response.told = true;
    this.#options.conversation.record({ kind: 'call', call, item: item.id });
    this.#options.emit({ type: 'toolCall', response: response.number, call });
  }

  #done(done: ServerResponse): void {
    const { provider, emit } = this.#options;
    const usage = usageOfResponse(provider, done);
    // Also of one that was cancelled, and forgotten by everybody else.
    const asked = this.#remembered.find(({ id }) => id === done.id);
    if (usage !== null) {
      emit({ type: 'usage', usage, ...(asked === undefined ? {} : { response: asked.number }) });
    }
    const active = this.#active;
    if (active === null || done.id !== active.id) return;
    const rest = active.decoder.flush();
    if (!active.cancelled && rest.length > 0) emit({ type: 'audio', response: active.number, samples: rest });
    const error = errorOfResponse(provider, done);
    if (error !== null) this.#end(active, error);
    else if (!active.told) this.#end(active, malformed(provider, 'responded with nothing'));
    else this.#end(active, null);
  }

  #refused({ error }: ServerEventOf<'error'>): void {
    const active = this.#active;
    if (active === null || error.event_id !== `response_${active.number}`) return;
    const occupied = error.code === 'conversation_already_has_active_response';
    if (!occupied) {
      this.#end(active, errorFrom(this.#options.provider, error));
      return;
    }
    this.#retry(active, occupiedMs);
  }

  #end(response: SpokenResponse, error: ProviderError | null): void {
    const { emit, maxRetries, random, settled } = this.#options;
    if (error !== null && !response.cancelled && !response.told) {
      if (retryable(error) && response.attempts <= maxRetries) {
        this.#retry(response, backOffMs * 2 ** response.attempts * (0.5 + random.fraction() / 2));
        return;
      }
    }
    this.#timer?.cancel();
    this.#active = null;
    if (!response.cancelled) {
      if (error === null) emit({ type: 'responded', response: response.number });
      else emit({ type: 'responseFailed', response: response.number, error });
    }
    this.#next();
    settled();
  }

  /** First in the queue, after a while. */
  #retry(response: SpokenResponse, delayMs: number): void {
    this.#timer?.cancel();
    this.#active = null;
    if (!response.cancelled) this.#queue.unshift(response);
    this.#again?.cancel();
    this.#again = this.#options.clock.after(delayMs, () => {
      this.#again = null;
      this.#next();
    });
  }

  /** The connection of the active one is gone. */
  #lose(error?: ProviderError): void {
    for (const response of this.#remembered) response.id = null;
    const active = this.#active;
    if (active === null) return;
    this.#timer?.cancel();
    const { provider, maxRetries, settled } = this.#options;
    // Silence that has outlasted two connections outlasts the third.
    const mostAttempts = error?.failure === 'timeout' ? 2 : maxRetries + 1;
    const failure =
      error ?? errorFrom(provider, { message: 'the session was renewed in the middle of the response' });
    this.#active = null;
    if (active.cancelled) return;
    if (active.told || active.attempts >= mostAttempts) {
      this.#options.emit({ type: 'responseFailed', response: active.number, error: failure });
      settled();
    } else {
      this.#queue.unshift(active);
    }
  }

  #expect(what: string, withinMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(withinMs, () =>
      this.#options.replace(timedOut(this.#options.provider, `no ${what} within ${withinMs} ms`)),
    );
  }
}
