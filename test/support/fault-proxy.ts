import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What becomes of a request. `reset`: the connection breaks before anything was passed on; `cut`: in the middle of the answer;
 * `hang`: nothing happens; `late`: it is carried out, and never answered.
 */
export type Fault = 'none' | `status ${500 | 503 | 429}` | 'reset' | 'cut' | 'hang' | 'late';

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
    const [suffix, fault] = [...faults]
      .filter(([end]) => path.endsWith(end))
      .sort(([a], [b]) => b.length - a.length)[0] ?? ['', 'none' as const];
    if (fault !== 'none') hits.set(suffix, (hits.get(suffix) ?? 0) + 1);
    outgoing.on('error', () => {});
    if (fault === 'hang') {
      incoming.resume();
    } else if (fault === 'reset') {
      incoming.socket.destroy();
    } else if (fault.startsWith('status')) {
      incoming.resume();
      const status = Number(fault.slice('status '.length));
      outgoing
        .writeHead(status, { 'content-type': 'application/json' })
        .end('{"error":{"message":"broken"}}');
    } else {
      passOn(incoming, outgoing, target, fault);
    }
  });
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    /** Where requests go that do not fail: scheme, host and port of this address. */
    passTo(url: string): void {
      target = new URL(url);
    },
    /** From now on, at paths that end with `suffix`; of several the longest counts. */
    fail(suffix: string, fault: Fault): void {
      faults.set(suffix, fault);
    },
    /** How often a fault was met there. */
    hits: (suffix: string) => hits.get(suffix) ?? 0,
    /** Nobody listens: connections are refused. */
    down: close,
    up: () => listen(port),
    async close(): Promise<void> {
      if (server.listening) await close();
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
    if (fault !== 'late') outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    if (fault === 'late') answer.resume();
    else if (fault === 'cut') answer.once('data', (part: Buffer) => cutAfter(outgoing, part));
    else answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  // Who hung up does not stop what was to be answered too late.
  if (fault !== 'late') outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}

/** Half of the first part is sent, then the line is dead. */
function cutAfter(outgoing: ServerResponse, part: Buffer): void {
  outgoing.write(part.subarray(0, part.length >> 1), () => outgoing.destroy());
}
