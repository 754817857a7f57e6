import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { atExit, temporaryFolder } from './temporary.ts';

const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);

/** Path of the program itself; the package has no types. */
const workerdBinary = (createRequire(import.meta.url)('workerd') as { default: string }).default;

/** A running workerd. */
export interface Workerd {
  port: number;
  pid: number;
  /** Null: none was asked for. */
  inspectorPort: number | null;
  /** CPU that the process has used, in microseconds. */
  cpuUs(): number;
  /** Memory of the process that lies in RAM, in bytes. */
  residentBytes(): number;
  /** Fulfilled when the process is gone: it was stopped, or has died. */
  gone: Promise<void>;
  stop(): Promise<void>;
}

export interface WorkerOptions {
  /** Class names of the Durable Objects, by binding. */
  objects: Record<string, string>;
  text?: Record<string, string>;
  /** The binding of a bucket, and host and port of whoever answers for it. */
  bucket?: { binding: string; host: string };
  /** Where the objects' storage is. In memory, no write waits for the machine's disk; Linux has it. Default `disk`. */
  storage?: Storage;
  /** V8's, e.g. `--expose-gc`. */
  v8Flags?: readonly string[];
  /** Whether V8's inspector is to be had. */
  inspector?: boolean;
}

export type Storage = 'disk' | 'memory';

/** Linux' file system in memory. */
const MEMORY = '/dev/shm';
/** Where an object's storage can be; the first waits for the least. */
export const storages: readonly Storage[] = existsSync(MEMORY) ? ['memory', 'disk'] : ['disk'];

/** Builds the Worker as `wrangler deploy` would, into a new folder that goes with this process. */
export function buildWorker(): string {
  const out = temporaryFolder('bench-worker-');
  execFileSync(bin('wrangler'), ['deploy', '--dry-run', '--env', '', '--outdir', out], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false' },
  });
  return out;
}

/** Bundles a Worker of the benches' own into a new folder that goes with this process. @param nodePath where packages are found that are not the project's. */
export function bundleWorker(entry: string, nodePath = '', aliases: Record<string, string> = {}): string {
  const out = temporaryFolder('bench-worker-');
  const options = [
    '--bundle',
    '--format=esm',
    '--target=es2024',
    '--platform=neutral',
    '--main-fields=module,main',
    '--conditions=workerd,worker,browser',
    '--external:node:*',
    '--external:cloudflare:*',
    '--loader:.wasm=copy',
    '--asset-names=[name]',
    '--log-level=error',
    ...Object.entries(aliases).map(([name, path]) => `--alias:${name}=${path}`),
  ];
  execFileSync(bin('esbuild'), [entry, ...options, `--outfile=${join(out, 'index.js')}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_PATH: nodePath },
  });
  return out;
}

/**
 * Runs plain `workerd serve`, without wrangler's proxies in between.
 *
 * @param modules folder of the bundle: `index.js` and what it imports.
 * @throws {RangeError} elsewhere than on Linux.
 */
export async function serve(modules: string, options: WorkerOptions): Promise<Workerd> {
  if (process.platform !== 'linux')
    throw new RangeError('What workerd uses is read from /proc: this bench runs on Linux only');
  const folder = temporaryFolder('bench-workerd-');
  const storage =
    options.storage === 'memory' ? temporaryFolder('bench-storage-', MEMORY) : join(folder, 'storage');
  mkdirSync(storage, { recursive: true });
  const files = readdirSync(modules).filter((file) => /\.(js|mjs|wasm)$/.test(file));
  for (const file of files) copyFileSync(join(modules, file), join(folder, file));
  const port = await freePort();
  writeFileSync(join(folder, 'config.capnp'), capnp(files, port, storage, options));
  // Not the package's command: that is a script around the process whose time counts.
  const inspectorPort = options.inspector === true ? await freePort() : null;
  const inspector = inspectorPort === null ? [] : [`--inspector-addr=127.0.0.1:${inspectorPort}`];
  const child = spawn(workerdBinary, ['serve', '--experimental', ...inspector, 'config.capnp'], {
    cwd: folder,
    stdio: 'ignore',
  });
  const spare = atExit(() => child.kill('SIGKILL'));
  const gone = once(child, 'exit').then(() => {});
  const stop = async () => {
    child.kill('SIGKILL');
    await gone;
    spare();
    for (const made of [folder, storage]) rmSync(made, { recursive: true, force: true });
  };
  try {
    await untilListening(port, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    pid: child.pid!,
    inspectorPort,
    cpuUs: () => cpuOf(child.pid!),
    residentBytes: () => residentBytesOf(child.pid!),
    gone,
    stop,
  };
}

function capnp(files: string[], port: number, storage: string, options: WorkerOptions): string {
  const main = files.find((file) => /^index\.m?js$/.test(file))!;
  const ordered = [main, ...files.filter((file) => file !== main)];
  const modules = ordered.map((file) => {
    const name = file === main ? file : `./${file}`;
    return `(name = "${name}", ${file.endsWith('.wasm') ? 'wasm' : 'esModule'} = embed "${file}")`;
  });
  const bindings = [
    ...Object.entries(options.objects).map(
      ([name, className]) => `(name = "${name}", durableObjectNamespace = "${className}")`,
    ),
    ...Object.entries(options.text ?? {}).map(
      ([name, value]) => `(name = "${name}", text = ${JSON.stringify(value)})`,
    ),
    ...(options.bucket === undefined ? [] : [`(name = "${options.bucket.binding}", r2Bucket = "bucket")`]),
  ];
  const namespaces = Object.values(options.objects).map(
    (className) => `(className = "${className}", uniqueKey = "${className}", enableSql = true)`,
  );
  const date = /compatibility_date = "(.+)"/.exec(readFileSync(join(root, 'wrangler.toml'), 'utf8'))![1];
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "internet", network = (allow = ["local", "private"])),
    (name = "storage", disk = (path = ${JSON.stringify(storage)}, writable = true)),
    (name = "bucket", external = (address = "${options.bucket?.host ?? '127.0.0.1:1'}", http = ())),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
  v8Flags = [${(options.v8Flags ?? []).map((flag) => JSON.stringify(flag)).join(', ')}],
);
const main :Workerd.Worker = (
  modules = [${modules.join(', ')}],
  compatibilityDate = "${date}",
  bindings = [${bindings.join(', ')}],
  durableObjectNamespaces = [${namespaces.join(', ')}],
  durableObjectStorage = (localDisk = "storage"),
  globalOutbound = "internet",
);
`;
}

/** User and system time, from the process' own account. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  return (ticks * 1_000_000) / ticksPerSecond;
}

function residentBytesOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

/** What the kernel counts time in for processes; asked once, and only where there is `getconf`. */
let ticksPerSecond: number | null = null;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline && child.exitCode === null) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`workerd did not start (exit code ${child.exitCode})`);
}
