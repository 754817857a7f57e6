import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import type { AppRequestContext } from '@supabase/lite';
import { EmbeddedSupabaseError } from './error.ts';
import { QueueFullError, type serial } from './serial.ts';

/** lite's `App`, so far as the gateway uses it. */
export interface RestApp {
  fetch(request: Request, context: AppRequestContext): Promise<Response>;
}

/** Bytes of one request's body; a call of the longest kind with its transcript takes 4 MB. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** Longest wait for a request to come in, in milliseconds. */
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * The part of a hosted project's gateway that the service uses: `/rest/v1`. lite's other routes stay closed:
 * `/_system` shows the configuration to anyone.
 */
export async function listen(
  app: RestApp,
  oneAtATime: ReturnType<typeof serial>,
  address: { host: string; port: number },
): Promise<Server> {
  const server = createAdaptorServer({
    async fetch(request, env) {
      if (!new URL(request.url).pathname.startsWith('/rest/v1')) return failure(404, 'no such route');
      const body = await readBody(request);
      if (body === null) return failure(413, `a request's body may have ${MAX_BODY_BYTES} bytes`);
      const whole = new Request(request.url, {
        method: request.method,
        headers: request.headers,
        ...(body.byteLength === 0 ? {} : { body }),
      });
      try {
        const peerAddress = env.incoming.socket.remoteAddress ?? null;
        return await oneAtATime(() => app.fetch(whole, { peerAddress }));
      } catch (error) {
        if (error instanceof QueueFullError) return failure(503, error.message);
        throw error;
      }
    },
  }) as Server;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `cannot listen on ${address.host}:${address.port}: ${cause.message}`;
      reject(new EmbeddedSupabaseError('ADDRESS_UNAVAILABLE', message, cause));
    });
    server.listen(address.port, address.host, resolve);
  });
  return server;
}

/** Null where it is too long. Read before its turn comes, so that a slow sender holds up nobody else. */
async function readBody(request: Request): Promise<Uint8Array<ArrayBuffer> | null> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body as ReadableStream<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}

function failure(status: number, message: string): Response {
  return Response.json({ message }, { status });
}
