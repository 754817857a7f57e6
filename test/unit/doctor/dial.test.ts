import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { DialRefused } from '../../../src/providers/vendor-socket.ts';
import { dialFromNode } from '../../../tools/doctor/dial.ts';
import { eventually } from '../../support/deepgram-call.ts';
import { socketDouble } from '../../support/socket-double.ts';

const close: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const each of close.splice(0).reverse()) await each();
});
const never = () => new AbortController().signal;

it('loses no message that comes with the answer, and keeps the order', async () => {
  const double = await socketDouble({
    connected: (connection) => {
      connection.send('first');
      connection.send(Uint8Array.of(1, 2));
    },
  });
  close.push(double.close);
  const socket = await dialFromNode({ url: double.url, headers: { 'x-key': 'k' } }, never());
  // Both messages lie at the client before anybody listens.
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  const got: unknown[] = [];
  socket.addEventListener('message', ({ data }) => got.push(data));
  double.connections[0]!.send('last');
  await eventually(() => got.length === 3);
  expect(got).toEqual(['first', Uint8Array.of(1, 2).buffer, 'last']);
  expect(double.connections[0]!.headers['x-key']).toBe('k');
});

it('tells a refusal’s status, and the start of its body, though the body never ends', async () => {
  const server = createServer();
  server.on('upgrade', (_request, socket) => {
    // The server knows no more of it once it is upgraded.
    close.push(async () => void socket.destroy());
    socket.on('error', () => {});
    socket.write(
      `HTTP/1.1 429 Busy\r\nretry-after: 7\r\ntransfer-encoding: chunked\r\n\r\n200\r\n${'x'.repeat(512)}\r\n`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const error = await dialFromNode({ url, headers: {} }, never()).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(DialRefused);
  expect(error).toMatchObject({ status: 429, retryAfter: '7', message: 'x'.repeat(300) });
});

it.each(['before', 'while'])('gives up where it is told to %s it waits', async (when) => {
  let asked = false;
  const double = await socketDouble({
    upgrade: () => {
      asked = true;
      return 'hang';
    },
  });
  close.push(double.close);
  const abort = new AbortController();
  if (when === 'before') abort.abort();
  const dialling = dialFromNode({ url: double.url, headers: {} }, abort.signal);
  dialling.catch(() => {});
  if (when === 'while') {
    await eventually(() => asked);
    abort.abort();
  }
  await expect(dialling).rejects.toThrow();
});
