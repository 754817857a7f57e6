import type { ClientEvent, SessionConfig } from 'openai/resources/live/live';
import type { Clock, Random, Timer } from '../../call/clock.ts';
import { malformed, retryable, unavailable } from '../openai-realtime/errors.ts';
import { ProviderError } from '../ports.ts';
import { LiveConnection } from './connection.ts';
import type { ServerEvent } from './events.ts';
import { defaultMaxRetries, type OpenAiLiveSettings } from './settings.ts';

export interface LinkClient {
  /** How the next session is to begin. */
  config(): SessionConfig;
  /** A session begins, and takes the place of the one before it. */
  begun(): void;
  /** Of the session that began last. */
  event(event: ServerEvent): void;
  /** Seconds of any session, since the last ones. */
  used(seconds: number): void;
  /** The session is gone, and another one is being made. */
  lost(error: ProviderError): void;
  /** None can be had, or it ended as asked (null). Nothing follows. */
  over(error: ProviderError | null): void;
  /** Whether the model says nothing at the moment. */
  silent(): boolean;
}

export interface LinkOptions {
  /** Provider and model, for errors. */
  provider: string;
  settings: OpenAiLiveSettings;
  clock: Clock;
  random: Pick<Random, 'fraction'>;
  client: LinkClient;
}

/** The wait before the n-th retry is half to whole of this, doubled n times. */
const backOffMs = 200;
/** A session that lived so long was a good one: if it is lost, another one is worth the try. */
const steadyMs = 20_000;
/** Before the session's end: from when another one takes its place in a silence of the model's, and when in the middle of a speech. */
const renewBeforeMs = 60_000;
const renewAtLatestMs = 20_000;
const renewAgainMs = 5_000;
const lookAgainMs = 500;

/** Keeps one session of a conversation alive: one that is lost is followed by one more, and one at its limit is replaced before. */
export class LiveLink {
  readonly #options: LinkOptions;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  #connection: LiveConnection | null = null;
  /** A session that was replaced, and has yet to tell its last usage. */
  #leaving: LiveConnection | null = null;
  #renewal: Timer | null = null;
  #renewing = false;
  /** Sessions in a row that were lost soon. */
  #losses = 0;
  #ending = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#clock = options.clock;
  }

  /** Gets a session, or tells that there is none. */
  async start(): Promise<void> {
    const most = this.#options.settings.maxRetries ?? defaultMaxRetries;
    for (let attempt = 0; !this.#closed; attempt++) {
      try {
        if (attempt > 0) await this.#backOff(attempt);
        if (!this.#closed) await this.#open();
        return;
      } catch (error) {
        if (this.#closed) return;
        const failure =
          error instanceof ProviderError ? error : unavailable(this.#options.provider, 'no connection');
        if (retryable(failure) && attempt < most) continue;
        this.#finish(failure);
      }
    }
  }

  /** Dropped where there is no session. */
  send(event: ClientEvent): void {
    this.#connection?.send(event);
  }

  /** The session's messages cannot be understood. */
  reject(reason: string): void {
    const connection = this.#connection;
    if (connection === null) return;
    connection.close();
    this.#over(connection, malformed(this.#options.provider, reason));
  }

  /** Asks for the end; `over` follows. */
  end(): void {
    this.#ending = true;
    this.#renewal?.cancel();
    if (this.#connection === null) this.#finish(null);
    else this.#connection.end();
  }

  /** Quiet and idempotent. */
  close(): void {
    this.#abort.abort();
    this.#renewal?.cancel();
    this.#connection?.close();
    this.#connection = null;
    this.#leaving?.close();
  }

  get #closed(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Opens a session, which takes the place of the one there is. */
  async #open(): Promise<void> {
    const { provider, settings, client } = this.#options;
    let current: LiveConnection | null = null;
    const early: (() => void)[] = [];
    let seconds = 0;
    const ifCurrent = (act: (connection: LiveConnection) => void) => {
      if (current === null) early.push(() => ifCurrent(act));
      else if (current === this.#connection) act(current);
    };
    const connection = await LiveConnection.open(
      {
        provider,
        settings,
        session: client.config(),
        clock: this.#clock,
        handler: {
          event: (event) => {
            // "Do not sum this value across usage events": it is the whole session's.
            const used = 'usage' in event ? (event.usage?.seconds ?? 0) : 0;
            if (used > seconds && !this.#closed) client.used(used - seconds);
            seconds = Math.max(seconds, used);
            ifCurrent(() => client.event(event));
          },
          over: (error) => ifCurrent((lost) => this.#over(lost, error)),
        },
      },
      this.#abort.signal,
    );
    if (this.#closed || this.#ending) {
      connection.close();
      return;
    }
    this.#leaving?.close();
    this.#leaving = this.#connection;
    this.#connection = connection;
    current = connection;
    this.#leaving?.end();
    this.#renewal?.cancel();
    if (Number.isFinite(connection.expiresAt)) {
      this.#renewAt(connection, connection.expiresAt - renewBeforeMs);
    }
    client.begun();
    for (const act of early) act();
  }

  #renewAt(connection: LiveConnection, time: number): void {
    this.#renewal = this.#clock.after(Math.max(0, time - this.#clock.now()), () => {
      const now = this.#clock.now();
      if (!this.#options.client.silent() && now < connection.expiresAt - renewAtLatestMs) {
        this.#renewAt(connection, now + lookAgainMs);
      } else {
        void this.#renew(connection);
      }
    });
  }

  /** Replaces a session that still serves. */
  async #renew(old: LiveConnection): Promise<void> {
    this.#renewing = true;
    try {
      await this.#open();
    } catch {
      if (this.#closed || this.#ending) return;
      if (this.#connection === old) this.#renewAt(old, this.#clock.now() + renewAgainMs);
      else void this.start();
    } finally {
      this.#renewing = false;
    }
  }

  #over(connection: LiveConnection, error: ProviderError | null): void {
    this.#connection = null;
    this.#renewal?.cancel();
    if (this.#ending || error === null) {
      this.#finish(null);
      return;
    }
    if (this.#clock.now() - connection.openedAt >= steadyMs) this.#losses = 0;
    if (!retryable(error) || ++this.#losses > 1) {
      this.#finish(error);
      return;
    }
    this.#options.client.lost(error);
    if (!this.#renewing) void this.start();
  }

  #finish(error: ProviderError | null): void {
    if (this.#closed) return;
    this.close();
    this.#options.client.over(error);
  }

  #backOff(attempt: number): Promise<void> {
    const delayMs = backOffMs * 2 ** (attempt - 1) * (0.5 + this.#options.random.fraction() / 2);
    return new Promise((resolve) => {
      const timer = this.#clock.after(delayMs, resolve);
      const stop = () => {
        timer.cancel();
        resolve();
      };
      this.#abort.signal.addEventListener('abort', stop, { once: true });
    });
  }
}
