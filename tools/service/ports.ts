import { createServer } from 'node:net';

/** A port cannot be listened on; the message names it. */
export class PortError extends Error {
  override readonly name = 'PortError';
}

/**
 * Makes sure that `port` is free on this machine's loopback, IPv4 and (where there is one) IPv6: clients that are told
 * `localhost` try either. 0 is always free.
 */
export async function assertPortFree(port: number): Promise<void> {
  if (port === 0) return;
  for (const host of ['127.0.0.1', '::1']) await tryPort(port, host);
}

function tryPort(port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (host === '::1' && (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT')) resolve();
      else if (error.code === 'EADDRINUSE') {
        reject(
          new PortError(`Port ${port} is taken: something else listens on it. End that, or use --port.`),
        );
      } else reject(new PortError(`Port ${port} cannot be used: ${error.message}`));
    });
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve()));
  });
}
