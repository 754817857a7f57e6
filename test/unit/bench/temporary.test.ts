import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const module = join(import.meta.dirname, '..', '..', '..', 'bench', 'temporary.ts');

/** Runs a script that names its folder; `signal` once it has. */
async function run(
  script: string,
  signal?: NodeJS.Signals,
): Promise<{ folder: string; code: number | null }> {
  const source = `import { temporaryFolder } from ${JSON.stringify(module)};
    console.log(temporaryFolder('bench-test-'));
    ${script}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'close') as Promise<[number | null]>;
  let folder = '';
  child.stdout.on('data', (data) => {
    folder += String(data).trim();
    if (signal !== undefined) child.kill(signal);
  });
  const [code] = await ended;
  return { folder, code };
}

describe('temporary folders of the benches', () => {
  it.each([
    ['the process has ended', '', undefined, 0],
    ['it has failed', "throw new Error('no');", undefined, 1],
    ['a signal has ended it', 'setInterval(() => {}, 1_000);', 'SIGTERM', 143],
  ] as const)('are gone when %s', async (_, script, signal, code) => {
    const ended = await run(script, signal);
    expect(ended.folder).toContain('bench-test-');
    expect(ended.code).toBe(code);
    expect(existsSync(ended.folder)).toBe(false);
  });
});
