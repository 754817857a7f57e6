import { createServer, type Server } from 'node:net';

/** A loopback port that somebody listens on, until `close`. */
export async function takePort(host = '127.0.0.1'): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  return { port: portOf(server), close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/**
 * A loopback port that nobody listens on, a moment ago. For tests that must name a port beforehand; whoever can,
 * listens on port 0 instead.
 */
export async function freePort(): Promise<number> {
  const { port, close } = await takePort();
  await close();
  return port;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening on a port');
  return address.port;
}
