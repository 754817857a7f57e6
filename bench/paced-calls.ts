import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BackEnds } from './back-ends.ts';
import type { Line, PacedCommand, PacedMeasurement, PacedMessage, PacedTask } from './paced-client.ts';
import type { System, SystemOptions } from './systems.ts';
import type { Workerd } from './workerd.ts';

/** Opening hundreds of calls on a system that is full. */
const ANSWER_MS = 180_000;

/** What was seen of a system for a while. */
export interface Measured extends PacedMeasurement {
  calls: number;
  /** CPU that the system used, in microseconds. */
  cpuUs: number;
  usPerFrame: number;
}

/** The system did not take a call in time, or refused it. */
export class CallRefusedError extends Error {
  override readonly name = 'CallRefusedError';
}

/** A system with calls on it. What waits for either process fails as soon as one of them has died. */
export class PacedCalls {
  readonly workerd: Workerd;
  readonly #client: ChildProcess;
  /** Never fulfilled. */
  readonly #died: Promise<never>;
  #calls = 0;

  private constructor(workerd: Workerd, client: ChildProcess, name: string) {
    this.workerd = workerd;
    this.#client = client;
    this.#died = Promise.race([
      workerd.gone.then(() => {
        throw new Error(`${name}: workerd has died`);
      }),
      once(client, 'exit').then(([code, signal]) => {
        throw new Error(`${name}: the client has died (${code ?? signal})`);
      }),
    ]);
    // Whoever waits hears of it.
    this.#died.catch(() => {});
  }

  static async start(
    system: System,
    line: Line,
    backEnds: BackEnds,
    options: SystemOptions = {},
  ): Promise<PacedCalls> {
    const workerd = await system.start(backEnds, options);
    const task: PacedTask = {
      url: `ws://127.0.0.1:${workerd.port}/${system.path}`,
      wire: system.wire,
      line,
    };
    const client = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        join(import.meta.dirname, 'paced-client.ts'),
        JSON.stringify(task),
      ],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    return new PacedCalls(workerd, client, system.name);
  }

  /** Opens more, so that there are so many. @throws {CallRefusedError} if the system does not take them all; it keeps those that it took. */
  async callsAre(calls: number): Promise<void> {
    await this.#ask({ type: 'calls', calls }, 'ready');
    this.#calls = calls;
  }

  /** After `settleMs`, watches for `seconds`. */
  async measure(seconds: number, settleMs = 2_000): Promise<Measured> {
    await this.#living(pause(settleMs));
    this.#tell({ type: 'begin' });
    const before = this.workerd.cpuUs();
    await this.#living(pause(seconds * 1_000));
    const cpuUs = this.workerd.cpuUs() - before;
    const { type: _, ...measurement } = await this.#ask({ type: 'end' }, 'measured');
    return { ...measurement, calls: this.#calls, cpuUs, usPerFrame: cpuUs / measurement.frames };
  }

  async hangUp(abrupt = false): Promise<void> {
    await this.#ask({ type: 'hang up', abrupt }, 'gone');
    this.#calls = 0;
  }

  async stop(): Promise<void> {
    this.#client.kill();
    await this.workerd.stop();
  }

  async #ask<Type extends PacedMessage['type']>(
    command: PacedCommand,
    type: Type,
  ): Promise<Extract<PacedMessage, { type: Type }>> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = once(this.#client, 'message', { signal }) as Promise<[PacedMessage]>;
    this.#tell(command);
    const [message] = await this.#living(answer);
    if (message.type === 'refused') throw new CallRefusedError(message.reason);
    if (message.type === 'failed') throw new Error(message.message);
    if (message.type !== type) throw new Error(`the client answered ${message.type}, not ${type}`);
    return message as Extract<PacedMessage, { type: Type }>;
  }

  #tell(command: PacedCommand): void {
    // That it cannot be told any more is heard of by its death.
    this.#client.send(command, () => {});
  }

  #living<T>(wait: Promise<T>): Promise<T> {
    return Promise.race([wait, this.#died]);
  }
}
