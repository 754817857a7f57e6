import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const main = fileURLToPath(new URL('../../../embedded/engines/main.ts', import.meta.url));

test.each(['SIGINT', 'SIGTERM'] as const)(
  'the command serves until %s and then ends cleanly',
  async (signal) => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    try {
      let url: string | undefined;
      for await (const line of createInterface({ input: child.stdout })) {
        url = /http:\S+/.exec(line)?.[0];
        if (url !== undefined) break;
      }
      expect((await fetch(`${url}/models/gpt-6-luna`)).status).toBe(200);
      child.kill(signal);
      expect(await exited).toEqual([0, null]);
      await expect(fetch(`${url}/models`)).rejects.toThrow();
    } finally {
      child.kill('SIGKILL');
    }
  },
);

test('a signal while the engines load ends the command cleanly too', async () => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  try {
    for await (const line of createInterface({ input: child.stdout })) if (/loading/.test(line)) break;
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
  }
});

test('a wrong port ends the command with a message that names it', async () => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, '--port', 'many'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let message = '';
  child.stderr.on('data', (chunk: Buffer) => {
    message += chunk.toString();
  });
  expect(await once(child, 'exit')).toEqual([1, null]);
  expect(message).toMatch(/--port/);
});
