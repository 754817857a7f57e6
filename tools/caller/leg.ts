import WebSocket from 'ws';
import { decodeBase64, encodeBase64 } from '../../src/audio/base64.ts';
import { AudioFormatError } from '../../src/audio/pcm.ts';
import type { AudioEncoding, ClientMessage } from '../../src/dialects/native-messages.ts';
import { decodeAudio, encodeAudio } from './audio.ts';
import { CallError } from './errors.ts';
import { messageLimitBytes, parseServerMessage, type ReceivedMessage } from './server-messages.ts';

/** Unsent bytes above which the service, or the network, has stopped reading: half a minute of JSON μ-law. */
const backlogLimitBytes = 512 * 1024;

export interface LegOptions {
  url: string;
  headers: Record<string, string>;
  transport: 'json' | 'binary';
  encoding: AudioEncoding;
  sampleRate: number;
  connectMs: number;
}

/** What comes from the service. Called synchronously, in the order of arrival. */
export interface LegListener {
  message(message: ReceivedMessage): void;
  /** Agent's audio; `text` is the sentence on its first piece, null on the others. */
  audio(samples: Int16Array, text: string | null): void;
  /** The service sent what it must not, or does not read any more. The leg is closed. */
  failed(error: CallError): void;
  closed(code: number, reason: string): void;
}

/** The caller's end of the wire: the native dialect over one WebSocket. Knows nothing of time. */
export class CallerLeg {
  readonly #socket: WebSocket;
  readonly #options: LegOptions;
  readonly #listener: LegListener;
  #speech: string | null = null;

  /** @throws {CallError} `connect`: the URL is none. */
  constructor(options: LegOptions, listener: LegListener) {
    this.#options = options;
    this.#listener = listener;
    try {
      this.#socket = new WebSocket(options.url, {
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
    this.sendRaw(JSON.stringify(message));
  }

  /** One frame. */
  sendAudio(samples: Int16Array): void {
    const bytes = encodeAudio(samples, this.#options.encoding);
    if (this.#options.transport === 'binary') {
      this.sendRaw(bytes);
    } else {
      const { encoding: format, sampleRate } = this.#options;
      this.sendRaw(JSON.stringify({ type: 'audio', data: encodeBase64(bytes), format, sampleRate }));
    }
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

  /** Asks for an orderly close. */
  close(code = 1000): void {
    this.#socket.close(code);
  }

  /** Drops the connection without a word, as a broken network does. */
  terminate(): void {
    this.#socket.terminate();
  }

  #fail(error: CallError): void {
    this.#listener.failed(error);
    this.#socket.terminate();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      this.#refused(response.statusCode ?? 0);
    });
    socket.on('error', (cause) => {
      const message = cause.message || ('code' in cause ? String(cause.code) : 'the connection failed');
      this.#listener.failed(new CallError('connect', `${this.#options.url}: ${message}`, null, cause));
    });
    socket.on('close', (code, reason) => this.#listener.closed(code, reason.toString('utf8').slice(0, 200)));
    socket.on('message', (data, isBinary) => {
      const bytes = Array.isArray(data) ? Buffer.concat(data) : new Uint8Array(data);
      if (isBinary) this.#receiveAudio(bytes, this.#takeSpeech());
      else this.#receiveText(new TextDecoder().decode(bytes));
    });
  }

  #refused(status: number): void {
    this.#listener.failed(new CallError('refused', `The service answered HTTP ${status}`, status));
    this.#socket.terminate();
  }

  #takeSpeech(): string | null {
    const text = this.#speech;
    this.#speech = null;
    return text;
  }

  #receiveText(text: string): void {
    const message = parseServerMessage(text);
    if (message === null) return;
    if (typeof message === 'string') {
      this.#fail(new CallError('protocol', `The service sent ${message}`));
    } else if (message.type === 'audio_response') {
      const bytes = decodeBase64(message.audio);
      if (bytes === null) this.#fail(new CallError('protocol', 'The service sent audio that is not base64'));
      else this.#receiveAudio(bytes, message.text === '' ? null : message.text);
    } else {
      if (message.type === 'speech') this.#speech = message.text;
      this.#listener.message(message);
    }
  }

  #receiveAudio(bytes: Uint8Array, text: string | null): void {
    try {
      this.#listener.audio(decodeAudio(bytes, this.#options.encoding), text);
    } catch (error) {
      if (!(error instanceof AudioFormatError)) throw error;
      this.#fail(new CallError('protocol', `The service sent bad audio: ${error.message}`));
    }
  }
}
