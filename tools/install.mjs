// Makes sure that the dependencies are there. Plain JavaScript without dependencies, for Node 18 and newer: it
// runs before anything is installed, under whatever Node the user has.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Longest wait for another process that installs into the same folder. */
const LOCK_WAIT_MS = 15 * 60_000;
/** An owner refreshes its lock this often … */
const HEARTBEAT_MS = 2_000;
/** … and is taken for dead after this long without. */
const STALE_MS = 30_000;
/** Longest installation, on a slow line: some 300 MB are fetched. */
const INSTALL_LIMIT_MS = 30 * 60_000;
const PROGRESS_MS = 5_000;
/** Of npm's output, what is kept of its beginning (the reason) and of its end, to be shown if it fails. */
const KEPT_OUTPUT = 5_000;

const STAMP = '.ai-call-handler-stamp';

/** A failure that is explained in its message and needs no stack trace. */
export class InstallError extends Error {
  name = 'InstallError';
}

/** What identifies an installation: both package files and the platform that the binaries are for. */
export function fingerprint(root) {
  const hash = createHash('sha256');
  for (const name of ['package.json', 'package-lock.json']) {
    const content = fs.readFileSync(path.join(root, name));
    hash.update(`${name} ${content.length}\n`).update(content);
  }
  return hash.update(`${process.platform}-${process.arch}`).digest('hex');
}

/**
 * Why an installation is needed, in words, or null if none is. A `node_modules` without our stamp that npm has
 * brought to the lock file's state (`npm ci` by hand, or a change that concerns no dependency) is stamped.
 */
export function whyInstall(root) {
  const modules = path.join(root, 'node_modules');
  if (!fs.existsSync(modules)) return 'nothing is installed yet';
  const stamp = path.join(modules, STAMP);
  const wanted = fingerprint(root);
  const found = readText(stamp);
  if (found === wanted) return null;
  if (matchesLockFile(root)) {
    fs.writeFileSync(stamp, wanted);
    return null;
  }
  return found === null
    ? 'an earlier installation is incomplete or out of date'
    : 'package.json or package-lock.json has changed';
}

const DEPENDENCY_FIELDS = ['dependencies', 'devDependencies', 'optionalDependencies'];

/**
 * Whether `package.json` agrees with `package-lock.json`, and npm's hidden lock file in `node_modules` (which npm
 * writes last) has every package of it.
 */
export function matchesLockFile(root) {
  const manifest = readJson(path.join(root, 'package.json'));
  const wanted = readJson(path.join(root, 'package-lock.json'))?.packages;
  const found = readJson(path.join(root, 'node_modules', '.package-lock.json'))?.packages;
  if (!manifest || !wanted || !found) return false;
  for (const field of DEPENDENCY_FIELDS) {
    if (JSON.stringify(sorted(manifest[field])) !== JSON.stringify(sorted(wanted['']?.[field]))) return false;
  }
  for (const [where, entry] of Object.entries(wanted)) {
    if (where === '') continue;
    const there = found[where];
    if (there === undefined) {
      // Meant for another platform.
      if (!entry.optional && !entry.devOptional) return false;
    } else if (there.version !== entry.version || !fs.existsSync(path.join(root, where))) return false;
  }
  return true;
}

function sorted(dependencies = {}) {
  return Object.entries(dependencies).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Installs what is missing, telling so through `say`. At most one process at a time; the others wait for it. */
export async function ensureInstalled(root, say = console.log) {
  if (whyInstall(root) === null) return;
  const release = await takeLock(path.join(root, '.data', 'install.lock'), say);
  try {
    // The process that held the lock may have done it.
    const reason = whyInstall(root);
    if (reason !== null) await install(root, reason, say, release.note);
  } finally {
    release();
  }
}

async function install(root, reason, say, noteChild) {
  const startedAt = Date.now();
  const modules = path.join(root, 'node_modules');
  say(`Installing the dependencies (${reason}).`);
  say(
    '  The first time this takes some 30 to 120 s and 900 MB on disk: the Workers runtime (workerd), a pinned',
  );
  say('  Node, and the embedded speech engines with their models. Nothing is installed outside this folder.');
  fs.rmSync(path.join(modules, STAMP), { force: true });
  const [command, ...args] = npmCommand();
  const env = { ...process.env };
  // Under NODE_ENV=production npm would leave out the development dependencies, which are what runs here.
  for (const name of Object.keys(env)) {
    if (
      name === 'NODE_ENV' ||
      /^npm_config_(production|omit|only|also|include|dry_run|global)$/i.test(name)
    ) {
      delete env[name];
    }
  }
  const flags = ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const child = spawn(command, [...args, ...flags], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // npm is a shell script there, which Node starts through a shell only.
    shell: process.platform === 'win32' && command === 'npm',
  });
  noteChild(child.pid);
  let output = '';
  const keep = (chunk) => {
    output += chunk;
    if (output.length > 3 * KEPT_OUTPUT) {
      output = `${output.slice(0, KEPT_OUTPUT)}\n  […]\n${output.slice(-KEPT_OUTPUT)}`;
    }
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);
  const progress = setInterval(() => {
    say(`  … ${seconds()} s, ${countEntries(modules)} packages unpacked`);
  }, PROGRESS_MS);
  const limit = setTimeout(() => child.kill(), INSTALL_LIMIT_MS);
  const forward = (signal) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, forward);
  try {
    const code = await new Promise((resolve, reject) => {
      child.once('error', (error) => reject(new InstallError(`npm could not be started: ${error.message}`)));
      child.once('close', (exitCode, signal) => resolve(exitCode ?? signal));
    });
    if (code !== 0) {
      throw new InstallError(
        `${output.trimEnd()}\n\nnpm ci failed (${code}) after ${seconds()} s; its output stands above.`,
      );
    }
  } finally {
    clearInterval(progress);
    clearTimeout(limit);
    for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, forward);
  }
  fs.writeFileSync(path.join(modules, STAMP), fingerprint(root));
  say(`  Installed in ${seconds()} s.`);
}

/** npm as it was started with, else the one on the path. */
function npmCommand() {
  const script = process.env.npm_execpath;
  if (script && /^npm-cli\.c?js$/.test(path.basename(script)) && fs.existsSync(script)) {
    return [process.execPath, script];
  }
  return ['npm'];
}

/**
 * Takes the lock `dir` or waits for it. Returns the function that releases it, with `note(pid)` to name a child
 * that works under the lock. A lock is void once its owner and that child are dead, or its heartbeat stopped.
 */
export async function takeLock(dir, say = () => {}, { waitMs = LOCK_WAIT_MS, pollMs = 500 } = {}) {
  fs.mkdirSync(path.dirname(dir), { recursive: true });
  const owner = {
    pid: process.pid,
    host: os.hostname(),
    id: `${process.pid}-${Date.now()}-${Math.random()}`,
  };
  const until = Date.now() + waitMs;
  let told = false;
  while (!tryLock(dir, owner)) {
    const holder = readOwner(dir);
    if (isStale(dir, holder)) {
      removeStale(dir);
      continue;
    }
    if (!told) say(`Another start (process ${holder?.pid ?? 'unknown'}) is installing; waiting for it.`);
    told = true;
    if (Date.now() >= until) {
      throw new InstallError(
        `Process ${holder?.pid} holds ${dir} for too long; end it, or delete that folder.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  const heartbeat = setInterval(() => {
    try {
      fs.utimesSync(dir, new Date(), new Date());
    } catch {
      // Taken from us: what we do under it is checked against the stamp afterwards.
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();
  const release = () => {
    clearInterval(heartbeat);
    process.off('exit', release);
    if (readOwner(dir)?.id === owner.id) fs.rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', release);
  release.note = (childPid) =>
    fs.writeFileSync(path.join(dir, 'owner.json'), JSON.stringify({ ...owner, childPid }));
  return release;
}

/** A folder that already holds its owner's name is renamed into place, so that no lock is ever without one. */
function tryLock(dir, owner) {
  const draft = `${dir}.${owner.id}`;
  fs.mkdirSync(draft);
  fs.writeFileSync(path.join(draft, 'owner.json'), JSON.stringify(owner));
  try {
    fs.renameSync(draft, dir);
    return true;
  } catch (error) {
    fs.rmSync(draft, { recursive: true, force: true });
    if (['EEXIST', 'ENOTEMPTY', 'EPERM', 'EACCES'].includes(error.code)) return false;
    throw error;
  }
}

function isStale(dir, holder) {
  let age;
  try {
    age = Date.now() - fs.statSync(dir).mtimeMs;
  } catch {
    return false;
  }
  if (age > STALE_MS) return true;
  if (holder === null || holder.host !== os.hostname()) return false;
  return !isAlive(holder.pid) && !(holder.childPid && isAlive(holder.childPid));
}

/** Under a lock of its own: between two that find the same dead lock, the later must not remove the former's new one. */
function removeStale(dir) {
  const takeover = `${dir}.takeover`;
  try {
    fs.mkdirSync(takeover);
  } catch {
    // Held for an instant only; one that is old was left by a crash.
    try {
      if (Date.now() - fs.statSync(takeover).mtimeMs > 10_000) fs.rmdirSync(takeover);
    } catch {
      // Gone meanwhile.
    }
    return;
  }
  try {
    if (isStale(dir, readOwner(dir))) fs.rmSync(dir, { recursive: true, force: true });
  } finally {
    fs.rmdirSync(takeover);
  }
}

function readOwner(dir) {
  return readJson(path.join(dir, 'owner.json'));
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function countEntries(dir) {
  try {
    return fs.readdirSync(dir).filter((name) => !name.startsWith('.')).length;
  } catch {
    return 0;
  }
}

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}
