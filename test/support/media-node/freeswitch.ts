import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SipEndpoint, token } from '../sip/endpoint.ts';
import { SipMessage } from '../sip/message.ts';
import { readGlobals } from './configuration.ts';
import { cpuUsOf } from './cpu.ts';
import { Lines } from './lines.ts';
import type { MediaNode } from './media-node.ts';

const startLimitMs = 60_000;
/** It waits for its threads; then it is killed. */
const stopLimitMs = 20_000;
const pollMs = 50;

/** A real FreeSWITCH on a copy of the shipped configuration. */
export class FreeSwitch implements MediaNode {
  readonly kind = 'FreeSWITCH';
  readonly #conf: string;
  readonly #child: ChildProcess;
  readonly #removed: () => Promise<void>;
  readonly #database: string;
  readonly #lines = new Lines();
  readonly #last = () => this.#child.kill('SIGKILL');
  #output = '';
  #reading = true;

  private constructor(child: ChildProcess, conf: string, database: string, removed: () => Promise<void>) {
    this.#child = child;
    this.#conf = conf;
    this.#database = database;
    this.#removed = removed;
    // The last resort, whatever way this process ends.
    process.once('exit', this.#last);
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString('utf8')).slice(-5_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
  }

  /** @param folder has the configuration in `conf`; what it writes goes beside it. @param removed takes the folder away. */
  static async start(binary: string, folder: string, removed: () => Promise<void>): Promise<FreeSwitch> {
    const places = ['log', 'db', 'run', 'temp'] as const;
    for (const place of places) mkdirSync(join(folder, place));
    // As freeswitch/system/freeswitch.service, in the foreground, and by nobody's rights but ours.
    const conf = join(folder, 'conf');
    const args = ['-nonat', '-nf', '-nc', '-np', '-conf', conf];
    const child = spawn(binary, [...args, ...places.flatMap((place) => [`-${place}`, join(folder, place)])], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const globals = readGlobals(conf);
    const node = new FreeSwitch(child, conf, `/dev/shm/freeswitch-${globals.node_name}.db`, removed);
    await Promise.race([once(child, 'spawn'), once(child, 'error').then(([error]) => Promise.reject(error))]);
    void node.#follow(join(folder, 'log', 'freeswitch.log'));
    const answers = await takesCalls(globals.node_address ?? '', Number(globals.sip_port), child);
    if (!answers) {
      await node.kill();
      throw new Error(`FreeSWITCH did not start:\n${node.#output}\n${node.log.slice(-20).join('\n')}`);
    }
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

  /** By the node's own `bin/stop`, which finds `fs_cli` beside the binary. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    const path = `${dirname(this.#child.spawnfile)}:${process.env.PATH}`;
    const env = { ...process.env, PATH: path, FREESWITCH_CONF: this.#conf };
    const stop = execFile(join(this.#conf, 'bin', 'stop'), ['1'], { env });
    await once(stop, 'close');
    await this.#exit();
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit();
  }

  get #running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits for its end, which it was asked for. */
  async #exit(): Promise<void> {
    if (this.#running) {
      const exited = once(this.#child, 'exit');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopLimitMs);
      await exited;
      clearTimeout(timer);
    }
    process.off('exit', this.#last);
    this.#reading = false;
    rmSync(this.#database, { force: true });
    await this.#removed();
  }

  /** Reads what is appended to its log. */
  async #follow(file: string): Promise<void> {
    const buffer = Buffer.alloc(65_536);
    let rest = '';
    for (let at = 0; this.#reading; ) {
      const handle = await open(file, 'r').catch(() => null);
      const { bytesRead } = (await handle?.read(buffer, 0, buffer.length, at)) ?? { bytesRead: 0 };
      await handle?.close();
      at += bytesRead;
      const lines = (rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      this.#lines.push(...lines);
      if (bytesRead < buffer.length) await pause(pollMs);
    }
  }
}

/** mod_sofia is the last module that it loads: who answers OPTIONS is ready. */
async function takesCalls(address: string, port: number, child: ChildProcess): Promise<boolean> {
  const deadline = performance.now() + startLimitMs;
  while (performance.now() < deadline && child.exitCode === null) {
    const probe = await SipEndpoint.open(address, () => {});
    const options = new SipMessage(`OPTIONS sip:${address}:${port} SIP/2.0`, [
      probe.via(),
      ['From', `<sip:probe@${address}>;tag=${token()}`],
      ['To', `<sip:${address}>`],
      ['Call-ID', token()],
      ['CSeq', '1 OPTIONS'],
      ['Contact', probe.contact],
      ['Max-Forwards', '70'],
    ]);
    const answer = await Promise.race([probe.request(options, { address, port }), pause(200, null)]);
    probe.close();
    if (answer?.status === 200) return true;
  }
  return false;
}
