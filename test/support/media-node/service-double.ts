import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type WebSocket from 'ws';
import { WebSocketServer } from 'ws';
import { encodePcm16 } from '../../../src/audio/pcm.ts';
import { Happenings } from '../happenings.ts';

/** A WebSocket that a node has opened for a call. */
export class NodeSocket {
  readonly request: IncomingMessage;
  readonly #socket: WebSocket;
  readonly #texts: Record<string, unknown>[] = [];
  /** Lengths of the binary messages, in bytes. */
  readonly binary: number[] = [];
  readonly #happenings = new Happenings();
  closeCode: number | null = null;

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.#socket = socket;
    this.request = request;
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.binary.push(data.length);
      else this.#texts.push(JSON.parse(data.toString()) as Record<string, unknown>);
      this.#happenings.wake();
    });
    socket.on('close', (code) => {
      this.closeCode = code;
      this.#happenings.wake();
    });
  }

  say(samples: Int16Array): void {
    this.#socket.send(encodePcm16(samples));
  }

  tell(message: object): void {
    this.#socket.send(JSON.stringify(message));
  }

  close(code: number): void {
    this.#socket.close(code);
  }

  /** The `index`-th text message, as soon as it is there. */
  async text(index: number): Promise<Record<string, unknown>> {
    await this.until(() => this.#texts.length > index, `text ${index}`);
    return this.#texts[index] as Record<string, unknown>;
  }

  until(test: () => boolean, what: string): Promise<void> {
    return this.#happenings.until(test, () => what);
  }
}

/** What a node reports of a call's end, and with which token. */
export interface ReportedHangup {
  token: string | undefined;
  body: Record<string, unknown>;
}

/** The service as a node sees it, doing only what a test tells it to. */
export class ServiceDouble {
  readonly #server: Server;
  readonly #sockets = new Map<string, NodeSocket[]>();
  readonly #refused = new Map<string, number>();
  readonly #hangups: ReportedHangup[] = [];
  readonly #happenings = new Happenings();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ServiceDouble> {
    const server = createServer();
    const service = new ServiceDouble(server);
    const sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      const callId = new URL(request.url ?? '/', 'http://service').searchParams.get('callId') ?? '';
      const refused = service.#refused.get(callId);
      if (refused !== undefined) {
        socket.end(`HTTP/1.1 ${refused} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
        return;
      }
      sockets.handleUpgrade(request, socket, head, (opened) => {
        service.#sockets.set(callId, [
          ...(service.#sockets.get(callId) ?? []),
          new NodeSocket(opened, request),
        ]);
        service.#happenings.wake();
      });
    });
    server.on('request', async (request, response) => {
      const body = await text(request);
      if (request.method === 'POST' && request.url === '/api/v1/nodes/hangups') {
        const token = request.headers['x-node-token'];
        service.#hangups.push({
          token: typeof token === 'string' ? token : undefined,
          body: JSON.parse(body) as Record<string, unknown>,
        });
        response.writeHead(204);
        service.#happenings.wake();
      } else {
        response.writeHead(404);
      }
      response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return service;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Every upgrade for a call gets this status from now on. */
  refuse(callId: string, status: number): void {
    this.#refused.set(callId, status);
  }

  /** The `index`-th WebSocket of a call, as soon as it is open. */
  socket(callId: string, index = 0): Promise<NodeSocket> {
    return this.#happenings.find(
      () => this.#sockets.get(callId)?.[index],
      () => `WebSocket ${index} of ${callId}`,
    );
  }

  hangup(callId: string): Promise<ReportedHangup> {
    return this.#happenings.find(
      () => this.#hangups.find(({ body }) => body.callId === callId),
      () => `the hang-up of ${callId}`,
    );
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
