import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';

interface Message {
  id?: number;
  result?: unknown;
  error?: { message: string };
  method?: string;
  params?: { context?: { id: number } };
}

const ANSWER_MS = 60_000;

/** What V8 has allocated for a Worker, in bytes. */
export interface HeapUsage {
  usedSize: number;
  totalSize: number;
  /** Array buffers. */
  backingStorageSize?: number;
}

/**
 * V8's inspector in a workerd (`--inspector-addr`), by the Chrome DevTools protocol. Its own `HeapProfiler.collectGarbage` is only
 * answered once the Worker has something else to do, hence `gc()`, which `--expose-gc` gives the Worker.
 */
export class Inspector {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (message: Message) => void>();
  #asked = 0;
  #contextId: number | null = null;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Message;
      if (message.method === 'Runtime.executionContextCreated') {
        this.#contextId = message.params?.context?.id ?? null;
      }
      if (message.id !== undefined) this.#answers.get(message.id)?.(message);
    });
    // A question that is not answered in time says so.
    socket.on('error', () => {});
  }

  static async connect(port: number): Promise<Inspector> {
    const response = await fetch(`http://127.0.0.1:${port}/json`, { signal: AbortSignal.timeout(ANSWER_MS) });
    const [target] = (await response.json()) as { webSocketDebuggerUrl: string }[];
    if (target === undefined) throw new Error('the inspector names no Worker');
    const socket = new WebSocket(target.webSocketDebuggerUrl, {
      perMessageDeflate: false,
      handshakeTimeout: ANSWER_MS,
    });
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    const inspector = new Inspector(socket);
    await inspector.#ask('Runtime.enable');
    return inspector;
  }

  /** What is in use once all that nobody refers to was collected; twice, since some is only let go of by the first time. */
  async heapAfterCollection(): Promise<HeapUsage> {
    for (let i = 0; i < 2; i++) {
      const { result } = (await this.#ask('Runtime.evaluate', {
        expression: 'gc()',
        contextId: this.#contextId,
      })) as { result?: { type?: string } };
      if (result?.type !== 'undefined') throw new Error('the Worker has no gc(): start it with --expose-gc');
      await pause(500);
    }
    return (await this.#ask('Runtime.getHeapUsage')) as HeapUsage;
  }

  close(): void {
    this.#socket.terminate();
  }

  #ask(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the inspector did not answer ${method}`)), ANSWER_MS);
      this.#answers.set(id, ({ result, error }) => {
        clearTimeout(timer);
        this.#answers.delete(id);
        if (error === undefined) resolve(result);
        else reject(new Error(`the inspector answered ${method}: ${error.message}`));
      });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }
}
