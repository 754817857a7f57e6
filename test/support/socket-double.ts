import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

export { dialFromNode } from '../../tools/doctor/dial.ts';

/** One connection to a vendor's double. */
export interface DoubleConnection {
  /** Path and query. */
  url: URL;
  headers: IncomingMessage['headers'];
  /** Everything that came, binary messages as bytes. */
  received: (string | Uint8Array)[];
  send(message: unknown): void;
  close(code?: number, reason?: string): void;
  /** Cuts the line without a closing handshake. */
  cut(): void;
  readonly closed: Promise<{ code: number; reason: string }>;
}

export interface SocketDoubleOptions {
  /** A status refuses the upgrade; null accepts it; 'hang' never answers. */
  upgrade?: (url: URL, headers: IncomingMessage['headers']) => number | null | 'hang';
  /** What stands in the answer that refuses it. */
  refusal?: string;
  connected?: (connection: DoubleConnection) => void;
  /** A text as it came; a binary message as bytes. */
  message?: (connection: DoubleConnection, message: string | Uint8Array) => void;
}

/** A WebSocket server on loopback that plays a vendor. Objects that it sends go as JSON, bytes as binary messages. */
export async function socketDouble(options: SocketDoubleOptions) {
  const connections: DoubleConnection[] = [];
  const http = createServer((_request, response) => response.writeHead(404).end());
  const sockets = new WebSocketServer({ noServer: true });
  const hanging = new Set<import('node:stream').Duplex>();
  http.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url ?? '/', 'http://double');
    // A client that gives up.
    socket.on('error', () => {});
    const verdict = options.upgrade?.(url, request.headers) ?? null;
    if (verdict === 'hang') {
      hanging.add(socket);
      return;
    }
    if (verdict !== null) {
      const body = options.refusal ?? '{"error":"refused by the double"}';
      socket.end(
        `HTTP/1.1 ${verdict} Refused\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      );
      return;
    }
    sockets.handleUpgrade(request, socket, head, (accepted) => {
      const connection: DoubleConnection = {
        url,
        headers: request.headers,
        received: [],
        send: (message) =>
          accepted.send(
            typeof message === 'string' || message instanceof Uint8Array ? message : JSON.stringify(message),
          ),
        close: (code, reason) => accepted.close(code, reason),
        cut: () => accepted.terminate(),
        closed: new Promise((resolve) =>
          accepted.on('close', (code, reason) => resolve({ code, reason: String(reason) })),
        ),
      };
      accepted.on('error', () => {});
      accepted.on('message', (data, binary) => {
        const message = binary ? new Uint8Array(data as Buffer) : String(data);
        connection.received.push(message);
        options.message?.(connection, message);
      });
      connections.push(connection);
      options.connected?.(connection);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  return {
    /** `ws://127.0.0.1:…`, without a path. */
    url: `ws://127.0.0.1:${port}`,
    connections,
    async close(): Promise<void> {
      for (const socket of hanging) socket.destroy();
      for (const client of sockets.clients) client.terminate();
      http.closeAllConnections();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
}
