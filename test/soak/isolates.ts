import { WebSocket } from 'ws';
import { z } from 'zod';

const REQUEST_MS = 20_000;
const MOST_BYTES = 1_000_000;

const targetsSchema = z.array(z.object({ id: z.string(), webSocketDebuggerUrl: z.url() }));
const messageSchema = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z.object({ context: z.object({ id: z.number() }).optional() }).optional(),
  result: z.object({ result: z.object({ objectId: z.string() }).optional() }).optional(),
});

/**
 * Collects the garbage of miniflare's own isolates: its entries to buckets, caches and the network. Their heaps are small, so V8 seldom
 * collects them, and what has passed through them holds memory of the runtime's until it does, which would be taken for a leak.
 *
 * @param ports of the runtime; the one that is its inspector's answers. The Worker's own isolate is left alone: it takes one connection, and has one.
 * @param isWorker whether a target of the inspector is the Worker.
 * @returns how many were collected.
 */
export async function collectOthers(
  ports: readonly number[],
  isWorker: (target: string) => boolean,
): Promise<number> {
  let collected = 0;
  for (const port of ports) {
    for (const { id, webSocketDebuggerUrl } of await targetsAt(port)) {
      if (isWorker(id)) continue;
      await collect(webSocketDebuggerUrl);
      collected++;
    }
  }
  return collected;
}

/** What can be debugged there; nothing where it is no inspector. */
async function targetsAt(port: number): Promise<z.output<typeof targetsSchema>> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/json/list`, {
      signal: AbortSignal.timeout(REQUEST_MS),
    });
    return targetsSchema.parse(await response.json());
  } catch {
    return [];
  }
}

/** `Runtime.queryObjects` collects all garbage before it looks, see `heap.ts`. */
function collect(url: string): Promise<void> {
  const socket = new WebSocket(url, { handshakeTimeout: REQUEST_MS, maxPayload: MOST_BYTES });
  const ask = (id: number, method: string, params: object = {}) =>
    socket.send(JSON.stringify({ id, method, params }));
  return new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('an isolate was not collected in time')), REQUEST_MS);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the inspector hung up')));
    socket.once('open', () => ask(1, 'Runtime.enable'));
    socket.on('message', (data) => {
      const message = messageSchema.safeParse(JSON.parse(String(data))).data;
      const contextId = message?.params?.context?.id;
      const prototypeObjectId = message?.result?.result?.objectId;
      if (contextId !== undefined)
        ask(2, 'Runtime.evaluate', { expression: '(class Nothing {}).prototype', contextId });
      else if (message?.id === 2 && prototypeObjectId !== undefined)
        ask(3, 'Runtime.queryObjects', { prototypeObjectId });
      else if (message?.id === 3) {
        clearTimeout(timer);
        resolve();
      }
    });
  }).finally(() => socket.terminate());
}
