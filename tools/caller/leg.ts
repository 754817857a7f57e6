import type { IncomingMessage } from 'node:http';
import WebSocket from 'ws';
import { z } from 'zod';
import type { AudioEncoding, ClientMessage, SampleRate } from '../../src/dialects/native-messages.ts';
import type { FarEnd } from './ends/far-end.ts';
import { NativeEnd } from './ends/native.ts';
import { type FarEndName, farEndOf } from './ends/registry.ts';
import { CallError, UpgradeRefusedError } from './errors.ts';
import { messageLimitBytes, type ReceivedMessage } from './server-messages.ts';

/** Unsent bytes above which the service, or the network, has stopped reading: half a minute of JSON μ-law. */
const backlogLimitBytes = 512 * 1024;
/** What is read of an answer that refuses the upgrade, and how long it is waited for, in milliseconds. */
const refusalLimitBytes = 4_096;
const refusalMs = 1_000;

/** As every error of the service's over HTTP. */
const refusalSchema = z.object({ error: z.object({ code: z.string().min(1).max(64) }) });

export interface LegOptions {
  url: string;
  headers: Record<string, string>;
  transport: 'json' | 'binary';
  encoding: AudioEncoding;
  sampleRate: SampleRate;
  connectMs: number;
  /** Whose end of the wire it is; absent: the native dialect's client. */
  as?: FarEndName;
}

/** What comes from the service. Called synchronously, in the order of arrival. */
export interface LegListener {
  message(message: ReceivedMessage): void;
  /** Agent's audio; `text` is the sentence on its first piece, null on the others. */
  audio(samples: Int16Array, text: string | null): void;
  /** The service sent what it must not, or does not read any more. The leg is closed. */
  failed(error: CallError): void;
  closed(code: number, reason: string): void;
  /** The answer to a `ping`, with its payload. */
  pong?(payload: Uint8Array): void;
}

/** The caller's end of the wire: one dialect over one WebSocket. Knows nothing of time. */
export class CallerLeg {
  readonly #socket: WebSocket;
  readonly #options: LegOptions;
  readonly #listener: LegListener;
  readonly #end: FarEnd;

  /** @throws {CallError} `connect`: the URL is none. */
  constructor(options: LegOptions, listener: LegListener) {
    this.#options = options;
    this.#listener = listener;
    this.#end = this.#createEnd();
    const subprotocols = options.as === undefined ? [] : farEndOf(options.as).subprotocols;
    try {
      this.#socket = new WebSocket(options.url, [...subprotocols], {
        headers: options.headers,
        handshakeTimeout: options.connectMs,
        maxPayload: messageLimitBytes,
        perMessageDeflate: false,
      });
    } catch (cause) {
      throw new CallError(
        'connect',
        `No call can be placed to ${options.url}: ${String(cause)}`,
        null,
        cause,
      );
    }
    this.#listen();
  }

  get closed(): boolean {
    return this.#socket.readyState === WebSocket.CLOSED;
  }

  send(message: ClientMessage): void {
    this.#end.send(message);
  }

  /** One frame. */
  sendAudio(samples: Int16Array): void {
    this.#end.sendAudio(samples);
  }

  /** Puts anything on the socket as it is; after the close it goes nowhere. */
  sendRaw(data: string | Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > backlogLimitBytes) {
      this.#fail(new CallError('timeout', 'The service does not read what it is sent'));
      return;
    }
    this.#socket.send(data);
  }

  /** A ping of the WebSocket's own, at most 125 bytes; before the socket is open and after its close it goes nowhere. */
  ping(payload: Uint8Array): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping(payload);
  }

  /** Asks for an orderly close. */
  close(code = 1000): void {
    this.#socket.close(code);
  }

  /** Drops the connection without a word, as a broken network does. */
  terminate(): void {
    this.#socket.terminate();
  }

  #createEnd(): FarEnd {
    const { as, sampleRate, transport, encoding } = this.#options;
    const context = {
      sampleRate,
      put: (data: string | Uint8Array) => this.sendRaw(data),
      close: () => this.close(),
      message: (message: ReceivedMessage) => this.#listener.message(message),
      audio: (samples: Int16Array, text: string | null) => this.#listener.audio(samples, text),
      failed: (what: string) => this.#fail(new CallError('protocol', `The service sent ${what}`)),
    };
    return as === undefined ? new NativeEnd(context, transport, encoding) : farEndOf(as).create(context);
  }

  #fail(error: CallError): void {
    this.#listener.failed(error);
    this.#socket.terminate();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('unexpected-response', (request, response) => {
      void serviceCodeIn(response).then((serviceCode) => {
        request.destroy();
        this.#listener.failed(new UpgradeRefusedError(response.statusCode ?? 0, serviceCode));
        this.#socket.terminate();
      });
    });
    socket.on('error', (cause) => {
      const message = cause.message || ('code' in cause ? String(cause.code) : 'the connection failed');
      this.#listener.failed(new CallError('connect', `${this.#options.url}: ${message}`, null, cause));
    });
    socket.on('close', (code, reason) => this.#listener.closed(code, reason.toString('utf8').slice(0, 200)));
    socket.on('open', () => this.#end.opened());
    socket.on('pong', (payload) => this.#listener.pong?.(payload));
    socket.on('message', (data, isBinary) => {
      const bytes = Array.isArray(data) ? Buffer.concat(data) : new Uint8Array(data);
      if (isBinary) this.#end.receiveBinary(bytes);
      else this.#end.receiveText(new TextDecoder().decode(bytes));
    });
  }
}

/** The code in an answer that refuses the upgrade; null where there is none, or it does not come in time. */
async function serviceCodeIn(response: IncomingMessage): Promise<string | null> {
  const limit = setTimeout(() => response.destroy(), refusalMs);
  try {
    let text = '';
    for await (const piece of response.setEncoding('utf8')) {
      text += piece;
      if (text.length > refusalLimitBytes) return null;
    }
    return refusalSchema.parse(JSON.parse(text)).error.code;
  } catch {
    // Cut off, no JSON, or somebody else's: the status says all there is.
    return null;
  } finally {
    clearTimeout(limit);
  }
}
