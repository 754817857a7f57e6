import { WebSocket } from 'ws';
import { z } from 'zod';

const REQUEST_MS = 20_000;
/** What the inspector tells by itself is a line of the log at most. */
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
 * The Worker's heap, seen by the runtime's inspector. One connection for the whole run: wrangler keeps all that the runtime tells for as
 * long as nobody is connected, and tells the first one alone which context there is.
 */
export class Heap {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (result: unknown) => void>();
  readonly #context: Promise<number>;
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.#context = new Promise((resolve) => {
      socket.on('message', (data) => {
        const { data: message } = messageSchema.safeParse(JSON.parse(String(data)));
        if (message?.method === 'Runtime.executionContextCreated')
          resolve(contextSchema.parse(message.params).context.id);
        if (message?.id === undefined) return;
        this.#answers.get(message.id)?.(message.result);
        this.#answers.delete(message.id);
      });
    });
    // A request that is not answered in time says so.
    socket.on('error', () => {});
  }

  /** @param port of the inspector. @throws {Error} if it does not answer. */
  static async open(port: number): Promise<Heap> {
    const url = `http://127.0.0.1:${port}/json/list`;
    const list = await fetch(url, { signal: AbortSignal.timeout(REQUEST_MS) });
    const [target] = targetsSchema.parse(await list.json());
    const options = { handshakeTimeout: REQUEST_MS, maxPayload: MOST_BYTES };
    return new Heap(new WebSocket(target!.webSocketDebuggerUrl, options));
  }

  /**
   * What it holds in bytes, buffers included, once everything that nobody needs was collected: `Runtime.queryObjects` collects all
   * garbage before it looks (V8's `HeapProfiler::QueryObjects`), while `HeapProfiler.collectGarbage` leaves that to a task that workerd
   * does not run.
   *
   * @throws {Error} if the inspector does not answer within its time.
   */
  async bytes(): Promise<number> {
    const contextId = await inTime(this.#context);
    // The inspector keeps the last thousand lines of the log.
    await this.#ask('Runtime.discardConsoleEntries');
    const evaluated = await this.#ask('Runtime.evaluate', {
      expression: '(class Nothing {}).prototype',
      contextId,
      objectGroup: 'soak',
    });
    const { objectId } = evaluatedSchema.parse(evaluated).result;
    await this.#ask('Runtime.queryObjects', { prototypeObjectId: objectId, objectGroup: 'soak' });
    await this.#ask('Runtime.releaseObjectGroup', { objectGroup: 'soak' });
    const usage = usageSchema.parse(await this.#ask('Runtime.getHeapUsage'));
    return usage.usedSize + usage.embedderHeapUsedSize + usage.backingStorageSize;
  }

  close(): void {
    this.#socket.terminate();
  }

  #ask(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#last;
    const answered = new Promise<unknown>((resolve) => this.#answers.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    return inTime(answered);
  }
}

function inTime<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error(`the inspector does not answer within ${REQUEST_MS} ms`));
    const timer = setTimeout(late, REQUEST_MS);
    void answer.then((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
