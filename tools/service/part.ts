import { type ChildProcess, fork } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { closeLimitMs, type PartRequest, partMessageSchema } from './part-protocol.ts';

/** Lines of a part's output that are shown when it fails. */
const shownLines = 15;
const lineCharacters = 500;
/** What never stood has little to put in order. */
const failedCloseMs = 1_500;

export interface PartOptions {
  /** As a person knows it, e.g. `speech engine`. */
  name: string;
  /** Of the part's process: a file that calls `hostPart`. */
  script: URL;
  /** For its `start`. */
  params: unknown;
  /** All that it prints goes there. */
  logFile: string;
  /** Longest start, in milliseconds. */
  startMs: number;
  onProgress?: (text: string) => void;
  /** The process is there, though its start has only begun: from here on it has to be ended. */
  onSpawn?: (part: Part) => void;
  env?: Record<string, string>;
  signal: AbortSignal;
}

/** A part did not start, or died. The message names it and has its last lines. */
export class PartError extends Error {
  override readonly name = 'PartError';
  /** What happened, behind the part's name: `ended (exit code 1)`. */
  readonly what: string;

  constructor(message: string, what = message) {
    super(message);
    this.what = what;
  }
}

/** One process of the service (with all that it starts), from the launcher's side. */
export class Part {
  readonly name: string;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #log: WriteStream;
  readonly #pending = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  readonly #onProgress: (text: string) => void;
  #lastLines: string[] = [];
  #nextId = 1;
  #gone = false;
  #closing: Promise<void> | null = null;

  private constructor(options: PartOptions) {
    this.name = options.name;
    this.#onProgress = options.onProgress ?? (() => {});
    this.#log = createWriteStream(options.logFile, { flags: 'w', mode: 0o600 });
    // A log that cannot be written must not take the service with it.
    this.#log.on('error', () => {});
    this.#child = fork(fileURLToPath(options.script.href), [], {
      // Ctrl-C on the terminal reaches a group; a part of another group is ended by us, in order, with its whole group.
      detached: process.platform !== 'win32',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...options.env },
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#keep(line));
    }
    this.#child.on('message', (raw) => this.#receive(raw));
    this.exited = new Promise((resolve) => {
      const end = (why: string) => {
        if (this.#gone) return;
        this.#gone = true;
        this.#rejectAll(this.#error(`ended (${why})`));
        this.#killGroup();
        this.#log.end();
        resolve();
      };
      this.#child.once('close', (code, signal) => end(signal ?? `exit code ${code}`));
      this.#child.once('error', (error) => end(error.message));
    });
  }

  /**
   * Starts a part and returns it with what its `start` returned.
   *
   * @throws {PartError} if it failed, died or took longer than `startMs`; it is gone then.
   */
  static async start(options: PartOptions): Promise<{ part: Part; value: unknown }> {
    options.signal.throwIfAborted();
    const part = new Part(options);
    options.onSpawn?.(part);
    const onAbort = () => part.kill();
    options.signal.addEventListener('abort', onAbort, { once: true });
    try {
      return { part, value: await part.request('start', options.params, options.startMs) };
    } catch (error) {
      await part.close(failedCloseMs);
      // Its answer may have overtaken what it printed: only now is all of that here.
      throw error instanceof PartError ? part.#error(error.what) : error;
    } finally {
      options.signal.removeEventListener('abort', onAbort);
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** True until the process has ended. */
  get running(): boolean {
    return !this.#gone;
  }

  /** Asks the part for something. Throws `PartError`. */
  async request(method: string, params: unknown, limitMs: number): Promise<unknown> {
    if (this.#gone) throw this.#error('is not running');
    const request: PartRequest = { id: this.#nextId, method, params };
    this.#nextId += 1;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(request.id, { resolve, reject });
        timer = setTimeout(() => {
          reject(this.#error(`did not ${method} within ${Math.round(limitMs / 1000)} s`));
        }, limitMs);
        this.#child.send(request, (error) => {
          if (error !== null) reject(this.#error(`cannot be reached: ${error.message}`));
        });
      });
    } finally {
      clearTimeout(timer);
      this.#pending.delete(request.id);
    }
  }

  /** Ends it in order, or else by force; never throws. Idempotent. */
  close(limitMs = closeLimitMs): Promise<void> {
    this.#closing ??= this.#close(limitMs);
    return this.#closing;
  }

  /** Ends it, and everything it started, at once. */
  kill(): void {
    if (!this.#gone) this.#killGroup();
  }

  /** A sentence about this part, with its last lines. */
  explain(what: string): string {
    const lines = this.#lastLines.map((line) => `    ${line}`).join('\n');
    return `The ${this.name} ${what}.${lines === '' ? '' : ` Its last lines:\n${lines}`}`;
  }

  async #close(limitMs: number): Promise<void> {
    if (this.#gone) return;
    this.request('close', null, limitMs).catch(() => {});
    const timer = setTimeout(() => this.kill(), limitMs);
    await this.exited;
    clearTimeout(timer);
  }

  #error(what: string): PartError {
    return new PartError(this.explain(what), what);
  }

  #killGroup(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      if (process.platform === 'win32') this.#child.kill();
      else process.kill(-pid, 'SIGKILL');
    } catch {
      // Nobody is left in the group.
    }
  }

  #keep(line: string): void {
    this.#log.write(`${line}\n`);
    this.#lastLines.push(line.slice(0, lineCharacters));
    if (this.#lastLines.length > shownLines) this.#lastLines.shift();
  }

  #receive(raw: unknown): void {
    const parsed = partMessageSchema.safeParse(raw);
    // Libraries inside a part may use the same line for words of their own.
    if (!parsed.success) return;
    const message = parsed.data;
    if (message.type === 'progress') {
      this.#onProgress(message.text);
      return;
    }
    const waiting = this.#pending.get(message.id);
    if (message.type === 'result') waiting?.resolve(message.value);
    else waiting?.reject(this.#error(`failed: ${message.message}`));
  }

  #rejectAll(error: PartError): void {
    for (const waiting of this.#pending.values()) waiting.reject(error);
    this.#pending.clear();
  }
}
