import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

export interface WranglerResult {
  /** 0 where it did what it was told. */
  code: number;
  /** What it printed on both outputs, at most the last {@link keptOutput} characters. */
  output: string;
}

/**
 * Runs wrangler with arguments, in the folder of `wrangler.toml`. Never rejects.
 *
 * @param input what it reads: secrets stand in no command line, where every process of the machine could read them.
 */
export type Wrangler = (
  args: readonly string[],
  signal: AbortSignal,
  input?: string,
) => Promise<WranglerResult>;

const keptOutput = 20_000;
/** One command is a few requests. */
const limitMs = 120_000;

/** @param environment of the process; by default this one's. */
export function wranglerIn(root: string, environment: NodeJS.ProcessEnv = process.env): Wrangler {
  const script = wranglerScript();
  return (args, signal, input) =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [script, ...args], {
        cwd: root,
        env: {
          ...environment,
          WRANGLER_SEND_METRICS: 'false',
          // With the banner goes a question to npm's registry, whether there is a newer one.
          WRANGLER_HIDE_BANNER: 'true',
          NO_COLOR: '1',
          FORCE_COLOR: '0',
        },
        // No terminal: it must not ask.
        stdio: ['pipe', 'pipe', 'pipe'],
        timeout: limitMs,
        signal,
      });
      // Whoever dies before it has read breaks the pipe, and its exit code says why.
      child.stdin.on('error', () => {});
      child.stdin.end(input ?? '');
      let output = '';
      const keep = (data: Buffer) => {
        output = (output + data.toString()).slice(-keptOutput);
      };
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      child.on('error', (error) => resolve({ code: 1, output: `${output}${error.message}` }));
      // One that is stopped ends in order.
      child.on('close', (code) => {
        if (child.killed) resolve({ code: 1, output: `${output}timed out after ${limitMs} ms` });
        else resolve({ code: code ?? 1, output });
      });
    });
}

function wranglerScript(): string {
  const manifest = createRequire(import.meta.url).resolve('wrangler/package.json');
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: Record<string, string> };
  return path.join(path.dirname(manifest), bin.wrangler!);
}
