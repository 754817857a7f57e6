import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { cpuUsOf } from './cpu.ts';
import { Lines } from './lines.ts';
import type { MediaNode } from './media-node.ts';

/** What the double's process tells: a line of its log, or that it takes calls. */
export type FromDouble = { line: string } | { ready: true };

/** Hang-ups are reported in three tries of five seconds. */
const stopLimitMs = 25_000;

/** The double (`double.ts`) in a process of its own: its pace is not the tests', it has a CPU time, and it can be killed. */
export class DoubleProcess implements MediaNode {
  readonly kind = 'double';
  readonly #child: ChildProcess;
  readonly #removed: () => Promise<void>;
  readonly #lines = new Lines();

  private constructor(child: ChildProcess, removed: () => Promise<void>) {
    this.#child = child;
    this.#removed = removed;
  }

  /** @param conf the node's configuration. @param removed takes its folder away. */
  static async start(conf: string, removed: () => Promise<void>): Promise<DoubleProcess> {
    const child = fork(join(import.meta.dirname, 'double-host.ts'), [conf], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    const node = new DoubleProcess(child, removed);
    const ready = new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the double did not start (exit code ${code})`)));
      child.on('message', (message: FromDouble) => {
        if ('line' in message) node.#lines.push(message.line);
        else resolve();
      });
    });
    await ready;
    return node;
  }

  get log(): readonly string[] {
    return this.#lines.all;
  }

  line(pattern: RegExp): Promise<string> {
    return this.#lines.find(pattern);
  }

  cpuUs(): number {
    return cpuUsOf(this.#child.pid);
  }

  async stop(): Promise<void> {
    if (this.#running) this.#child.send('stop');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopLimitMs);
    await this.#exit();
    clearTimeout(timer);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit();
  }

  get #running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #exit(): Promise<void> {
    if (this.#running) await once(this.#child, 'exit');
    await this.#removed();
  }
}
