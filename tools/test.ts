import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureDebianPackages, testPackages, thisMachine } from './debian-packages.ts';
import { tally } from './vitest-report.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const inCi = /^(1|true)$/i.test(process.env.CI ?? '');

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const missing = await ensureDebianPackages(testPackages, thisMachine(console.log), console.log);
  for (const { name, why } of missing) console.error(`Missing: the Debian package ${name} (${why}).`);
  if (missing.length > 0) {
    console.error(
      `  Install: sudo apt-get install -y --no-install-recommends ${missing.map(({ name }) => name).join(' ')}`,
    );
    if (inCi) {
      console.log('0 passed, 1 failed');
      return 1;
    }
    console.error('  The tests that need it fail without it; the others run.');
  }
  const folder = await mkdtemp(path.join(os.tmpdir(), 'ai-call-handler-tests-'));
  try {
    const reportFile = path.join(folder, 'report.json');
    const exitCode = await runVitest(args, reportFile);
    const report = await readFile(reportFile, 'utf8').catch(() => null);
    // `-t` leaves out tests by name, which the reporter calls skipped.
    const byName = args.some((arg) => /^(-t|--testNamePattern)/.test(arg));
    const { passed, failed, skipped, problem } = tally(report, exitCode, inCi && !byName);
    if (skipped > 0) console.log(`${skipped} skipped`);
    if (problem !== null) console.error(`Failed: ${problem}.`);
    console.log(`${passed} passed, ${failed} failed`);
    return failed > 0 || problem !== null ? 1 : 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs vitest in the foreground; its exit code. */
function runVitest(args: readonly string[], reportFile: string): Promise<number> {
  const require = createRequire(import.meta.url);
  const vitest = path.join(path.dirname(require.resolve('vitest/package.json')), 'vitest.mjs');
  const forPeople = args.some((arg) => arg.startsWith('--reporter')) ? [] : ['--reporter=default'];
  const child = spawn(
    process.execPath,
    [vitest, 'run', ...args, ...forPeople, '--reporter=json', `--outputFile.json=${reportFile}`],
    { cwd: root, stdio: 'inherit' },
  );
  const forward = (signal: NodeJS.Signals) => {
    // A terminal's Ctrl-C has reached it already.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, forward);
  process.on('disconnect', () => child.kill('SIGTERM'));
  process.channel?.unref();
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}
