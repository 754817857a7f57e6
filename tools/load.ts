import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConsentError, LoadUsageError, loadUsage, parseLoadArguments } from './load/arguments.ts';
import { ClientError } from './load/clients.ts';
import { deploymentOf, shownUrl } from './load/deployment.ts';
import { page } from './load/page.ts';
import { progressLine, reportText } from './load/print.ts';
import { exitCodeOf, loadReportSchema, type Measurements } from './load/report.ts';
import { runLoad } from './load/run.ts';
import { renderClips } from './load/speech.ts';
import { readServiceFile } from './service/service-file.ts';
import { stopSignals } from './service/stop-signals.ts';

/** Where nobody watches a terminal, in seconds. */
const plainLineEvery = 10;

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const stop = stopSignals(() => {
  console.error('Ending at once.');
  process.exit(130);
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const explained = error instanceof LoadUsageError || error instanceof ClientError || isOfTheSystem(error);
  if (stop.aborted) console.error('Stopped.');
  else if (!explained) throw error;
  else console.error(error.message);
  if (error instanceof LoadUsageError && !(error instanceof ConsentError)) console.error(`\n${loadUsage}`);
  process.exitCode = error instanceof LoadUsageError ? 2 : stop.aborted ? 130 : 1;
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseLoadArguments(args);
  if (options.help) {
    console.log(loadUsage);
    return 0;
  }
  const url = deploymentOf(options, readServiceFile(path.resolve(root, options.data))?.url ?? null);
  const folder = path.resolve(options.report ?? path.join(root, options.data, 'load', timeName(new Date())));
  await mkdir(folder, { recursive: true });
  console.log(
    `${options.calls} calls to ${shownUrl(url)} for ${options.minutes} min, after a ramp of ${options.ramp} s. Ctrl-C ends them.`,
  );
  const clips = await renderClips(options.say, options.rate, stop);
  const report = await runLoad({ options, url, clips, stop, progress: showProgress(options.calls) });
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  console.log(reportText(report));
  const file = path.join(folder, 'report.json');
  await writeFile(file, `${JSON.stringify(loadReportSchema.parse(report), null, 2)}\n`);
  await writeFile(path.join(folder, 'report.html'), page(report));
  console.log(`\n${path.relative(process.cwd(), file)}, and report.html beside it`);
  return exitCodeOf(report);
}

/** One line that is written anew on a terminal; elsewhere a line now and then. */
function showProgress(calls: number): (at: number, of: number, so: Measurements) => void {
  let next = plainLineEvery;
  return (at, of, so) => {
    const line = progressLine(at, of, calls, so);
    if (process.stdout.isTTY) {
      // A terminal that does not tell its width has 80 columns.
      process.stdout.write(`\r\x1b[K${line.slice(0, (process.stdout.columns || 80) - 1)}`);
    } else if (at >= next) {
      next += plainLineEvery;
      console.log(line);
    }
  };
}

/** A folder's name that sorts by time: `20261121-193005`. */
function timeName(at: Date): string {
  return at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
}

/** The report's folder cannot be made or written, for example. */
function isOfTheSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}
