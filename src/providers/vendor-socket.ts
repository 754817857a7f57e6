import { AsyncQueue } from '../call/async-queue.ts';
import type { Clock } from '../call/clock.ts';
import { requestIdOf, retryAfterMs } from './attempts.ts';
import { ProviderError, type ProviderFailure } from './ports.ts';
import { Watchdog } from './watchdog.ts';

/** A vendor's WebSocket, as every runtime has it. */
export interface RawSocket {
  send(message: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: 'error', listener: (event: unknown) => void): void;
}

interface WorkerSocket extends RawSocket {
  binaryType: string;
  accept(): void;
}

export interface DialRequest {
  /** `ws:` or `wss:`. */
  url: string;
  headers: Record<string, string>;
  protocols?: readonly string[];
}

/**
 * Opens a WebSocket with headers of its own: in a Worker by `fetch`, elsewhere by the runtime's client. Rejects with
 * {@link DialRefused} where the vendor answered with another status than 101. Messages must not be lost between the
 * answer and the first listener.
 */
export type Dial = (request: DialRequest, signal: AbortSignal) => Promise<RawSocket>;

/** The vendor answered the upgrade with a status of its own. */
export class DialRefused extends Error {
  override readonly name = 'DialRefused';
  readonly status: number;
  /** The header as it came, or null. */
  readonly retryAfter: string | null;
  /** The vendor's id of the request, where it has told. */
  readonly requestId: string | undefined;

  constructor(status: number, message: string, retryAfter: string | null = null, requestId?: string) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }
}

/** Characters of a refusal's body that are kept. */
const LONGEST_REFUSAL = 300;

/** The Worker's own way: https://developers.cloudflare.com/workers/examples/websockets/ ("Write a WebSocket client"). */
export const dialByFetch: Dial = async ({ url, headers, protocols }, signal) => {
  const response = await fetch(url.replace(/^ws/, 'http'), {
    headers: {
      ...headers,
      Upgrade: 'websocket',
      ...(protocols === undefined ? {} : { 'Sec-WebSocket-Protocol': protocols.join(', ') }),
    },
    signal,
  });
  // Only a Worker's responses have one.
  const { webSocket: socket } = response as { webSocket?: WorkerSocket | null };
  if (socket === null || socket === undefined) {
    const body = await response.text().catch(() => '');
    throw new DialRefused(
      response.status,
      body.slice(0, LONGEST_REFUSAL),
      response.headers.get('retry-after'),
      requestIdOf(response.headers).requestId,
    );
  }
  // Before `accept`, see src/durable/leg-socket.ts.
  socket.binaryType = 'arraybuffer';
  socket.accept();
  return socket;
};

export interface VendorSocketOptions extends DialRequest {
  /** Provider and model, for errors. */
  provider: string;
  clock: Clock;
  /** The longest wait for the open socket, in milliseconds. */
  connectMs: number;
  /** Closes the socket. */
  signal: AbortSignal;
  dial?: Dial;
}

/** Longer ones come from a broken vendor: a second of 24 kHz PCM in base64 has 64,000. */
const LONGEST_MESSAGE = 4 * 1024 * 1024;
/** Messages that wait to be read; beyond it the reader has been lost. */
const MOST_WAITING = 10_000;

/**
 * One open connection to a vendor. Whatever ends it ends `messages`, with a `ProviderError` unless it was closed by us; so one
 * `for await` sees everything.
 */
export class VendorSocket {
  /** Texts, and binary messages as bytes, in order. Iterated once. Throws `ProviderError` where the connection is lost. */
  readonly messages: AsyncIterable<string | Uint8Array>;
  readonly #raw: RawSocket;
  readonly #provider: string;
  readonly #queue = new AsyncQueue<string | Uint8Array>();
  #open = true;
  #lost: ProviderError | null = null;
  #waiting = 0;

  private constructor(raw: RawSocket, provider: string, signal: AbortSignal) {
    this.#raw = raw;
    this.#provider = provider;
    this.messages = this.#iterate();
    raw.addEventListener('message', ({ data }) => this.#take(data));
    raw.addEventListener('close', ({ code, reason }) =>
      this.#lose(
        'unavailable',
        `the connection was closed (${code}${reason ? ` ${reason.slice(0, 200)}` : ''})`,
      ),
    );
    raw.addEventListener('error', () => this.#lose('unavailable', 'the connection broke'));
    if (signal.aborted) this.close();
    else signal.addEventListener('abort', () => this.close(), { once: true });
  }

  /** Throws `ProviderError`: refused, unreachable, or not in time. Rejects with anything once the signal has fired. */
  static async open(options: VendorSocketOptions): Promise<VendorSocket> {
    const { provider, clock, connectMs, signal, dial = dialByFetch } = options;
    const watchdog = new Watchdog(clock, signal);
    watchdog.expect('connection', connectMs);
    let late = false;
    try {
      const dialling = dial(options, watchdog.signal);
      // A dialler need not heed the signal; a socket that opens after it is nobody's.
      void dialling.then(
        (raw) => late && raw.close(),
        () => {},
      );
      const raw = await Promise.race([dialling, aborted(watchdog.signal)]);
      return new VendorSocket(raw, provider, signal);
    } catch (error) {
      late = true;
      if (watchdog.expired !== null) {
        throw new ProviderError(provider, 'timeout', `${provider}: ${watchdog.expired}`);
      }
      throw toDialError(provider, error, clock);
    } finally {
      watchdog.release();
    }
  }

  get open(): boolean {
    return this.#open;
  }

  /** A message on a connection that is lost is dropped: `messages` tells. */
  send(message: string | Uint8Array): void {
    if (!this.#open) return;
    try {
      this.#raw.send(message);
    } catch {
      this.#lose('unavailable', 'the connection broke');
    }
  }

  /** Ends `messages` quietly. Idempotent. */
  close(code = 1000, reason = ''): void {
    if (!this.#open) return;
    this.#open = false;
    this.#queue.end();
    try {
      this.#raw.close(code, reason);
    } catch {
      // It was closed by the other end at the same moment.
    }
  }

  #take(data: unknown): void {
    if (!this.#open) return;
    const message = typeof data === 'string' ? data : bytesOf(data);
    if (message === null || message.length > LONGEST_MESSAGE) {
      this.#lose('malformed', 'sent a message that is too long');
    } else if (++this.#waiting > MOST_WAITING) {
      this.#lose('malformed', 'sent more than can be read');
    } else {
      this.#queue.push(message);
    }
  }

  #lose(failure: ProviderFailure, message: string): void {
    if (!this.#open) return;
    this.#lost = new ProviderError(this.#provider, failure, `${this.#provider}: ${message}`);
    this.close();
  }

  async *#iterate(): AsyncGenerator<string | Uint8Array, void, void> {
    for await (const message of this.#queue) {
      this.#waiting--;
      yield message;
    }
    if (this.#lost !== null) throw this.#lost;
  }
}

function bytesOf(data: unknown): Uint8Array | null {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function toDialError(provider: string, error: unknown, clock: Clock): ProviderError {
  if (error instanceof DialRefused) {
    const { status } = error;
    const failure = failureOfStatus(status);
    // Vendors repeat a part of the key in a 401.
    const message =
      failure === 'unauthorized' ? 'the key was refused' : `answered ${status} ${error.message}`;
    const asked = retryAfterMs({ get: () => error.retryAfter }, clock);
    return new ProviderError(provider, failure, `${provider}: ${message}`, {
      status,
      ...(asked > 0 ? { retryAfterMs: asked } : {}),
      ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
    });
  }
  return new ProviderError(provider, 'unavailable', `${provider}: no connection`, { cause: error });
}

/** What an HTTP status means to the call, whichever vendor sent it. */
export function failureOfStatus(status: number): ProviderFailure {
  if (status === 429) return 'rate_limited';
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 408) return 'timeout';
  return status >= 500 ? 'unavailable' : 'rejected';
}
