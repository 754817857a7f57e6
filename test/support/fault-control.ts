import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Fault, startFaultProxy } from './fault-proxy.ts';

/** What a test asks for. `down`: connections are refused. */
export interface FaultOrder {
  suffix: string;
  fault: Fault | 'down';
}

/** Lets tests in workerd order a proxy's faults over HTTP: POST a {@link FaultOrder}. Answers with how often a fault was met there. */
export async function startFaultControl(proxy: Awaited<ReturnType<typeof startFaultProxy>>) {
  let down = false;
  const obey = async ({ suffix, fault }: FaultOrder): Promise<number> => {
    if (down && fault !== 'down') await proxy.up();
    if (!down && fault === 'down') await proxy.down();
    down = fault === 'down';
    if (fault !== 'down') proxy.fail(suffix, fault);
    return proxy.hits(suffix);
  };
  const server = createServer(async (request, response) => {
    const body: Buffer[] = [];
    for await (const part of request) body.push(part as Buffer);
    const hits = await obey(JSON.parse(Buffer.concat(body).toString()) as FaultOrder);
    response.end(JSON.stringify({ hits }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
