import type { IncomingMessage } from 'node:http';
import type {
  ClientEvent,
  Error as LiveError,
  ServerEvent,
  SessionClosedEvent,
  SessionConfig,
  SessionResource,
} from 'openai/resources/live/live';
import { type DoubleConnection, socketDouble } from './socket-double.ts';

/** An event of the server without its `event_id`, which the double adds. */
export type Sent = ServerEvent extends infer E ? (E extends unknown ? Omit<E, 'event_id'> : never) : never;

export interface LiveDoubleOptions {
  /** See `socketDouble`. Default: 401 for any key but `key`, 404 for any other path or a query. */
  upgrade?: (url: URL, headers: IncomingMessage['headers']) => number | null | 'hang';
  /** Never answers `session.start`. */
  unstartable?: boolean;
  /** Unix seconds. Default: two hours from now, as the API has it. */
  expiresAt?: () => number;
  /** Never answers `session.close`. */
  unclosable?: boolean;
}

/** Of an append, some 500 tokens: counted here as bytes of UTF-8 by three. */
const longestAppend = 1_500;
const mostMessages = 128;

/**
 * OpenAI's Live API over its primary WebSocket, recorded by hand from its documentation and the types of the `openai` package:
 * https://developers.openai.com/api/docs/guides/voice-websockets, …/live-conversations, …/live-delegation. It does not speak
 * by itself: what the model hears and says is up to the test, and so is how it misbehaves. Its time goes by with the audio it gets, as the
 * documentation says, so an append is acknowledged only while audio comes.
 */
export class OpenAiLiveDouble {
  readonly sessions: LiveSessionDouble[] = [];
  /** The next sessions never answer anything, though they are open. */
  mute = false;
  /** The next sessions refuse to start. */
  refusal: LiveError | null = null;
  /** Upgrades that were asked for, the refused ones too. */
  dials = 0;
  readonly options: LiveDoubleOptions;
  #server: Awaited<ReturnType<typeof socketDouble>> | null = null;

  private constructor(options: LiveDoubleOptions) {
    this.options = options;
  }

  static async start(options: LiveDoubleOptions = {}): Promise<OpenAiLiveDouble> {
    const double = new OpenAiLiveDouble(options);
    const byConnection = new Map<DoubleConnection, LiveSessionDouble>();
    double.#server = await socketDouble({
      upgrade: (url, headers) => {
        double.dials++;
        if (options.upgrade !== undefined) return options.upgrade(url, headers);
        if (url.pathname !== '/v1/live/sessions' || url.search !== '') return 404;
        return headers.authorization === 'Bearer key' ? null : 401;
      },
      connected: (connection) => {
        const session = new LiveSessionDouble(double, connection, double.sessions.length);
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

  get last(): LiveSessionDouble {
    const session = this.sessions.at(-1);
    if (session === undefined) throw new Error('nobody has connected');
    return session;
  }

  close(): Promise<void> {
    return this.#server?.close() ?? Promise.resolve();
  }
}

type Append = Extract<
  ClientEvent,
  { type: 'session.thinking.append' | 'session.instructions.append' | 'session.commentary.append' }
>;

/** One session, as the server sees it. */
export class LiveSessionDouble {
  readonly connection: DoubleConnection;
  /** What came, in order, audio apart. */
  readonly events: Exclude<ClientEvent, { type: 'session.input_audio.append' }>[] = [];
  /** Null before the start. */
  config: SessionConfig | null = null;
  readonly errors: LiveError[] = [];
  mute: boolean;
  readonly #double: OpenAiLiveDouble;
  readonly #number: number;
  #count = 0;
  #input: Uint8Array[] = [];
  #inputBytes = 0;
  /** Position of the output, in milliseconds. */
  #outputMs = 0;
  #pending: Append[] = [];
  #delegations = new Set<string>();
  #closed = false;

  constructor(double: OpenAiLiveDouble, connection: DoubleConnection, number: number) {
    this.#double = double;
    this.connection = connection;
    this.#number = number;
    this.mute = double.mute;
  }

  /** Events of one type that came. */
  received<T extends ClientEvent['type']>(type: T): Extract<ClientEvent, { type: T }>[] {
    return (this.events as ClientEvent[]).filter(
      (event): event is Extract<ClientEvent, { type: T }> => event.type === type,
    );
  }

  send(event: Sent): void {
    if (!this.mute) this.connection.send({ ...event, event_id: this.#id('event') });
  }

  /** Base64-decoded audio that came. */
  get input(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#input));
  }

  /** Milliseconds of audio that came: the session's time. */
  get timeMs(): number {
    return this.#inputBytes / this.#bytesPerMs;
  }

  /** A piece of the model's line, in the session's format, and what it says in it. */
  say(audio: Uint8Array, text = ''): void {
    const start = this.#outputMs;
    this.#outputMs += audio.length / this.#bytesPerMs;
    if (text !== '') {
      const span = { start_ms: start, end_ms: this.#outputMs };
      this.send({ type: 'session.output_transcript.delta', delta: text, ...span });
    }
    this.send({ type: 'session.output_audio.delta', delta: Buffer.from(audio).toString('base64') });
  }

  /** What the model has heard of the caller. */
  hear(text: string, startMs: number, endMs: number): void {
    const span = { start_ms: startMs, end_ms: endMs };
    this.send({ type: 'session.input_transcript.delta', delta: text, ...span });
  }

  delegate(): string {
    const id = this.#id('item');
    this.#delegations.add(id);
    this.send({
      type: 'session.delegation.created',
      offset_ms: this.#outputMs,
      delegation: { id, type: 'delegation', target: 'client' },
    });
    return id;
  }

  use(seconds: number): void {
    this.send({ type: 'session.usage.updated', usage: { seconds }, context_window: { usage_ratio: 0.1 } });
  }

  error(error: LiveError): void {
    this.errors.push(error);
    this.send({ type: 'error', error });
  }

  /** Ends the session from the server's side. */
  finish(reason: SessionClosedEvent['reason'], seconds = 1): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { event_id: id } of this.#pending) {
      this.error({
        type: 'invalid_request_error',
        code: 'context_injection_incomplete',
        message: 'The session ended first.',
        ...(id == null ? {} : { client_event_id: id }),
      });
    }
    this.send({ type: 'session.closed', reason, session: this.#resource, usage: { seconds } });
    this.connection.close(1000);
  }

  take(message: string): void {
    const event = JSON.parse(message) as ClientEvent;
    if (event.type === 'session.input_audio.append') {
      if (this.config === null) this.#refuse('session_not_started', 'audio came before session.start', event);
      this.#input.push(Buffer.from(event.audio, 'base64'));
      this.#inputBytes += this.#input.at(-1)!.length;
      for (const append of this.#pending.splice(0)) this.#acknowledge(append);
      return;
    }
    this.events.push(event);
    if (event.type !== 'session.start' && this.config === null) {
      this.#refuse('session_not_started', `${event.type} came before session.start`, event);
      return;
    }
    switch (event.type) {
      case 'session.start':
        this.#start(event.session, event);
        return;
      case 'session.thinking.append':
      case 'session.instructions.append':
      case 'session.commentary.append':
        this.#append(event);
        return;
      case 'session.close':
        if (!this.#double.options.unclosable) this.finish('close_requested');
        return;
      default:
        this.#refuse('unknown_event', `${event.type} is not for client delegation`, event);
    }
  }

  #id(kind: string): string {
    return `${kind}_${this.#number}_${this.#count++}`;
  }

  get #bytesPerMs(): number {
    const { type, rate = 24_000 } = this.config?.audio?.format ?? { type: 'audio/pcm' };
    return (rate / 1000) * (type === 'audio/pcm' ? 2 : 1);
  }

  get #resource(): SessionResource {
    const expires = this.#double.options.expiresAt?.() ?? Math.floor(Date.now() / 1000) + 7_200;
    return {
      ...(this.config as SessionConfig),
      id: `live_${this.#number}`,
      expires_at: expires,
      status: 'active',
    };
  }

  #start(session: SessionConfig, event: ClientEvent): void {
    if (this.#double.options.unstartable) return;
    if (this.#double.refusal !== null) {
      this.error(this.#double.refusal);
      return;
    }
    const { format } = session.audio ?? {};
    const rates: Record<string, readonly number[]> = {
      'audio/pcm': [16_000, 24_000],
      'audio/pcmu': [8_000],
      'audio/pcma': [8_000],
    };
    if (this.config !== null) {
      this.#refuse('immutable_field_update', 'the session has started', event);
    } else if (session.model !== 'gpt-live-1') {
      this.#refuse('model_not_found', `there is no model ${session.model}`, event);
    } else if (format !== undefined && !rates[format.type]?.includes(format.rate)) {
      this.#refuse('invalid_value', `${format.type} at ${format.rate} Hz`, event);
    } else if ((session.input?.length ?? 0) > mostMessages) {
      this.#refuse('invalid_value', 'too many messages', event);
    } else if (session.input?.some(({ content }) => content.length !== 1)) {
      this.#refuse('invalid_value', 'a message has exactly one part', event);
    } else {
      this.config = session;
      this.send({ type: 'session.started', session: this.#resource });
    }
  }

  #append(event: Append): void {
    const { delegation_id: delegation, content } = event;
    if (delegation === undefined) this.#refuse('missing_parameter', 'delegation_id is required', event);
    else if (delegation !== null && !this.#delegations.has(delegation)) {
      this.#refuse('unknown_delegation', `there is no delegation ${delegation}`, event);
    } else if (Buffer.byteLength(content) > longestAppend || content === '') {
      this.#refuse('invalid_value', 'an append has 1 to 500 tokens', event);
    } else this.#pending.push(event);
  }

  #acknowledge({ type, event_id: id }: Append): void {
    this.send({
      type: `${type}ed`,
      start_ms: this.timeMs,
      end_ms: this.timeMs,
      ...(id == null ? {} : { client_event_id: id }),
    } as Sent);
  }

  #refuse(code: string, message: string, event: ClientEvent): void {
    const { event_id: id } = event;
    this.error({
      type: 'invalid_request_error',
      code,
      message,
      ...(id == null ? {} : { client_event_id: id }),
    });
  }
}
