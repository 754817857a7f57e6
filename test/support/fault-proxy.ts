import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What becomes of a request: `cut` breaks the connection in the middle of the answer. */
export type Fault = 'none' | 'status 500' | 'cut' | 'hang';

/**
 * Stands between the service and its engines, on loopback, and passes everything on, until it is told to fail at paths that end
 * with something.
 */
export async function startFaultProxy() {
  const faults = new Map<string, Fault>();
  const hits = new Map<string, number>();
  let target: URL | null = null;
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? '/';
    const [suffix, fault] = [...faults].find(([end]) => path.endsWith(end)) ?? ['', 'none' as const];
    if (fault !== 'none') hits.set(suffix, (hits.get(suffix) ?? 0) + 1);
    outgoing.on('error', () => {});
    if (fault === 'hang') {
      incoming.resume();
    } else if (fault === 'status 500') {
      incoming.resume();
      outgoing.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{"message":"broken"}}');
    } else {
      passOn(incoming, outgoing, target, fault);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    /** Where requests go that do not fail: scheme, host and port of this address. */
    passTo(url: string): void {
      target = new URL(url);
    },
    /** From now on, at paths that end with `suffix`. */
    fail(suffix: string, fault: Fault): void {
      faults.set(suffix, fault);
    },
    /** How often a fault was met there. */
    hits: (suffix: string) => hits.get(suffix) ?? 0,
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function passOn(incoming: IncomingMessage, outgoing: ServerResponse, target: URL | null, fault: Fault): void {
  if (target === null) {
    outgoing.writeHead(503).end();
    return;
  }
  const { hostname, port } = target;
  const { method, url, headers } = incoming;
  const onward = request({ hostname, port, method, path: url, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    if (fault === 'cut') answer.once('data', (part: Buffer) => cutAfter(outgoing, part));
    else answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}

/** Half of the first part is sent, then the line is dead. */
function cutAfter(outgoing: ServerResponse, part: Buffer): void {
  outgoing.write(part.subarray(0, part.length >> 1), () => outgoing.destroy());
}
