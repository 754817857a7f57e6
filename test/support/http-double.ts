import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the double received it. */
export interface ReceivedRequest {
  method: string;
  /** As it was sent, without the double's prefix, e.g. `/audio/speech`. */
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  /** Fires when the client is gone before the answer was complete. */
  readonly gone: Promise<void>;
}

/** How one request is answered. */
export type Answer = (request: ReceivedRequest, response: ServerResponse) => void | Promise<void>;

/** Larger bodies are refused: no test needs them. */
const mostBodyBytes = 30_000_000;

/**
 * A server on loopback that plays a vendor, or one that speaks its API badly: the test says for each path how its
 * requests are to be answered, one after the other. A request that the script does not foresee is answered with 501
 * and found in `unexpected`.
 */
export class HttpDouble {
  readonly requests: ReceivedRequest[] = [];
  readonly unexpected: ReceivedRequest[] = [];
  readonly #server: Server;
  readonly #prefix: string;
  readonly #scripts = new Map<string, Answer[]>();
  #watchers: (() => void)[] = [];

  private constructor(server: Server, prefix: string) {
    this.#server = server;
    this.#prefix = prefix;
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  /** @param prefix path of the base address, which the paths of scripts and requests leave out, e.g. `/v1`. */
  static async start(prefix = ''): Promise<HttpDouble> {
    const server = createServer();
    const double = new HttpDouble(server, prefix);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return double;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${this.#prefix}`;
  }

  /** Adds answers for the next requests to a path, e.g. `/audio/speech`. */
  script(path: string, ...answers: Answer[]): void {
    this.#scripts.set(path, [...(this.#scripts.get(path) ?? []), ...answers]);
  }

  /** Resolves with the request of this number, from 0, once its body has arrived. */
  async received(number: number): Promise<ReceivedRequest> {
    while (this.requests.length <= number) {
      await new Promise<void>((resolve) => {
        this.#watchers.push(resolve);
      });
    }
    return this.requests[number]!;
  }

  /** Breaks what is still open. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      response.once('close', () => {
        if (!response.writableFinished) resolve();
      });
    });
    const body = await bodyOf(incoming);
    if (body === null) {
      response.destroy();
      return;
    }
    const request: ReceivedRequest = {
      method: incoming.method ?? '',
      path: this.#pathOf(incoming.url ?? ''),
      headers: Object.fromEntries(
        Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
      ),
      body,
      gone,
    };
    const answer = this.#scripts.get(request.path)?.shift();
    this.requests.push(request);
    for (const watcher of this.#watchers.splice(0)) watcher();
    if (answer === undefined) {
      this.unexpected.push(request);
      // The clients' own header: another attempt would but hide what was not foreseen.
      response.writeHead(501, { 'x-should-retry': 'false' }).end();
      return;
    }
    await answer(request, response);
  }

  #pathOf(url: string): string {
    return url.startsWith(this.#prefix) ? url.slice(this.#prefix.length) : url;
  }
}

/** The fields of a multipart request, files as `File`. */
export async function formOf(request: ReceivedRequest): Promise<FormData> {
  return new Response(new Uint8Array(request.body), { headers: request.headers }).formData();
}

export function jsonOf(request: ReceivedRequest): Record<string, unknown> {
  return JSON.parse(request.body.toString('utf8')) as Record<string, unknown>;
}

// --- answers ------------------------------------------------------------------------------------------------

/** A whole body of any type. */
export function body(content: string | Uint8Array, type: string, code = 200): Answer {
  return (_, response) => {
    response.writeHead(code, { 'content-type': type }).end(content);
  };
}

export function json(value: unknown): Answer {
  return body(JSON.stringify(value), 'application/json');
}

/** Accepts the request and never answers. */
export function hang(): Answer {
  return () => {};
}

/** Closes the connection instead of answering. */
export function refuse(): Answer {
  return (_, response) => {
    response.destroy();
  };
}

/** Answers once the promise resolves. */
export function after(gate: Promise<void>, answer: Answer): Answer {
  return async (request, response) => {
    await gate;
    await answer(request, response);
  };
}

/** How a streamed body ends. */
export type StreamEnd = 'complete' | 'cut' | 'hang';

/** A body in pieces, each on its own way before the next is written. */
export function stream(
  pieces: readonly (string | Uint8Array)[],
  type: string,
  end: StreamEnd = 'complete',
): Answer {
  return async (_, response) => {
    response.writeHead(200, { 'content-type': type });
    response.flushHeaders();
    for (const piece of pieces) {
      await new Promise<void>((resolve) => {
        response.write(piece, () => resolve());
      });
      // The next piece in a packet of its own: after the event loop has gone round.
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
    }
    if (end === 'complete') response.end();
    if (end === 'cut') response.destroy();
  };
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer | null> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const piece of incoming) {
      const buffer = piece as Buffer;
      bytes += buffer.length;
      if (bytes > mostBodyBytes) return null;
      pieces.push(buffer);
    }
  } catch {
    // The client went away while it was sending: there is nobody to answer.
    return null;
  }
  return Buffer.concat(pieces);
}
