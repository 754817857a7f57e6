import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Part, PartError } from '../../../tools/service/part.ts';

const script = new URL('./parts/sample-host.ts', import.meta.url);
const launcher = fileURLToPath(new URL('./parts/sample-launcher.ts', import.meta.url).href);

let folder: string;
let started: Part[];
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'part-test-'));
  started = [];
});
afterEach(() => {
  for (const part of started) part.kill();
  rmSync(folder, { recursive: true, force: true });
});

function start(
  mood: string,
  options: { startMs?: number; signal?: AbortSignal; onProgress?: (text: string) => void } = {},
) {
  return Part.start({
    name: 'sample',
    script,
    params: mood,
    logFile: path.join(folder, 'log'),
    startMs: 20_000,
    signal: new AbortController().signal,
    onSpawn: (part) => started.push(part),
    ...options,
  });
}

/** A process that is no more; one that is dead and not yet collected by its parent counts as gone. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return true;
  }
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const pidsOf = (value: unknown) => value as { pid: number; childPid: number };

test('a part starts, tells its progress and ends with the process that it started', async () => {
  const progress: string[] = [];
  const { part, value } = await start('good', { onProgress: (text) => progress.push(text) });
  const { pid, childPid } = pidsOf(value);
  expect(progress).toEqual(['starting']);
  expect([isGone(pid), isGone(childPid)]).toEqual([false, false]);
  await part.close();
  await expect.poll(() => [isGone(pid), isGone(childPid)]).toEqual([true, true]);
  expect(part.running).toBe(false);
});

test('a part that forgets what it started takes it along all the same', async () => {
  const { part, value } = await start('forgets');
  const { childPid } = pidsOf(value);
  await part.close();
  await expect.poll(() => isGone(childPid)).toBe(true);
});

test('a part that does not end is ended by force, with what it started', async () => {
  const { part, value } = await start('stays');
  const { pid, childPid } = pidsOf(value);
  await part.close(300);
  await expect.poll(() => [isGone(pid), isGone(childPid)]).toEqual([true, true]);
});

test('a part that cannot start is named, with its reason and its last lines, and is gone', async () => {
  const error = await start('fails').catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PartError);
  expect((error as Error).message).toMatch(
    /^The sample failed: it cannot be\..*\n.*the reason on standard error/,
  );
  expect(started[0]!.running).toBe(false);
});

test('a start that takes too long is given up', async () => {
  await expect(start('hangs', { startMs: 2000 })).rejects.toThrow(/did not start within 2 s/);
  expect(started[0]!.running).toBe(false);
});

test('a start can be cancelled', async () => {
  const abort = new AbortController();
  const starting = start('hangs', { signal: abort.signal, onProgress: () => abort.abort() });
  await expect(starting).rejects.toThrow(PartError);
  expect(started[0]!.running).toBe(false);
});

test('a part that dies fails what was asked of it, and its last words are known', async () => {
  const { part } = await start('good');
  await expect(part.request('die', null, 10_000)).rejects.toThrow(
    /ended \(exit code 3\)[\s\S]*the last words/,
  );
  await part.exited;
  await expect(part.request('anything', null, 1000)).rejects.toThrow(/is not running/);
});

test('a method that the part does not have is refused', async () => {
  const { part } = await start('good');
  await expect(part.request('sing', null, 10_000)).rejects.toThrow(/no method sing/);
  await part.close();
});

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'no process stays behind when the launcher is ended by %s',
  async (signal) => {
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', launcher, script.href, path.join(folder, 'log'), 'forgets'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
    const { pid, childPid } = pidsOf(JSON.parse(line));
    expect([isGone(pid), isGone(childPid)]).toEqual([false, false]);
    child.kill(signal);
    await expect.poll(() => [isGone(pid), isGone(childPid)], { timeout: 15_000 }).toEqual([true, true]);
  },
);
