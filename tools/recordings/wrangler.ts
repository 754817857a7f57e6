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

/** Runs wrangler with arguments, in the folder of `wrangler.toml`. Never rejects. */
export type Wrangler = (args: readonly string[], signal: AbortSignal) => Promise<WranglerResult>;

const keptOutput = 20_000;
/** One command is a few requests. */
const limitMs = 120_000;

/** @param environment of the process; by default this one's. */
export function wranglerIn(root: string, environment: NodeJS.ProcessEnv = process.env): Wrangler {
  const script = wranglerScript();
  return (args, signal) =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [script, ...args], {
        cwd: root,
        env: { ...environment, WRANGLER_SEND_METRICS: 'false', NO_COLOR: '1', FORCE_COLOR: '0' },
        // No terminal: it must not ask.
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: limitMs,
        signal,
      });
      let output = '';
      const keep = (data: Buffer) => {
        output = (output + data.toString()).slice(-keptOutput);
      };
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      child.on('error', (error) => resolve({ code: 1, output: `${output}${error.message}` }));
      child.on('close', (code) => resolve({ code: code ?? 1, output }));
    });
}

function wranglerScript(): string {
  const manifest = createRequire(import.meta.url).resolve('wrangler/package.json');
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: Record<string, string> };
  return path.join(path.dirname(manifest), bin.wrangler!);
}
