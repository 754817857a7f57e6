import type { Clock, Timer } from '../../call/clock.ts';
import { AttemptFailed, unlessAborted } from '../attempts.ts';
import { ProviderError } from '../ports.ts';
import type { VendorSocketOptions } from '../vendor-socket.ts';
import { MultiContextSocket } from './multi-context-socket.ts';

/** `inactivity_timeout`, in seconds: the most that is allowed (help.elevenlabs.io, "How can I keep the WebSocket open?"). */
export const inactivitySeconds = 180;

/** A socket that was not used for so long is renewed before the vendor closes it, so that the next sentence finds one open. */
const renewMs = 170_000;

/** A vendor that closes what it has just opened is not dialled in a circle. */
const shortestLifeMs = 10_000;

/** Voices or languages that a call goes back and forth between. */
const mostSockets = 3;

interface Connection {
  url: string;
  opening: Promise<MultiContextSocket>;
  socket: MultiContextSocket | null;
  renewal: Timer | null;
}

/** The sockets of one call, one for each address (voice, language, format). */
export class Connections {
  readonly #options: Omit<VendorSocketOptions, 'url' | 'signal'>;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  /** The one that was used last is the last. */
  readonly #byUrl = new Map<string, Connection>();

  constructor(options: Omit<VendorSocketOptions, 'url' | 'signal'>) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /** Opens the socket before it is needed. */
  warm(url: string): void {
    if (!this.#controller.signal.aborted) this.#connectionTo(url).opening.catch(() => {});
  }

  /** An open socket that another sentence may be spoken on. Throws `ProviderError` where none can be had; anything once the signal has fired. */
  async take(url: string, signal: AbortSignal): Promise<MultiContextSocket> {
    this.#controller.signal.throwIfAborted();
    const connection = this.#connectionTo(url);
    const socket = await unlessAborted(connection.opening, signal);
    if (!socket.usable) {
      const { provider } = this.#options;
      const error = new ProviderError(provider, 'unavailable', `${provider}: the socket was closed at once`);
      throw new AttemptFailed(error, true);
    }
    this.#renewLater(connection);
    return socket;
  }

  /** Idempotent. */
  close(): void {
    for (const connection of [...this.#byUrl.values()]) this.#forget(connection);
    this.#controller.abort();
  }

  #connectionTo(url: string): Connection {
    const known = this.#byUrl.get(url);
    if (known !== undefined && (known.socket === null || known.socket.usable)) {
      this.#byUrl.delete(url);
      this.#byUrl.set(url, known);
      return known;
    }
    if (known !== undefined) this.#forget(known);
    const connection: Connection = {
      url,
      opening: MultiContextSocket.open({ ...this.#options, url, signal: this.#controller.signal }),
      socket: null,
      renewal: null,
    };
    this.#byUrl.set(url, connection);
    for (const oldest of [...this.#byUrl.values()].slice(0, -mostSockets)) this.#forget(oldest);
    connection.opening.then(
      (socket) => this.#opened(connection, socket),
      () => this.#forget(connection),
    );
    return connection;
  }

  #opened(connection: Connection, socket: MultiContextSocket): void {
    connection.socket = socket;
    if (!this.#isCurrent(connection)) {
      socket.retire();
      return;
    }
    const openedAt = this.#clock.now();
    this.#renewLater(connection);
    void socket.ended.then(() => {
      if (!this.#isCurrent(connection)) return;
      this.#forget(connection);
      if (this.#clock.now() - openedAt >= shortestLifeMs) this.warm(connection.url);
    });
  }

  #renewLater(connection: Connection): void {
    connection.renewal?.cancel();
    if (!this.#isCurrent(connection)) return;
    connection.renewal = this.#clock.after(renewMs, () => {
      this.#forget(connection);
      this.warm(connection.url);
    });
  }

  #isCurrent(connection: Connection): boolean {
    return this.#byUrl.get(connection.url) === connection;
  }

  /** What is being spoken on it is spoken to its end. */
  #forget(connection: Connection): void {
    connection.renewal?.cancel();
    connection.renewal = null;
    if (this.#isCurrent(connection)) this.#byUrl.delete(connection.url);
    connection.socket?.retire();
  }
}
