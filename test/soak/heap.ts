import { WebSocket } from 'ws';
import { z } from 'zod';

const REQUEST_MS = 20_000;
/** A snapshot of nothing: what the inspector tells by itself is far smaller. */
const MOST_BYTES = 1_000_000;

const targetsSchema = z.array(z.object({ webSocketDebuggerUrl: z.url() })).min(1);
const messageSchema = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z.unknown().optional(),
  result: z.unknown().optional(),
});
const contextSchema = z.object({ context: z.object({ id: z.number() }) });
const evaluatedSchema = z.object({ result: z.object({ objectId: z.string() }) });
const usageSchema = z.object({
  usedSize: z.number(),
  embedderHeapUsedSize: z.number().default(0),
  backingStorageSize: z.number().default(0),
});

/**
 * What the Worker's heap holds in bytes, buffers included, once everything that nobody needs was collected. By the runtime's inspector:
 * of its methods `Runtime.queryObjects` collects all garbage before it looks (V8's `HeapProfiler::QueryObjects`), while
 * `HeapProfiler.collectGarbage` leaves that to a task that workerd does not run.
 *
 * @throws {Error} if the inspector does not answer within its time.
 */
export async function heapBytes(port: number): Promise<number> {
  const list = await fetch(`http://127.0.0.1:${port}/json/list`, { signal: AbortSignal.timeout(REQUEST_MS) });
  const [target] = targetsSchema.parse(await list.json());
  const socket = new WebSocket(target!.webSocketDebuggerUrl, {
    handshakeTimeout: REQUEST_MS,
    maxPayload: MOST_BYTES,
  });
  const answers = new Map<number, (result: unknown) => void>();
  let limit: NodeJS.Timeout | undefined;
  try {
    const failed = new Promise<never>((_, reject) => {
      limit = setTimeout(() => reject(new Error('the inspector does not answer')), REQUEST_MS);
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the inspector has hung up')));
    });
    const told = new Promise<number>((resolve) => {
      socket.on('message', (data) => {
        const { data: message } = messageSchema.safeParse(JSON.parse(String(data)));
        if (message === undefined) return;
        if (message.method === 'Runtime.executionContextCreated')
          resolve(contextSchema.parse(message.params).context.id);
        if (message.id !== undefined) answers.get(message.id)?.(message.result);
      });
    });
    // It may be rejected between two waits.
    failed.catch(() => {});
    let last = 0;
    const ask = (method: string, params: object = {}) => {
      const id = ++last;
      const answered = new Promise<unknown>((resolve) => answers.set(id, resolve));
      socket.send(JSON.stringify({ id, method, params }));
      return Promise.race([answered, failed]);
    };
    const contextId = await Promise.race([told, failed]);
    const evaluated = await ask('Runtime.evaluate', {
      expression: '(class Nothing {}).prototype',
      contextId,
    });
    const { objectId } = evaluatedSchema.parse(evaluated).result;
    await ask('Runtime.queryObjects', { prototypeObjectId: objectId });
    const usage = usageSchema.parse(await ask('Runtime.getHeapUsage'));
    return usage.usedSize + usage.embedderHeapUsedSize + usage.backingStorageSize;
  } finally {
    clearTimeout(limit);
    socket.removeAllListeners('close');
    socket.terminate();
  }
}
