import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { listeningPortsOf } from '../../support/processes.ts';

it('finds the ports that a process listens on, and no longer those it has closed', async () => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as { port: number };
  expect(listeningPortsOf(process.pid)).toContain(port);
  server.close();
  await once(server, 'close');
  expect(listeningPortsOf(process.pid)).not.toContain(port);
});
