import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BodyBudget } from './body.ts';

/** One request being answered. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** Fires when the client is gone, the time is over or the server closes. */
  signal: AbortSignal;
  budget: BodyBudget;
}

/** Answers with JSON, unless the client is gone. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, JSON.stringify(body), 'application/json');
}

/** Answers with text, unless the client is gone. */
export function sendText(response: ServerResponse, status: number, body: string, contentType: string): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}

/**
 * Writes a piece of a streamed answer and waits while the client reads slower than it is written.
 *
 * @throws the signal's reason.
 */
export async function writePiece(exchange: Exchange, piece: string | Uint8Array): Promise<void> {
  exchange.signal.throwIfAborted();
  if (piece.length === 0) return;
  if (!exchange.response.write(piece)) await once(exchange.response, 'drain', { signal: exchange.signal });
}
