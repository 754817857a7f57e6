import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { stopSignals } from '../../tools/service/stop-signals.ts';
import { Deployment } from './deployment.ts';
import { parseSoakArguments, SoakUsageError, soakUsage } from './options.ts';
import { printResult, resultOf } from './print.ts';
import { Soak } from './soak.ts';

/**
 * `npm run soak`: random callers against the service as `npm start` runs it, for an hour. Nothing may leak, stick or be missing from the
 * records. The exit code is 1 where anything is wrong; the last line is one JSON object.
 */
const options = optionsOf(process.argv.slice(2));
const { minutes, callers, seed } = options;

if (process.platform !== 'linux') throw new Error('What processes hold open is read from /proc: Linux only.');
const root = path.join(import.meta.dirname, '..', '..');
const folder = path.join(root, '.data', 'soak');
const name = `${new Date().toISOString().replaceAll(/[:.]/g, '-').slice(0, 19)}-seed-${seed}`;
const dataDir = path.join(folder, name);
mkdirSync(dataDir, { recursive: true });

let deployment: Deployment | null = null;
const stop = stopSignals(() => {
  console.error('Ending at once.');
  deployment?.kill();
  process.exit(130);
});
stop.addEventListener('abort', () => console.log('No more calls; those in progress come to their end.'));

deployment = await Deployment.start(root, dataDir, stop);
let wrong = true;
try {
  const log = (line: string) => console.log(line);
  const result = await new Soak(deployment, { minutes, callers, seed, stop, log }).run();
  wrong = result.violations.length > 0;
  const report = path.join(folder, `${name}.json`);
  const figures = resultOf(result, { minutes, callers, seed, cores: cpus().length });
  writeFileSync(report, `${JSON.stringify({ ...figures, ...result }, null, 1)}\n`);
  printResult(result, figures, log);
  log(`Report: ${path.relative(root, report)}`);
  log(JSON.stringify(figures));
} finally {
  await deployment.close();
  // Of a run that went well, the recordings are of no use to anybody.
  if (!wrong && !options.keep) rmSync(dataDir, { recursive: true, force: true });
}
process.exitCode = wrong ? 1 : 0;

/** Ends the process where there is nothing to run. */
function optionsOf(args: readonly string[]) {
  try {
    const parsed = parseSoakArguments(args);
    if (!parsed.help) return parsed;
    console.log(soakUsage);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof SoakUsageError)) throw error;
    console.error(`${error.message}\n\n${soakUsage}`);
    process.exit(2);
  }
}
