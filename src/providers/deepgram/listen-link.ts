import { type Clock, systemRandom, type Timer } from '../../call/clock.ts';
import type { ProviderError } from '../ports.ts';
import { VendorSocket } from '../vendor-socket.ts';
import {
  backOffMs,
  type DeepgramSettings,
  deepgramHeaders,
  defaultConnectMs,
  defaultMaxRetries,
  failed,
  isRetryable,
  toProviderError,
  wait,
} from './settings.ts';

export interface LinkHandler {
  /** A new connection that knows nothing of the ones before. */
  opened(): void;
  /** @throws {ProviderError} if it means nothing: the connection is given up. */
  message(text: string): void;
  /** The connection is lost; another one is being made. */
  lost(error: ProviderError): void;
  /** No connection, all retries spent. */
  gaveUp(error: ProviderError): void;
  /** Nothing has been sent for a while: the vendor would close the connection. */
  keepAlive(): void;
}

export interface LinkOptions {
  provider: string;
  url: string;
  settings: DeepgramSettings;
  clock: Clock;
  /** The longest wait for a message where one is expected, in milliseconds. */
  silentMs: number;
  keepAliveMs: number;
  /** Ends it. */
  signal: AbortSignal;
  handler: LinkHandler;
}

/** A connection that is lost sooner has not shown that the vendor is well. */
const HEALTHY_MS = 5_000;

/**
 * The connection of one speech-to-text session, made anew when it is lost: at once where it had worked, else after a back-off.
 * A connection has worked once it has brought a message that was understood.
 */
export class ListenLink {
  readonly #options: LinkOptions;
  #socket: VendorSocket | null = null;
  #running = false;
  #renewal: ProviderError | null = null;
  #silence: Timer | null = null;
  #keepAlive: Timer | null = null;
  #sentAt = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get open(): boolean {
    return this.#socket?.open ?? false;
  }

  /** Connected, or trying to be. */
  get running(): boolean {
    return this.#running;
  }

  /** Without effect while it runs. */
  connect(): void {
    if (this.#running || this.#options.signal.aborted) return;
    this.#running = true;
    void this.#run();
  }

  send(message: string | Uint8Array): void {
    this.#sentAt = this.#options.clock.now();
    this.#socket?.send(message);
  }

  /** Gives the connection up for another one. */
  renew(error: ProviderError): void {
    if (this.#socket === null) return;
    this.#renewal = error;
    this.#socket.close();
  }

  /** From now on a message is waited for. Without effect while one is. */
  expectMessage(): void {
    if (this.#silence !== null || this.#socket === null) return;
    const { clock, silentMs, provider } = this.#options;
    this.#silence = clock.after(silentMs, () => {
      this.#silence = null;
      this.renew(failed(provider, 'timeout', `no message within ${silentMs} ms`));
    });
  }

  /** No message need come. */
  expectNothing(): void {
    this.#silence?.cancel();
    this.#silence = null;
  }

  /** Says goodbye. The signal ends the rest. */
  close(goodbye: string): void {
    if (this.#socket === null) return;
    this.#socket.send(goodbye);
    this.#socket.close();
    this.#release();
  }

  async #run(): Promise<void> {
    const { settings, provider, url, clock, signal, handler } = this.#options;
    const maxRetries = settings.maxRetries ?? defaultMaxRetries;
    let failures = 0;
    for (;;) {
      let error: ProviderError;
      let worked = false;
      let openedAt = clock.now();
      try {
        const socket = await VendorSocket.open({
          provider,
          url,
          headers: deepgramHeaders(settings),
          clock,
          connectMs: settings.connectMs ?? defaultConnectMs,
          signal,
          ...(settings.dial === undefined ? {} : { dial: settings.dial }),
        });
        openedAt = clock.now();
        this.#begin(socket);
        for await (const message of socket.messages) {
          if (signal.aborted) break;
          if (typeof message !== 'string') throw failed(provider, 'malformed', 'sent audio');
          this.expectNothing();
          handler.message(message);
          worked = true;
        }
        error = this.#renewal ?? failed(provider, 'unavailable', 'the connection was closed');
      } catch (thrown) {
        error = toProviderError(provider, thrown);
      }
      this.#release();
      if (signal.aborted) break;
      if (worked && clock.now() - openedAt >= HEALTHY_MS) failures = 0;
      failures++;
      if (failures > maxRetries || !isRetryable(error)) {
        this.#running = false;
        handler.gaveUp(error);
        return;
      }
      handler.lost(error);
      if (!worked || failures > 1)
        await wait(clock, backOffMs(failures - 1, systemRandom.fraction()), signal);
      if (signal.aborted) break;
    }
    this.#running = false;
  }

  #begin(socket: VendorSocket): void {
    const { signal, handler } = this.#options;
    if (signal.aborted) return;
    this.#socket = socket;
    this.#renewal = null;
    this.#watchIdle(this.#options.keepAliveMs);
    handler.opened();
  }

  #watchIdle(afterMs: number): void {
    const { clock, keepAliveMs, handler } = this.#options;
    this.#keepAlive = clock.after(afterMs, () => {
      const idle = clock.now() - this.#sentAt;
      if (idle >= keepAliveMs) {
        handler.keepAlive();
        this.#watchIdle(keepAliveMs);
      } else {
        this.#watchIdle(keepAliveMs - idle);
      }
    });
  }

  #release(): void {
    this.expectNothing();
    this.#keepAlive?.cancel();
    this.#keepAlive = null;
    this.#socket?.close();
    this.#socket = null;
  }
}
