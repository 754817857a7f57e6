import type { IncomingMessage } from 'node:http';
import type {
  ConversationItem,
  RealtimeClientEvent,
  RealtimeError,
  RealtimeResponse,
  RealtimeServerEvent,
  SessionUpdateEvent,
} from 'openai/resources/realtime/realtime';
import { type DoubleConnection, socketDouble } from './socket-double.ts';

/** An event of the server without its `event_id`, which the double adds. */
export type Sent = RealtimeServerEvent extends infer E
  ? E extends unknown
    ? Omit<E, 'event_id'>
    : never
  : never;

/** What one committed utterance is heard as. */
export interface Hearing {
  /** Told before the end, after the commit. */
  deltas?: readonly string[];
  text?: string;
  /** Detected, as `gpt-transcribe` tells it. */
  languages?: readonly string[];
  error?: { type?: string; code?: string; message?: string };
  /** Nothing comes of it. */
  silent?: boolean;
}

/** What one response is. */
export interface Answer {
  /** Words of the transcript, one delta each. */
  words?: readonly string[];
  /** Of the format that was asked for, one delta each. */
  audio?: readonly Uint8Array[];
  calls?: readonly { id: string; name: string; arguments: string }[];
  status?: 'completed' | 'failed' | 'incomplete' | 'cancelled';
  reason?: 'max_output_tokens' | 'content_filter' | 'turn_detected' | 'client_cancelled';
  error?: { type?: string; code?: string; message?: string };
  /** Refused at once, by an `error` event. */
  refused?: { type: string; code: string | null; message: string };
  /** Stops after that, until `finish`. */
  holdAfter?: 'nothing' | 'created' | 'audio';
}

interface Running {
  id: string;
  item: string;
  answer: Answer;
  outOfBand: boolean;
  metadata: Record<string, string> | null;
  stage: 'nothing' | 'created' | 'audio';
}

export interface RealtimeDoubleOptions {
  /** See `socketDouble`. Default: 401 for any key but `key`. */
  upgrade?: (url: URL, headers: IncomingMessage['headers']) => number | null | 'hang';
  /** Never answers `session.update`. */
  unconfigurable?: boolean;
  /** Unix seconds, told in `session.created`. */
  expiresAt?: () => number;
}

/** Item ids that the API gives are at most as long. */
const longestItemId = 32;

/**
 * OpenAI's Realtime API in its three modes, recorded by hand from its documentation and the types of the `openai` package:
 * https://developers.openai.com/api/docs/guides/realtime-websocket, …/realtime-conversations, …/realtime-transcription. Turn
 * detection is always off. It does what it documents; how it misbehaves is up to the test.
 */
export class OpenAiRealtimeDouble {
  readonly sessions: SessionDouble[] = [];
  /** For the next commits. Nothing left: an empty text. */
  readonly hearings: Hearing[] = [];
  /** For the next responses. Nothing left: one short piece of audio with the word `Yes.` */
  readonly answers: Answer[] = [];
  /** The next sessions never answer anything, though they are open. */
  mute = false;
  /** Upgrades that were asked for, the refused ones too. */
  dials = 0;
  readonly options: RealtimeDoubleOptions;
  #server: Awaited<ReturnType<typeof socketDouble>> | null = null;

  private constructor(options: RealtimeDoubleOptions) {
    this.options = options;
  }

  static async start(options: RealtimeDoubleOptions = {}): Promise<OpenAiRealtimeDouble> {
    const double = new OpenAiRealtimeDouble(options);
    const byConnection = new Map<DoubleConnection, SessionDouble>();
    double.#server = await socketDouble({
      upgrade: (url, headers) => {
        double.dials++;
        if (options.upgrade !== undefined) return options.upgrade(url, headers);
        if (url.pathname !== '/v1/realtime') return 404;
        return headers.authorization === 'Bearer key' ? null : 401;
      },
      connected: (connection) => {
        const session = new SessionDouble(double, connection);
        byConnection.set(connection, session);
        double.sessions.push(session);
      },
      message: (connection, message) => byConnection.get(connection)?.take(String(message)),
    });
    return double;
  }

  /** With the version. */
  get baseUrl(): string {
    return `${this.#server?.url}/v1`;
  }

  get last(): SessionDouble {
    const session = this.sessions.at(-1);
    if (session === undefined) throw new Error('nobody has connected');
    return session;
  }

  close(): Promise<void> {
    return this.#server?.close() ?? Promise.resolve();
  }
}

/** One session, as the server sees it. */
export class SessionDouble {
  readonly connection: DoubleConnection;
  /** What came, in order. */
  readonly events: RealtimeClientEvent[] = [];
  /** The effective session, null before the first update. */
  config: SessionUpdateEvent['session'] | null = null;
  /** The default conversation, in its order. */
  items: ConversationItem[] = [];
  /** Base64-decoded audio that is not committed. */
  buffer: Uint8Array = new Uint8Array(0);
  /** Audio of each commit. */
  readonly committed: Uint8Array[] = [];
  readonly errors: RealtimeError[] = [];
  mute: boolean;
  readonly #double: OpenAiRealtimeDouble;
  #count = 0;
  #running: Running[] = [];
  #itemOfBuffer: string | null = null;

  constructor(double: OpenAiRealtimeDouble, connection: DoubleConnection) {
    this.#double = double;
    this.connection = connection;
    this.mute = double.mute;
    const expires = double.options.expiresAt?.();
    const session = {
      type: this.transcribes ? ('transcription' as const) : ('realtime' as const),
      object: 'realtime.session',
      id: this.#id('sess'),
      ...(expires === undefined ? {} : { expires_at: expires }),
    };
    this.send({ type: 'session.created', session });
  }

  get transcribes(): boolean {
    return this.connection.url.searchParams.get('intent') === 'transcription';
  }

  /** Events of one type that came. */
  received<T extends RealtimeClientEvent['type']>(type: T): Extract<RealtimeClientEvent, { type: T }>[] {
    return this.events.filter(
      (event): event is Extract<RealtimeClientEvent, { type: T }> => event.type === type,
    );
  }

  send(event: Sent): void {
    if (this.mute) return;
    this.connection.send({ ...event, event_id: this.#id('event') } as RealtimeServerEvent);
  }

  /** A delta of the utterance that is in the buffer, before it is committed, as a streaming model sends it. */
  hear(delta: string): void {
    this.send({
      type: 'conversation.item.input_audio_transcription.delta',
      item_id: this.bufferItem,
      content_index: 0,
      delta,
    });
  }

  /** The item that the buffer will become. */
  get bufferItem(): string {
    this.#itemOfBuffer ??= this.#id('item');
    return this.#itemOfBuffer;
  }

  /** Tells the text of an item that was committed. */
  complete(item: string, { text = '', deltas = [], languages, error }: Hearing): void {
    for (const delta of deltas) {
      this.send({
        type: 'conversation.item.input_audio_transcription.delta',
        item_id: item,
        content_index: 0,
        delta,
      });
    }
    if (error !== undefined) {
      this.send({
        type: 'conversation.item.input_audio_transcription.failed',
        item_id: item,
        content_index: 0,
        error,
      });
      return;
    }
    this.send({
      type: 'conversation.item.input_audio_transcription.completed',
      item_id: item,
      content_index: 0,
      transcript: text,
      usage: { type: 'duration', seconds: 1 },
      ...(languages === undefined ? {} : { languages: languages.map((code) => ({ code })) }),
    });
  }

  error(error: Omit<RealtimeError, 'event_id'>, id: string | null = null): void {
    const whole = { param: null, code: null, ...error, event_id: id };
    this.errors.push(whole);
    this.send({ type: 'error', error: whole });
  }

  /** Goes on with what the answer held back; the first of those that run. */
  finish(): void {
    const running = this.#running[0];
    if (running === undefined) throw new Error('no response is under way');
    this.#play({ ...running, answer: { ...running.answer, holdAfter: undefined as never } });
  }

  /** Ids of the responses under way. */
  get running(): string[] {
    return this.#running.map(({ id }) => id);
  }

  take(message: string): void {
    const event = JSON.parse(message) as RealtimeClientEvent;
    this.events.push(event);
    const id = event.event_id ?? null;
    switch (event.type) {
      case 'session.update':
        this.#update(event.session, id);
        return;
      case 'input_audio_buffer.append': {
        const bytes = Buffer.from(event.audio, 'base64');
        this.buffer = new Uint8Array(Buffer.concat([this.buffer, bytes]));
        return;
      }
      case 'input_audio_buffer.clear':
        this.buffer = new Uint8Array(0);
        this.#itemOfBuffer = null;
        this.send({ type: 'input_audio_buffer.cleared' });
        return;
      case 'input_audio_buffer.commit':
        this.#commit(id);
        return;
      case 'conversation.item.create':
        this.#create(event.item, event.previous_item_id, id);
        return;
      case 'conversation.item.delete':
        if (this.#find(event.item_id, id) === null) return;
        this.items = this.items.filter((item) => item.id !== event.item_id);
        this.send({ type: 'conversation.item.deleted', item_id: event.item_id });
        return;
      case 'conversation.item.truncate':
        if (this.#find(event.item_id, id) === null) return;
        this.send({
          type: 'conversation.item.truncated',
          item_id: event.item_id,
          content_index: event.content_index,
          audio_end_ms: event.audio_end_ms,
        });
        return;
      case 'response.create':
        this.#respond(event, id);
        return;
      case 'response.cancel':
        this.#cancel(event.response_id, id);
        return;
      default:
        this.error({ type: 'invalid_request_error', code: 'unknown_event', message: event.type }, id);
    }
  }

  #id(kind: string): string {
    return `${kind}_${this.#double.sessions.length}_${this.#count++}`;
  }

  #update(session: SessionUpdateEvent['session'], id: string | null): void {
    if (this.#double.options.unconfigurable) return;
    const invalid = (code: string, text: string) =>
      this.error({ type: 'invalid_request_error', code, message: text }, id);
    if ((session.type === 'transcription') !== this.transcribes) {
      invalid('invalid_model', 'the session is of another type than its address');
      return;
    }
    if (this.transcribes && this.connection.url.searchParams.has('model')) {
      invalid('invalid_model', 'a transcription session takes no model in its address');
      return;
    }
    const { transcription, turn_detection } = session.audio?.input ?? {};
    if (turn_detection !== null) {
      invalid('invalid_value', 'the double detects no turns');
      return;
    }
    if (transcription?.language !== undefined && transcription.languages !== undefined) {
      invalid('invalid_value', 'either language or languages');
      return;
    }
    if (/^gpt-(live-)?transcribe/.test(transcription?.model ?? '') && transcription?.language !== undefined) {
      invalid('invalid_value', `${transcription.model} takes languages`);
      return;
    }
    if (transcription?.keywords?.some((word) => /[<>\r\n]/.test(word))) {
      invalid('invalid_value', 'a keyword with one of < > CR LF');
      return;
    }
    this.config = { ...this.config, ...session } as SessionUpdateEvent['session'];
    this.send({ type: 'session.updated', session: this.config });
  }

  get #bytesPerMs(): number {
    return this.config?.audio?.input?.format?.type === 'audio/pcmu' ? 8 : 48;
  }

  #commit(id: string | null): void {
    const ms = this.buffer.length / this.#bytesPerMs;
    if (ms < 100) {
      this.error(
        {
          type: 'invalid_request_error',
          code: 'input_audio_buffer_commit_empty',
          message: `Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has ${ms.toFixed(2)}ms of audio.`,
        },
        id,
      );
      return;
    }
    const item = this.bufferItem;
    this.committed.push(this.buffer);
    this.buffer = new Uint8Array(0);
    this.#itemOfBuffer = null;
    const previous = this.items.at(-1)?.id ?? null;
    const added: ConversationItem = {
      id: item,
      object: 'realtime.item',
      type: 'message',
      role: 'user',
      status: 'completed',
      content: [{ type: 'input_audio' }],
    };
    this.items.push(added);
    this.send({ type: 'input_audio_buffer.committed', item_id: item, previous_item_id: previous });
    this.send({ type: 'conversation.item.added', item: added, previous_item_id: previous });
    const transcribed = this.config?.audio?.input?.transcription !== undefined;
    const hearing = this.#double.hearings.shift() ?? {};
    if (transcribed && !hearing.silent) this.complete(item, hearing);
  }

  #find(item: string, id: string | null): ConversationItem | null {
    const found = this.items.find((candidate) => candidate.id === item);
    if (found !== undefined) return found;
    this.error({ type: 'invalid_request_error', code: 'item_not_found', message: item }, id);
    return null;
  }

  #create(item: ConversationItem, previous: string | undefined, id: string | null): void {
    const refuse = (message: string) =>
      this.error({ type: 'invalid_request_error', code: 'invalid_value', message }, id);
    if ((item.id?.length ?? 0) > longestItemId) {
      refuse('the id is too long');
      return;
    }
    if (this.items.some((other) => other.id === item.id)) {
      refuse('the id is taken');
      return;
    }
    if (item.type === 'function_call_output') {
      const { call_id: call } = item;
      const known = this.items.some((other) => other.type === 'function_call' && other.call_id === call);
      if (!known) {
        refuse(`no function call ${call}`);
        return;
      }
    }
    const whole = { ...item, id: item.id ?? this.#id('item') } as ConversationItem;
    const at =
      previous === undefined
        ? this.items.length
        : previous === 'root'
          ? 0
          : this.items.findIndex((other) => other.id === previous) + 1;
    if (previous !== undefined && previous !== 'root' && at === 0) {
      refuse(`no item ${previous}`);
      return;
    }
    this.items.splice(at, 0, whole);
    const before = this.items[at - 1]?.id ?? null;
    this.send({ type: 'conversation.item.added', item: whole, previous_item_id: before });
    this.send({ type: 'conversation.item.done', item: whole, previous_item_id: before });
  }

  #respond(event: Extract<RealtimeClientEvent, { type: 'response.create' }>, id: string | null): void {
    const answer: Answer = this.#double.answers.shift() ?? { words: ['Yes.'], audio: [new Uint8Array(160)] };
    const outOfBand = event.response?.conversation === 'none';
    if (answer.refused !== undefined) {
      this.error(answer.refused, id);
      return;
    }
    if (!outOfBand && this.#running.some((other) => !other.outOfBand)) {
      this.error(
        {
          type: 'invalid_request_error',
          code: 'conversation_already_has_active_response',
          message: 'Conversation already has an active response in progress',
        },
        id,
      );
      return;
    }
    const metadata = (event.response?.metadata ?? null) as Record<string, string> | null;
    this.#play({
      id: this.#id('resp'),
      item: this.#id('item'),
      answer,
      outOfBand,
      metadata,
      stage: 'nothing',
    });
  }

  #play(run: Running): void {
    this.#running = [...this.#running.filter(({ id }) => id !== run.id), run];
    const { answer } = run;
    const at = { response_id: run.id, item_id: run.item, output_index: 0, content_index: 0 };
    if (run.stage === 'nothing') {
      if (answer.holdAfter === 'nothing') return;
      this.send({ type: 'response.created', response: this.#response(run, 'in_progress') });
      run.stage = 'created';
    }
    if (run.stage === 'created') {
      if (answer.holdAfter === 'created') return;
      if ((answer.audio?.length ?? 0) + (answer.words?.length ?? 0) > 0) {
        this.send({
          type: 'response.output_item.added',
          response_id: run.id,
          output_index: 0,
          item: message(run),
        });
        this.send({ type: 'response.content_part.added', ...at, part: { type: 'audio', transcript: '' } });
      }
      if (!run.outOfBand) this.items.push(message(run));
      const { words = [], audio = [] } = answer;
      for (let i = 0; i < Math.max(words.length, audio.length); i++) {
        const word = words[i];
        const bytes = audio[i];
        if (word !== undefined) {
          this.send({ type: 'response.output_audio_transcript.delta', ...at, delta: word });
        }
        if (bytes !== undefined) {
          this.send({
            type: 'response.output_audio.delta',
            ...at,
            delta: Buffer.from(bytes).toString('base64'),
          });
        }
      }
      run.stage = 'audio';
    }
    if (answer.holdAfter === 'audio') return;
    this.#end(run, answer.status ?? 'completed', answer.reason);
  }

  #end(run: Running, status: NonNullable<Answer['status']>, reason?: Answer['reason']): void {
    const { answer } = run;
    const at = { response_id: run.id, item_id: run.item, output_index: 0, content_index: 0 };
    this.#running = this.#running.filter(({ id }) => id !== run.id);
    const transcript = (answer.words ?? []).join('');
    if (run.stage === 'audio') {
      this.send({ type: 'response.output_audio.done', ...at });
      this.send({ type: 'response.output_audio_transcript.done', ...at, transcript });
      this.send({ type: 'response.content_part.done', ...at, part: { type: 'audio', transcript } });
      this.send({
        type: 'response.output_item.done',
        response_id: run.id,
        output_index: 0,
        item: message(run),
      });
      for (const call of answer.calls ?? []) this.#call(run, call);
    }
    this.send({
      type: 'response.done',
      response: { ...this.#response(run, status), ...details(answer, status, reason) },
    });
  }

  #call(run: Running, call: { id: string; name: string; arguments: string }): void {
    const item: ConversationItem = {
      id: this.#id('item'),
      object: 'realtime.item',
      type: 'function_call',
      status: 'completed',
      call_id: call.id,
      name: call.name,
      arguments: call.arguments,
    };
    const at = { response_id: run.id, output_index: 1 };
    if (!run.outOfBand) this.items.push(item);
    this.send({ type: 'response.output_item.added', ...at, item: { ...item, arguments: '' } });
    this.send({
      type: 'response.function_call_arguments.done',
      ...at,
      item_id: item.id as string,
      call_id: call.id,
      name: call.name,
      arguments: call.arguments,
    });
    this.send({ type: 'response.output_item.done', ...at, item });
  }

  #cancel(response: string | undefined, id: string | null): void {
    const run = this.#running.find((other) =>
      response === undefined ? !other.outOfBand : other.id === response,
    );
    if (run !== undefined) {
      this.#end(run, 'cancelled', 'client_cancelled');
      return;
    }
    this.error(
      {
        type: 'invalid_request_error',
        code: 'response_cancel_not_active',
        message: 'Cancellation failed: no active response found',
      },
      id,
    );
  }

  #response(run: Running, status: NonNullable<RealtimeResponse['status']>): RealtimeResponse {
    return {
      object: 'realtime.response',
      id: run.id,
      status,
      metadata: run.metadata,
      output: [],
      output_modalities: ['audio'],
      ...(status === 'in_progress'
        ? {}
        : {
            usage: {
              total_tokens: 30,
              input_tokens: 10,
              input_token_details: {
                text_tokens: 7,
                audio_tokens: 3,
                cached_tokens: 4,
                cached_tokens_details: { text_tokens: 3, audio_tokens: 1 },
              },
              output_tokens: 20,
              output_token_details: { text_tokens: 2, audio_tokens: 18 },
            },
          }),
    };
  }
}

function message(run: Running): ConversationItem {
  return {
    id: run.item,
    object: 'realtime.item',
    type: 'message',
    role: 'assistant',
    status: run.stage === 'audio' ? 'completed' : 'in_progress',
    content: [],
  };
}

function details(
  answer: Answer,
  status: NonNullable<Answer['status']>,
  reason: Answer['reason'],
): Pick<RealtimeResponse, 'status_details'> {
  if (status === 'completed') return {};
  return {
    status_details: {
      type: status,
      ...(reason === undefined ? {} : { reason }),
      ...(answer.error === undefined ? {} : { error: answer.error }),
    },
  };
}
