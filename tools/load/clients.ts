import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CallersTask } from './callers.ts';
import type { ClientSecond, FromClient, ToClient } from './client-messages.ts';

/** How long a process may take to come up, and to end its calls once they should be ended: each has 30 s of its own for that. */
const READY_MS = 30_000;
const ENDED_MS = 45_000;

/** The processes that call could not be started. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
}

export interface ClientsListener {
  second(process: number, second: ClientSecond): void;
  /** A process has died, or does not end: its calls are lost, and not by the service's fault. */
  lost(process: number): void;
}

/** The processes that call. Each wait is bounded, and none is left behind: they end when the line to this process breaks. */
export class Clients {
  readonly #listener: ClientsListener;
  readonly #children: ChildProcess[];
  readonly #running = new Set<number>();
  #ended: () => void = () => {};

  private constructor(children: ChildProcess[], listener: ClientsListener) {
    this.#children = children;
    this.#listener = listener;
    for (const [number, child] of children.entries()) this.#watch(child, number);
  }

  /** @throws {ClientError} if one does not come up. */
  static async start(processes: number, listener: ClientsListener): Promise<Clients> {
    const file = fileURLToPath(new URL('./client.ts', import.meta.url));
    const children = Array.from({ length: processes }, () => fork(file, { serialization: 'advanced' }));
    const clients = new Clients(children, listener);
    let limit: NodeJS.Timeout | undefined;
    try {
      await Promise.race([
        Promise.all(children.map(isReady)),
        new Promise<never>((_, reject) => {
          limit = setTimeout(() => reject(new ClientError('A process that calls did not start')), READY_MS);
        }),
      ]);
      return clients;
    } catch (error) {
      clients.kill();
      throw error;
    } finally {
      clearTimeout(limit);
    }
  }

  begin(taskOf: (process: number) => CallersTask): void {
    this.#children.forEach((child, number) => {
      this.#running.add(number);
      tell(child, { type: 'begin', task: taskOf(number) });
    });
  }

  /** Ends all calls in order; resolves when all processes are done, or have had their time. */
  async end(spreadMs: number): Promise<void> {
    if (this.#running.size === 0) return;
    const done = new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
    for (const number of this.#running) tell(this.#children[number]!, { type: 'end', spreadMs });
    const limit = setTimeout(() => {
      for (const number of [...this.#running]) this.#lose(number);
    }, spreadMs + ENDED_MS);
    await done;
    clearTimeout(limit);
  }

  kill(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #watch(child: ChildProcess, number: number): void {
    child.on('message', (message: FromClient) => {
      if (message.type === 'second') this.#listener.second(number, message);
      if (message.type === 'ended') this.#gone(number);
    });
    child.on('error', () => this.#lose(number));
    child.on('exit', () => this.#lose(number));
  }

  #lose(number: number): void {
    if (!this.#running.has(number)) return;
    this.#children[number]!.kill('SIGKILL');
    this.#listener.lost(number);
    this.#gone(number);
  }

  #gone(number: number): void {
    this.#running.delete(number);
    if (this.#running.size === 0) this.#ended();
  }
}

function isReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('error', reject);
    child.once('exit', () => reject(new ClientError('A process that calls ended at its start')));
  });
}

/** To a process that has died meanwhile it goes nowhere. */
function tell(child: ChildProcess, message: ToClient): void {
  if (child.connected) child.send(message, () => {});
}
