import type { ClientEvent, SessionConfig } from 'openai/resources/live/live';
import type { Clock, Timer } from '../../call/clock.ts';
import { errorFrom, malformed, timedOut, unavailable } from '../openai-realtime/errors.ts';
import { ProviderError } from '../ports.ts';
import { VendorSocket } from '../vendor-socket.ts';
import { parseServerEvent, type ServerEvent } from './events.ts';
import {
  defaultCloseMs,
  defaultConnectMs,
  defaultSilenceMs,
  liveUrl,
  type OpenAiLiveSettings,
} from './settings.ts';

/** Who owns a connection. */
export interface ConnectionHandler {
  /** From the session's start on; not `session.started` itself. */
  event(event: ServerEvent): void;
  /**
   * Nothing follows. Not called after `close`.
   *
   * @param error null: it was ended as asked, by `end`.
   */
  over(error: ProviderError | null): void;
}

export interface ConnectionOptions {
  /** Provider and model, for errors. */
  provider: string;
  settings: OpenAiLiveSettings;
  session: SessionConfig;
  clock: Clock;
  handler: ConnectionHandler;
}

/** One open socket with a session that has started on it (https://developers.openai.com/api/docs/guides/voice-websockets). */
export class LiveConnection {
  readonly openedAt: number;
  /** Reading of the clock at which the server ends the session; infinity where it does not tell. */
  expiresAt = Number.POSITIVE_INFINITY;
  readonly #options: ConnectionOptions;
  readonly #socket: VendorSocket;
  #state: 'starting' | 'started' | 'ending' | 'over' = 'starting';
  #starting: ((error: ProviderError | null) => void) | null = null;
  #heardAt: number;
  #timer: Timer | null = null;

  private constructor(socket: VendorSocket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.openedAt = options.clock.now();
    this.#heardAt = this.openedAt;
  }

  /** Resolves once the session has started. Throws `ProviderError`; anything once the signal has fired. */
  static async open(options: ConnectionOptions, signal: AbortSignal): Promise<LiveConnection> {
    const { provider, settings, clock } = options;
    const { dial } = settings;
    const socket = await VendorSocket.open({
      provider,
      clock,
      signal,
      url: liveUrl(settings),
      headers: { Authorization: `Bearer ${settings.apiKey}` },
      connectMs: settings.connectMs ?? defaultConnectMs,
      ...(dial === undefined ? {} : { dial }),
    });
    const connection = new LiveConnection(socket, options);
    const stop = () => connection.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await connection.#start();
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
    return connection;
  }

  /** Without effect on a connection that is over, or ending. */
  send(event: ClientEvent): void {
    if (this.#state === 'started') this.#socket.send(JSON.stringify(event));
  }

  /** Asks for the end. What is still to come of the session comes, at the latest until `closeMs`; then the handler is told. */
  end(): void {
    if (this.#state !== 'started') return;
    this.send({ type: 'session.close' });
    this.#state = 'ending';
    this.#timer?.cancel();
    const { clock, settings } = this.#options;
    this.#timer = clock.after(settings.closeMs ?? defaultCloseMs, () => this.#finish(null));
  }

  /** Quiet and idempotent. */
  close(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#timer?.cancel();
    this.#socket.close();
    this.#starting?.(unavailable(this.#options.provider, 'the connection was closed'));
  }

  async #start(): Promise<void> {
    const { provider, clock, settings, session } = this.#options;
    const withinMs = settings.connectMs ?? defaultConnectMs;
    const error = await new Promise<ProviderError | null>((resolve) => {
      const timer = clock.after(withinMs, () =>
        this.#starting?.(timedOut(provider, `no session within ${withinMs} ms`)),
      );
      this.#starting = (outcome) => {
        timer.cancel();
        this.#starting = null;
        resolve(outcome);
      };
      void this.#read();
      this.#socket.send(JSON.stringify({ type: 'session.start', session } satisfies ClientEvent));
    });
    if (error !== null) throw error;
  }

  async #read(): Promise<void> {
    const { provider, clock } = this.#options;
    try {
      for await (const data of this.#socket.messages) {
        if (this.#state === 'over') return;
        this.#heardAt = clock.now();
        const event = parseServerEvent(data);
        if (event === 'malformed') throw malformed(provider, 'sent an event that is none of the Live API');
        if (event !== null) this.#take(event);
      }
    } catch (error) {
      this.#finish(error instanceof ProviderError ? error : unavailable(provider, 'the connection broke'));
    }
  }

  #take(event: ServerEvent): void {
    const { provider, clock, handler } = this.#options;
    if (event.type === 'session.started') {
      const { expires_at: expires } = event.session;
      if (typeof expires === 'number') this.expiresAt = expires * 1000;
      // The clocks differ: a session that has just begun is not about to end.
      this.expiresAt = Math.max(this.expiresAt, clock.now() + shortestSessionMs);
      this.#state = 'started';
      this.#watch();
      this.#starting?.(null);
    } else if (this.#state === 'starting') {
      // Nothing but a refusal comes before the session.
      if (event.type === 'error') this.#starting?.(errorFrom(provider, event.error));
      else if (event.type === 'session.closed') this.#starting?.(unavailable(provider, 'no session'));
    } else {
      handler.event(event);
      if (event.type === 'session.closed') this.#finish(errorOfClosing(provider, event.reason ?? ''));
    }
  }

  #watch(): void {
    const { provider, clock, settings } = this.#options;
    const silenceMs = settings.silenceMs ?? defaultSilenceMs;
    if (!Number.isFinite(silenceMs)) return;
    this.#timer = clock.after(Math.max(1, silenceMs - (clock.now() - this.#heardAt)), () => {
      if (clock.now() - this.#heardAt < silenceMs) this.#watch();
      else this.#finish(timedOut(provider, `silent for ${silenceMs} ms`));
    });
  }

  #finish(error: ProviderError | null): void {
    if (this.#state === 'over') return;
    const state = this.#state;
    if (state === 'starting') {
      this.#starting?.(error ?? unavailable(this.#options.provider, 'no session'));
      return;
    }
    this.close();
    // Who has asked for the end does not mind how it came.
    this.#options.handler.over(state === 'ending' ? null : error);
  }
}

/** A session is not believed to be shorter. */
const shortestSessionMs = 300_000;

/** The reasons stand in https://developers.openai.com/api/docs/guides/live-conversations, "Usage and graceful close". */
function errorOfClosing(provider: string, reason: string): ProviderError {
  if (reason === 'content') {
    return new ProviderError(provider, 'rejected', `${provider}: a safety filter ended the session`);
  }
  return unavailable(provider, `the session was closed (${reason})`);
}
