import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

/** `POST /v1/text-to-speech/{voice_id}/stream` as it was received. */
export interface SpeechRequest {
  voice: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Record<string, unknown>;
  /** Fires when the client is gone before the answer was complete. */
  gone: Promise<void>;
}

export type HttpAnswer = (request: SpeechRequest, response: ServerResponse) => void | Promise<void>;

/** One context whose text was flushed. */
export interface Sentence {
  contextId: string;
  text: string;
  socket: SpeechSocket;
  /** An `AudioOutputMulti`. */
  audio(bytes: Uint8Array): void;
  /** A `FinalOutputMulti`, which sets the context's place free. */
  final(): void;
}

export type SentenceAnswer = (sentence: Sentence) => void;

/** A connection to `…/multi-stream-input`. */
export interface SpeechSocket {
  voice: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  /** Everything that came, parsed. */
  received: Record<string, unknown>[];
  /** Everything that was sent. */
  sent: unknown[];
  /** Contexts that count among the five. */
  contexts: Set<string>;
  send(message: unknown): void;
  /** The vendor's error, and the close that follows it. */
  fail(error: string, message: string): void;
  close(code: number, reason?: string): void;
  /** Cuts the line without a closing handshake. */
  cut(): void;
  closed: Promise<number>;
}

const mostContexts = 5;

/**
 * A server on loopback that plays ElevenLabs' streaming speech, by hand after
 * - elevenlabs.io/docs/api-reference/text-to-speech/stream,
 * - elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input (messages),
 * - elevenlabs.io/docs/eleven-api/guides/how-to/websockets/multi-context-web-socket (five contexts, order of messages),
 * - elevenlabs.io/docs/eleven-api/resources/errors and help.elevenlabs.io, "API - Error Code 400 or 401" (bodies of errors),
 * - the errors of sockets as they are quoted in github.com/livekit/agents-js issue 1985 and livekit/agents issue 218. A message for
 *   an unknown context opens one, whatever it says: github.com/pipecat-ai/pipecat pull request 4126.
 *
 * Without a script it speaks {@link speechOf} each text.
 */
export class ElevenLabsDouble {
  readonly sockets: SpeechSocket[] = [];
  readonly sentences: Sentence[] = [];
  readonly requests: SpeechRequest[] = [];
  /** For the next upgrades: a status refuses, `hang` never answers, null accepts. */
  readonly upgrades: (number | 'hang' | null)[] = [];
  /** For the next sentences on any socket. */
  readonly sentenceScript: SentenceAnswer[] = [];
  /** For the next requests. */
  readonly httpScript: HttpAnswer[] = [];
  readonly #server: Server;
  readonly #webSockets = new WebSocketServer({ noServer: true });
  readonly #hanging = new Set<Duplex>();
  #watchers: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ElevenLabsDouble> {
    const server = createServer();
    const double = new ElevenLabsDouble(server);
    server.on('request', (request, response) => void double.#answer(request, response));
    server.on('upgrade', (request, socket, head) => double.#upgrade(request, socket, head));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return double;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves once it holds. Looked at again whenever something has arrived. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#watchers.push(resolve);
      });
    }
  }

  /** Breaks what is still open. */
  async close(): Promise<void> {
    for (const socket of this.#hanging) socket.destroy();
    for (const client of this.#webSockets.clients) client.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #arrived(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', this.baseUrl);
    const voice = /^\/v1\/text-to-speech\/([^/]+)\/stream$/.exec(url.pathname)?.[1];
    const gone = new Promise<void>((resolve) => {
      response.once('close', () => {
        if (!response.writableFinished) resolve();
      });
    });
    let text = '';
    for await (const piece of incoming) text += String(piece);
    if (voice === undefined || incoming.method !== 'POST') {
      response.writeHead(404).end();
      return;
    }
    const request = {
      voice: decodeURIComponent(voice),
      query: url.searchParams,
      headers: incoming.headers,
      body: JSON.parse(text) as Record<string, unknown>,
      gone,
    };
    this.requests.push(request);
    this.#arrived();
    await (this.httpScript.shift() ?? speak)(request, response);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? '/', this.baseUrl);
    const voice = /^\/v1\/text-to-speech\/([^/]+)\/multi-stream-input$/.exec(url.pathname)?.[1];
    const verdict = voice === undefined ? 404 : (this.upgrades.shift() ?? null);
    if (verdict === 'hang') {
      this.#hanging.add(socket);
      this.#arrived();
      return;
    }
    if (verdict !== null) {
      const body = '{"detail":{"status":"invalid_api_key","message":"Invalid API key secret-key"}}';
      socket.end(
        `HTTP/1.1 ${verdict} Refused\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      );
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (accepted) => {
      this.#accept(accepted, decodeURIComponent(voice!), url.searchParams, request.headers);
    });
  }

  #accept(
    accepted: WebSocket,
    voice: string,
    query: URLSearchParams,
    headers: IncomingMessage['headers'],
  ): void {
    const texts = new Map<string, string>();
    const socket: SpeechSocket = {
      voice,
      query,
      headers,
      received: [],
      sent: [],
      contexts: new Set(),
      send: (message) => {
        socket.sent.push(message);
        accepted.send(typeof message === 'string' ? message : JSON.stringify(message));
      },
      fail: (error, message) => {
        socket.send({ message, error, code: 1008 });
        accepted.close(1008, message.slice(0, 100));
      },
      close: (code, reason) => accepted.close(code, reason),
      cut: () => accepted.terminate(),
      closed: new Promise((resolve) => {
        accepted.on('close', (code) => {
          resolve(code);
          this.#arrived();
        });
      }),
    };
    accepted.on('error', () => {});
    accepted.on('message', (data) => {
      const message = JSON.parse(String(data)) as Record<string, unknown>;
      socket.received.push(message);
      this.#take(socket, texts, message);
      this.#arrived();
    });
    this.sockets.push(socket);
    this.#arrived();
  }

  #take(socket: SpeechSocket, texts: Map<string, string>, message: Record<string, unknown>): void {
    if (message.close_socket === true) {
      socket.close(1000);
      return;
    }
    const id = String(message.context_id ?? 'default');
    if (!socket.contexts.has(id)) {
      if (socket.contexts.size === mostContexts) {
        socket.fail(
          'max_active_conversations',
          'Maximum simultaneous contexts per WebSocket connection exceeded (5). Please close an existing context before opening a new one.',
        );
        return;
      }
      socket.contexts.add(id);
      texts.set(id, '');
    }
    if (typeof message.text === 'string') texts.set(id, (texts.get(id) ?? '') + message.text);
    const text = texts.get(id)?.trim() ?? '';
    if (message.flush === true && text !== '') {
      texts.set(id, '');
      this.#speak(socket, id, text);
    }
  }

  #speak(socket: SpeechSocket, contextId: string, text: string): void {
    const sentence: Sentence = {
      contextId,
      text,
      socket,
      audio: (bytes) =>
        socket.send({
          audio: Buffer.from(bytes).toString('base64'),
          normalizedAlignment: null,
          alignment: null,
          contextId,
        }),
      final: () => {
        socket.contexts.delete(contextId);
        socket.send({ isFinal: true, contextId });
      },
    };
    this.sentences.push(sentence);
    (this.sentenceScript.shift() ?? speakWhole)(sentence);
  }
}

/** What the double says for a text: μ-law, or 16-bit PCM, 20 ms for each character; different for different texts. */
export function speechOf(text: string, format: string): Uint8Array {
  const bytes = format === 'ulaw_8000' ? 160 : 640;
  return Uint8Array.from({ length: text.length * bytes }, (_, i) => {
    const character = text.charCodeAt(Math.floor(i / bytes));
    return (character * 31 + i * 7) & 0xff;
  });
}

/** In three pieces, cut within a sample. */
export function piecesOf(speech: Uint8Array): Uint8Array[] {
  const third = Math.floor(speech.length / 3) | 1;
  return [speech.subarray(0, third), speech.subarray(third, 2 * third), speech.subarray(2 * third)];
}

const speakWhole: SentenceAnswer = (sentence) => {
  const format = sentence.socket.query.get('output_format') ?? '';
  for (const piece of piecesOf(speechOf(sentence.text, format))) sentence.audio(piece);
  sentence.final();
};

const speak: HttpAnswer = (request, response) =>
  stream(piecesOf(speechOf(String(request.body.text), request.query.get('output_format') ?? '')))(
    request,
    response,
  );

// --- answers over HTTP ----------------------------------------------------------------------------------------

/** A body in pieces, each on its own way before the next is written. */
export function stream(
  pieces: readonly (Uint8Array | string)[],
  end: 'complete' | 'cut' | 'hang' = 'complete',
  type = 'audio/basic',
): HttpAnswer {
  return async (_, response) => {
    response.writeHead(200, { 'content-type': type });
    response.flushHeaders();
    for (const piece of pieces) {
      await new Promise<void>((resolve) => {
        response.write(piece, () => resolve());
      });
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    }
    if (end === 'complete') response.end();
    if (end === 'cut') response.destroy();
  };
}

/** An error with the body of elevenlabs.io/docs/eleven-api/resources/errors. */
export function failure(
  status: number,
  code: string,
  message = 'scripted',
  headers: Record<string, string> = {},
): HttpAnswer {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(
      JSON.stringify({
        detail: { type: 'scripted', code, message, status: code, request_id: 'r1', param: null },
      }),
    );
  };
}

/** Accepts the request and never answers. */
export const hang: HttpAnswer = () => {};

/** Closes the connection instead of answering. */
export const refuse: HttpAnswer = (_, response) => {
  response.destroy();
};
