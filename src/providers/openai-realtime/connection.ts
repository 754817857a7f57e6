import type { RealtimeClientEvent, SessionUpdateEvent } from 'openai/resources/realtime/realtime';
import type { Clock, Timer } from '../../call/clock.ts';
import { ProviderError } from '../ports.ts';
import { VendorSocket } from '../vendor-socket.ts';
import { errorFrom, malformed, timedOut, unavailable } from './errors.ts';
import { parseServerEvent, type ServerEvent } from './events.ts';
import {
  defaultConnectMs,
  defaultSessionLimitMs,
  defaultSilenceMs,
  type OpenAiRealtimeSettings,
  realtimeUrl,
} from './settings.ts';

export type SessionConfig = SessionUpdateEvent['session'];

export interface ConnectionOptions {
  /** Provider and model, for errors. */
  provider: string;
  settings: OpenAiRealtimeSettings;
  /** `{ model }` for a conversation; `{ intent: 'transcription' }`, without a model, for a transcription. */
  query: Readonly<Record<string, string>>;
  session: SessionConfig;
  clock: Clock;
}

/** Who owns a connection. */
export interface ConnectionHandler {
  event(event: ServerEvent): void;
  /** Once; nothing follows. Not called after `close`. */
  lost(error: ProviderError): void;
  /** Whether the input buffer may be cleared, which is how a sign of life is asked for. */
  mayProbe(): boolean;
}

/** What answers a question for a sign of life is that or anything else. */
const probeAnswerMs = 5_000;
/** An `expires_at` that leaves less is not believed: the clocks differ. */
const shortestSessionMs = 60_000;

/**
 * One open socket with a configured session on it
 * (https://developers.openai.com/api/docs/guides/realtime-websocket). Workers cannot send a WebSocket ping, so a silent one is
 * asked to clear its empty input buffer, which the server always answers.
 */
export class RealtimeConnection {
  /** Reading of the clock at which the server ends the session. */
  expiresAt: number;
  /** Reading of the clock at which the last message came. */
  heardAt: number;
  readonly openedAt: number;
  readonly #options: ConnectionOptions;
  readonly #socket: VendorSocket;
  #handler: ConnectionHandler | null = null;
  #lost: ProviderError | null = null;
  #closed = false;
  #configuring: { id: string; settle: (error: ProviderError | null) => void } | null = null;
  #configurations = 0;
  /** Who asked for each `cleared` that is still to come. */
  #clears: ('owner' | 'probe')[] = [];
  #probe: Timer | null = null;

  private constructor(socket: VendorSocket, options: ConnectionOptions) {
    const { clock, settings } = options;
    this.#socket = socket;
    this.#options = options;
    this.openedAt = clock.now();
    this.heardAt = this.openedAt;
    this.expiresAt = this.openedAt + (settings.sessionLimitMs ?? defaultSessionLimitMs);
    void this.#read();
    this.#watch();
  }

  /** Throws `ProviderError`; anything once the signal has fired. */
  static async open(options: ConnectionOptions, signal: AbortSignal): Promise<RealtimeConnection> {
    const { provider, settings, query, clock } = options;
    const { dial } = settings;
    const socket = await VendorSocket.open({
      provider,
      clock,
      signal,
      url: realtimeUrl(settings, query),
      headers: { Authorization: `Bearer ${settings.apiKey}` },
      connectMs: settings.connectMs ?? defaultConnectMs,
      ...(dial === undefined ? {} : { dial }),
    });
    const connection = new RealtimeConnection(socket, options);
    const stop = () => connection.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await connection.configure(options.session);
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
    return connection;
  }

  /** Changes the session. Resolves with the server's `session.updated`. Throws `ProviderError`. */
  async configure(session: SessionConfig): Promise<void> {
    const { provider, clock, settings } = this.#options;
    const withinMs = settings.connectMs ?? defaultConnectMs;
    const id = `configure_${this.#configurations++}`;
    const error = await new Promise<ProviderError | null>((resolve) => {
      const timer = clock.after(withinMs, () =>
        this.#configuring?.settle(timedOut(provider, `no session within ${withinMs} ms`)),
      );
      const settle = (outcome: ProviderError | null) => {
        timer.cancel();
        this.#configuring = null;
        resolve(outcome);
      };
      this.#configuring = { id, settle };
      if (this.#lost !== null) settle(this.#lost);
      else if (this.#closed) settle(unavailable(provider, 'the connection was closed'));
      else this.send({ type: 'session.update', event_id: id, session });
    });
    if (error !== null) throw error;
  }

  /** What was lost before is told at once. */
  attach(handler: ConnectionHandler): void {
    this.#handler = handler;
    if (this.#lost !== null) handler.lost(this.#lost);
  }

  /** Without effect on a connection that is over. */
  send(event: RealtimeClientEvent): void {
    this.#socket.send(JSON.stringify(event));
  }

  /** Empties the input buffer; the handler is told by `input_audio_buffer.cleared`. */
  clearInput(): void {
    this.#clears.push('owner');
    this.send({ type: 'input_audio_buffer.clear' });
  }

  /** Quiet and idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#probe?.cancel();
    this.#socket.close();
    this.#configuring?.settle(unavailable(this.#options.provider, 'the connection was closed'));
  }

  async #read(): Promise<void> {
    const { provider, clock } = this.#options;
    try {
      for await (const message of this.#socket.messages) {
        if (this.#closed) return;
        this.heardAt = clock.now();
        const event = parseServerEvent(message);
        if (event === null) continue;
        if (event === 'malformed')
          throw malformed(provider, 'sent an event that is none of the Realtime API');
        this.#take(event);
      }
    } catch (error) {
      this.#lose(error instanceof ProviderError ? error : unavailable(provider, 'the connection broke'));
    }
  }

  #take(event: ServerEvent): void {
    const { provider, clock } = this.#options;
    switch (event.type) {
      case 'session.created': {
        const left = (event.session.expires_at ?? 0) * 1000 - clock.now();
        if (left >= shortestSessionMs) this.expiresAt = Math.min(this.expiresAt, clock.now() + left);
        return;
      }
      case 'session.updated':
        this.#configuring?.settle(null);
        return;
      case 'input_audio_buffer.cleared':
        if (this.#clears.shift() === 'owner') this.#handler?.event(event);
        return;
      case 'error': {
        const { event_id: id } = event.error;
        const ours = this.#configuring !== null && (id == null || id === this.#configuring.id);
        if (ours) this.#configuring?.settle(errorFrom(provider, event.error));
        else if (event.error.code === 'session_expired') throw errorFrom(provider, event.error);
        else this.#handler?.event(event);
        return;
      }
      default:
        this.#handler?.event(event);
    }
  }

  #watch(): void {
    const { clock, settings } = this.#options;
    const silenceMs = settings.silenceMs ?? defaultSilenceMs;
    const quietFor = clock.now() - this.heardAt;
    this.#probe = clock.after(Math.max(1, silenceMs - quietFor), () => {
      if (clock.now() - this.heardAt < silenceMs) this.#watch();
      else this.#askForLife(silenceMs);
    });
  }

  #askForLife(silenceMs: number): void {
    const { provider, clock } = this.#options;
    // Without a handler nobody has put anything into the buffer.
    if (this.#handler !== null && !this.#handler.mayProbe()) {
      this.#probe = clock.after(silenceMs, () => this.#watch());
      return;
    }
    const askedAt = clock.now();
    this.#clears.push('probe');
    this.send({ type: 'input_audio_buffer.clear' });
    this.#probe = clock.after(probeAnswerMs, () => {
      if (this.heardAt > askedAt || this.#clears.length === 0) this.#watch();
      else this.#lose(timedOut(provider, `silent for ${silenceMs + probeAnswerMs} ms`));
    });
  }

  #lose(error: ProviderError): void {
    if (this.#closed) return;
    this.#lost = error;
    this.#configuring?.settle(error);
    this.close();
    this.#handler?.lost(error);
  }
}
