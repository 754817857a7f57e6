import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { listen, type RestApp } from '../../../embedded/supabase/gateway.ts';
import { QueueFullError, serial } from '../../../embedded/supabase/serial.ts';

async function withGateway(app: RestApp, limit: number, use: (url: string) => Promise<void>): Promise<void> {
  const server = await listen(app, serial(limit), { host: '127.0.0.1', port: 0 });
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/rest/v1/calls`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('the gateway', () => {
  it('never lets two requests into the one connection, where they would share a transaction and a role', async () => {
    let inside = 0;
    let most = 0;
    const app: RestApp = {
      async fetch(request) {
        inside += 1;
        most = Math.max(most, inside);
        const body = await request.text();
        for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
        return Response.json(body);
      },
    };
    await withGateway(app, 100, async (url) => {
      const asked = Array.from({ length: 12 }, async (_, index) => {
        const response = await fetch(url, { method: 'POST', body: `request ${index}` });
        return response.json();
      });
      expect(await Promise.all(asked)).toEqual(Array.from({ length: 12 }, (_, index) => `request ${index}`));
    });
    expect(most).toBe(1);
  });

  it('answers 503 where too many wait, and serves again when they are done', async () => {
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let entered = () => {};
    const first = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const app: RestApp = {
      async fetch() {
        entered();
        await finished;
        return Response.json('done');
      },
    };
    await withGateway(app, 1, async (url) => {
      const slow = fetch(url);
      await first;
      expect((await fetch(url)).status).toBe(503);
      finish();
      expect((await slow).status).toBe(200);
      expect((await fetch(url)).status).toBe(200);
    });
  });
});

describe('serial', () => {
  it('goes on after a task that failed', async () => {
    const oneAtATime = serial(2);
    const failed = oneAtATime(async () => Promise.reject(new Error('refused')));
    const next = oneAtATime(async () => 'next');
    await expect(oneAtATime(async () => 'one too many')).rejects.toBeInstanceOf(QueueFullError);
    await expect(failed).rejects.toThrow('refused');
    await expect(next).resolves.toBe('next');
  });
});
