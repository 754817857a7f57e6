import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BackEnds } from './back-ends.ts';
import type { Line, PacedCommand, PacedMeasurement, PacedMessage, PacedTask } from './paced-client.ts';
import type { System } from './systems.ts';
import type { Workerd, WorkerOptions } from './workerd.ts';

/** Opening hundreds of calls on a system that is full. */
const ANSWER_MS = 180_000;

/** What was seen of a system for a while. */
export interface Measured extends PacedMeasurement {
  calls: number;
  /** CPU that the system used, in microseconds. */
  cpuUs: number;
  usPerFrame: number;
}

/** A system with calls on it. */
export class PacedCalls {
  readonly workerd: Workerd;
  readonly #client: ChildProcess;
  #calls = 0;

  private constructor(workerd: Workerd, client: ChildProcess) {
    this.workerd = workerd;
    this.#client = client;
  }

  static async start(
    system: System,
    line: Line,
    backEnds: BackEnds,
    options: Pick<WorkerOptions, 'v8Flags' | 'inspector'> = {},
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
    return new PacedCalls(workerd, client);
  }

  /** Opens more, so that there are so many. */
  async callsAre(calls: number): Promise<void> {
    await this.#ask({ type: 'calls', calls }, 'ready');
    this.#calls = calls;
  }

  /** After `settleMs`, watches for `seconds`. */
  async measure(seconds: number, settleMs = 2_000): Promise<Measured> {
    await pause(settleMs);
    this.#client.send({ type: 'begin' } satisfies PacedCommand);
    const before = this.workerd.cpuUs();
    await pause(seconds * 1_000);
    const cpuUs = this.workerd.cpuUs() - before;
    const { type: _, ...measurement } = await this.#ask({ type: 'end' }, 'measured');
    // JSON has no infinity.
    const roundTrips = measurement.roundTrips.map((ms: number | null) => ms ?? Number.POSITIVE_INFINITY);
    return { ...measurement, roundTrips, calls: this.#calls, cpuUs, usPerFrame: cpuUs / measurement.frames };
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
    this.#client.send(command);
    const [message] = await answer;
    if (message.type === 'failed') throw new Error(message.message);
    if (message.type !== type) throw new Error(`the client answered ${message.type}, not ${type}`);
    return message as Extract<PacedMessage, { type: Type }>;
  }
}
