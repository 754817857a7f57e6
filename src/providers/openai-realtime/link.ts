import type { Clock, Random, Timer } from '../../call/clock.ts';
import { ProviderError } from '../ports.ts';
import { type ConnectionOptions, RealtimeConnection } from './connection.ts';
import { retryable, unavailable } from './errors.ts';
import type { ServerEvent } from './events.ts';
import { defaultMaxRetries } from './settings.ts';

export interface LinkClient {
  /** From now on this connection is the one; what was under way on another has to be sent again. */
  opened(connection: RealtimeConnection): void;
  /** Of the connection that was opened last. */
  event(event: ServerEvent): void;
  /** The connection is gone, and another one is being made. */
  dropped(error: ProviderError): void;
  /** No connection could be had. None is made before `start`. */
  failed(error: ProviderError): void;
  /** Whether anything is under way that a change of the connection would break. */
  busy(): boolean;
  /** See `ConnectionHandler`. */
  mayProbe(): boolean;
}

export interface LinkOptions extends ConnectionOptions {
  random: Pick<Random, 'fraction'>;
  client: LinkClient;
  /** A connection that was made before, for the first use. */
  first?: (signal: AbortSignal) => Promise<RealtimeConnection>;
}

/** The wait before the n-th retry is half to whole of this, doubled n times. */
const backOffMs = 200;
/** A connection that lived so long was a good one: the count of attempts begins anew. */
const steadyMs = 10_000;
/** Before the session's end: from when a new one stands ready, and when it is taken even in the middle of something. */
const renewBeforeMs = 120_000;
const renewAtLatestMs = 15_000;
const renewAgainMs = 15_000;
/** After a failure, what comes many times a second (audio) must not dial many times a second. */
const restMs = 2_000;

/**
 * Keeps one connection of a call alive: makes it, makes another one where it is lost, and renews it before the vendor ends it,
 * at a moment when nothing is under way if there is one.
 */
export class RealtimeLink {
  readonly #options: LinkOptions;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #connection: RealtimeConnection | null = null;
  #spare: RealtimeConnection | null = null;
  #connecting: AbortController | null = null;
  #renewal: Timer | null = null;
  #attempts = 0;
  #restsUntil = 0;
  #used = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  get connection(): RealtimeConnection | null {
    return this.#connection;
  }

  /**
   * Connects, unless it is connected, connecting or closed.
   *
   * @param rested not if it has just failed.
   */
  start(rested = false): void {
    if (this.#closed || this.#connection !== null || this.#connecting !== null) return;
    if (rested && this.#clock.now() < this.#restsUntil) return;
    this.#attempts = 0;
    void this.#connect();
  }

  /** The connection is of no more use: another one is made in its place. */
  replace(error: ProviderError): void {
    const connection = this.#connection;
    if (connection === null) return;
    connection.close();
    this.#drop(connection, error);
  }

  /** Something that was under way is over: the moment for a renewal that is due. */
  settled(): void {
    if (this.#spare !== null && !this.#options.client.busy()) this.#swap();
  }

  /** Idempotent; nothing is called after it. */
  close(): void {
    if (this.#closed) return;
    this.#controller.abort();
    this.#connecting?.abort();
    this.#renewal?.cancel();
    this.#connection?.close();
    this.#spare?.close();
    this.#connection = null;
    this.#spare = null;
  }

  get #closed(): boolean {
    return this.#controller.signal.aborted;
  }

  async #connect(): Promise<void> {
    const connecting = new AbortController();
    this.#connecting = connecting;
    const maxRetries = this.#options.settings.maxRetries ?? defaultMaxRetries;
    for (;;) {
      try {
        if (this.#attempts > 0) await this.#backOff(connecting.signal);
        this.#attempts++;
        const connection = await this.#open(connecting.signal);
        if (this.#closed) {
          connection.close();
          return;
        }
        this.#connecting = null;
        this.#take(connection);
        return;
      } catch (error) {
        if (this.#closed) return;
        const failure = this.#asError(error);
        if (retryable(failure) && this.#attempts <= maxRetries) continue;
        this.#connecting = null;
        this.#restsUntil = this.#clock.now() + restMs;
        this.#options.client.failed(failure);
        return;
      }
    }
  }

  #open(signal: AbortSignal): Promise<RealtimeConnection> {
    const { first } = this.#options;
    if (this.#used || first === undefined) return RealtimeConnection.open(this.#options, signal);
    this.#used = true;
    return first(signal);
  }

  #asError(error: unknown): ProviderError {
    if (error instanceof ProviderError) return error;
    return unavailable(this.#options.provider, 'no connection');
  }

  #backOff(signal: AbortSignal): Promise<void> {
    const delayMs = backOffMs * 2 ** (this.#attempts - 1) * (0.5 + this.#options.random.fraction() / 2);
    return new Promise((resolve) => {
      const timer = this.#clock.after(delayMs, resolve);
      const stop = () => {
        timer.cancel();
        resolve();
      };
      signal.addEventListener('abort', stop, { once: true });
    });
  }

  #take(connection: RealtimeConnection): void {
    this.#connection = connection;
    this.#renewal?.cancel();
    this.#renewal = this.#at(connection.expiresAt - renewBeforeMs, () => void this.#renew(connection));
    let lost = false;
    connection.attach({
      event: (event) => {
        if (this.#connection === connection) this.#options.client.event(event);
      },
      lost: (error) => {
        lost = true;
        if (this.#connection === connection) this.#drop(connection, error);
      },
      mayProbe: () => this.#connection !== connection || this.#options.client.mayProbe(),
    });
    if (!lost) this.#options.client.opened(connection);
  }

  #drop(connection: RealtimeConnection, error: ProviderError): void {
    this.#connection = null;
    this.#renewal?.cancel();
    if (this.#clock.now() - connection.openedAt >= steadyMs) this.#attempts = 0;
    const spare = this.#spare;
    this.#spare = null;
    this.#options.client.dropped(error);
    if (this.#closed) return;
    if (spare !== null) this.#take(spare);
    else if (this.#connecting === null) void this.#connect();
  }

  /** Makes the next connection while this one still serves. */
  async #renew(current: RealtimeConnection): Promise<void> {
    try {
      const spare = await RealtimeConnection.open(this.#options, this.#controller.signal);
      if (this.#connection !== current || this.#closed) {
        spare.close();
        return;
      }
      this.#spare = spare;
      spare.attach({
        event: () => {},
        lost: () => {
          if (this.#spare === spare) this.#forget();
        },
        mayProbe: () => true,
      });
      this.#renewal = this.#at(current.expiresAt - renewAtLatestMs, () => this.#swap());
      this.settled();
    } catch {
      this.#forget();
    }
  }

  /** There is no spare; it is tried again, as long as there is a connection to replace. */
  #forget(): void {
    this.#spare = null;
    const current = this.#connection;
    if (current === null || this.#closed) return;
    this.#renewal?.cancel();
    this.#renewal = this.#at(this.#clock.now() + renewAgainMs, () => void this.#renew(current));
  }

  #swap(): void {
    const { connection: old } = this;
    const spare = this.#spare;
    if (spare === null) return;
    this.#spare = null;
    this.#connection = null;
    old?.close();
    this.#take(spare);
  }

  #at(time: number, task: () => void): Timer {
    return this.#clock.after(Math.max(0, time - this.#clock.now()), task);
  }
}
