import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fingerprint, InstallError, takeLock, whyInstall } from '../../../tools/install.mjs';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'install-test-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const write = (name: string, value: unknown) => {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
};

/** A process id that nobody has any more. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((resolve) => child.once('exit', resolve));
  return child.pid!;
}

describe('an installation', () => {
  const packages = {
    '': { dependencies: { a: '1.0.0' } },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/other-platform': { version: '1.0.0', optional: true },
  };
  const installed = (a = '1.0.0') => {
    write('node_modules/a/package.json', {});
    write('node_modules/.package-lock.json', { packages: { 'node_modules/a': { version: a } } });
  };
  beforeEach(() => {
    write('package.json', { dependencies: { a: '1.0.0' } });
    write('package-lock.json', { packages });
  });

  test('is needed where there is nothing', () => {
    expect(whyInstall(root)).toMatch(/nothing is installed/);
  });

  test('is needed where npm was cut off: it writes its own lock file last', () => {
    write('node_modules/a/package.json', {});
    expect(whyInstall(root)).toMatch(/incomplete/);
  });

  test('is not needed after npm ci by hand, and is stamped so', () => {
    installed();
    expect(whyInstall(root)).toBeNull();
    expect(readFileSync(path.join(root, 'node_modules/.ai-call-handler-stamp'), 'utf8')).toBe(
      fingerprint(root),
    );
  });

  test('is needed when the lock file demands another version', () => {
    installed();
    expect(whyInstall(root)).toBeNull();
    const newer = { ...packages, 'node_modules/a': { version: '2.0.0' } };
    write('package-lock.json', { packages: newer });
    expect(whyInstall(root)).toMatch(/changed/);
  });

  test('is needed when package.json names what the lock file does not', () => {
    installed();
    write('package.json', { dependencies: { a: '1.0.0', b: '1.0.0' } });
    expect(whyInstall(root)).not.toBeNull();
  });

  test('is not needed when only a script of package.json has changed', () => {
    installed();
    expect(whyInstall(root)).toBeNull();
    write('package.json', { scripts: { x: 'y' }, dependencies: { a: '1.0.0' } });
    expect(whyInstall(root)).toBeNull();
  });

  test('is needed when the folder of a package is gone', () => {
    installed();
    rmSync(path.join(root, 'node_modules/a'), { recursive: true });
    expect(whyInstall(root)).not.toBeNull();
  });
});

describe('the lock of an installation', () => {
  const quick = { waitMs: 0, pollMs: 1 };

  test('is held by one at a time and free after its release', async () => {
    const dir = path.join(root, 'lock');
    const release = await takeLock(dir);
    await expect(takeLock(dir, () => {}, quick)).rejects.toThrow(InstallError);
    release();
    const again = await takeLock(dir, () => {}, quick);
    again();
  });

  test('lets exactly one of many in at a time', async () => {
    const dir = path.join(root, 'lock');
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const release = await takeLock(dir, () => {}, { waitMs: 60_000, pollMs: 1 });
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
        release();
      }),
    );
    expect(most).toBe(1);
  });

  test('is taken from a process that died without releasing it', async () => {
    const dir = path.join(root, 'lock');
    write('lock/owner.json', { pid: await deadPid(), host: os.hostname(), id: 'x' });
    const release = await takeLock(dir, () => {}, quick);
    release();
  });

  test('is not taken while the dead owner’s npm still writes', async () => {
    const dir = path.join(root, 'lock');
    write('lock/owner.json', { pid: await deadPid(), host: os.hostname(), id: 'x', childPid: process.pid });
    await expect(takeLock(dir, () => {}, quick)).rejects.toThrow(InstallError);
  });

  test('is taken from an owner whose heartbeat stopped, e.g. in a container that is gone', async () => {
    const dir = path.join(root, 'lock');
    write('lock/owner.json', { pid: process.pid, host: 'elsewhere', id: 'x' });
    await expect(takeLock(dir, () => {}, quick)).rejects.toThrow(InstallError);
    const past = new Date(Date.now() - 60_000);
    utimesSync(dir, past, past);
    const release = await takeLock(dir, () => {}, quick);
    release();
  });
});
