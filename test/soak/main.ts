import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { stopSignals } from '../../tools/service/stop-signals.ts';
import { Deployment } from './deployment.ts';
import { printResult, resultOf } from './print.ts';
import { Soak } from './soak.ts';

/**
 * `npm run soak`: random callers against the service as `npm start` runs it, for an hour. Nothing may leak, stick or be missing from the
 * records. The exit code is 1 where anything is wrong; the last line is one JSON object.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    callers: { type: 'string', default: '16' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    keep: { type: 'boolean', default: false },
  },
});
const minutes = z.coerce
  .number()
  .positive()
  .max(24 * 60)
  .parse(values.minutes);
// Fifty calls are a user's limit; so many would be more than a laptop's recogniser takes.
const callers = z.coerce.number().int().min(1).max(100).parse(values.callers);
const seed = z.coerce.number().int().min(0).max(1e9).parse(values.seed);

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
  if (!wrong && !values.keep) rmSync(dataDir, { recursive: true, force: true });
}
process.exitCode = wrong ? 1 : 0;
