import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** The longest that anything here may take. */
export const limitMs = 20_000;

/** Before a process that was asked to end is killed. */
const stopMs = 3_000;

/** Runs a command to its end. */
export function run(command: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: limitMs }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code !== 'number') reject(error ?? new Error(`${command} was killed`));
      else resolve({ code, output: stdout + stderr });
    });
  });
}

/** A process that runs until it is stopped, in a group of its own: Kamailio has children. */
export class Service {
  readonly #child: ChildProcess;
  /** Fulfilled when it has ended and everything it printed was read. */
  readonly exited: Promise<unknown>;
  #output = '';
  readonly #waiting = new Set<() => void>();
  running = true;

  constructor(command: string, args: readonly string[], cwd: string) {
    this.#child = spawn(command, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk: Buffer) => {
      this.#output += chunk.toString('utf8');
      this.#wake();
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
    this.exited = once(this.#child, 'close').finally(() => {
      this.running = false;
      this.#wake();
    });
  }

  /** What it has printed so far, by line. */
  get lines(): readonly string[] {
    return this.#output.split('\n');
  }

  /** The first line that matches, as soon as it is there. */
  async line(pattern: RegExp): Promise<string> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      const left = deadline - performance.now();
      if (left <= 0 || !this.running) throw new Error(`No line ${pattern} in:\n${this.#output}`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, left);
        this.#waiting.add(wake);
      });
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Asks it to end, which it passes on to its children; kills the group if that takes too long. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => void this.kill(), stopMs);
    await this.exited;
    clearTimeout(timer);
  }

  /** Kills the whole group and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.running && this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    await this.exited;
  }
}

/** Asks again until the answer is the wanted one; says what it was instead when that takes too long. */
export async function until<Answer>(
  ask: () => Promise<Answer>,
  wanted: (answer: Answer) => boolean,
): Promise<Answer> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (performance.now() > deadline) throw new Error(`Still ${JSON.stringify(answer)} after ${limitMs} ms`);
    await pause(25);
  }
}

let networks = 0;

/** A loopback network of its own for each proxy of a test run: nodes, trunks and strangers are told apart by their addresses. */
export class LoopbackNetwork {
  readonly #base: string;
  readonly #first: number;

  constructor() {
    this.#base = `127.${(process.pid >> 8) % 256}.${process.pid % 256}`;
    this.#first = (networks % 12) * 20 + 1;
    networks += 1;
  }

  /** Its host `index`, 0 to 19. */
  address(index: number): string {
    return `${this.#base}.${this.#first + index}`;
  }
}

/** Given out before: nobody may listen there yet, so that the kernel would name them again. */
const given = new Set<string>();

/** A port that is free for UDP and TCP on an address, and no other than this. */
export async function freePort(address: string): Promise<number> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const udp = createSocket('udp4');
    udp.bind(0, address);
    await once(udp, 'listening');
    const { port } = udp.address();
    const isNew = !given.has(`${address}:${port}`);
    const tcp = createServer();
    tcp.listen(port, address);
    const free = await Promise.race([
      once(tcp, 'listening').then(() => true),
      once(tcp, 'error').then(() => false),
    ]);
    await new Promise<void>((resolve) => udp.close(() => resolve()));
    if (free) await new Promise<void>((resolve) => tcp.close(() => resolve()));
    if (free && isNew) {
      given.add(`${address}:${port}`);
      return port;
    }
  }
  throw new Error(`No free port on ${address}`);
}
