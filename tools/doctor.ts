import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../src/config.ts';
import { monotonicClock } from './caller/clock.ts';
import {
  type DoctorArguments,
  DoctorUsageError,
  doctorUsage,
  parseDoctorArguments,
} from './doctor/arguments.ts';
import { dialFromNode } from './doctor/dial.ts';
import { examine } from './doctor/examine.ts';
import { localSettings } from './doctor/local.ts';
import { examinationJson, printable, rowLines, summaryLines } from './doctor/print.ts';
import { type FoundSettings, readSettings, SettingsError } from './doctor/settings.ts';

/** The longest that one trial may take, in milliseconds: more than a caller would wait, retries included. */
const limitMs = 15_000;

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (abort.signal.aborted) process.exit(130);
    abort.abort(new Error(signal));
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (abort.signal.aborted) {
    process.exitCode = 130;
  } else if (error instanceof DoctorUsageError) {
    console.error(`${error.message}\n\n${doctorUsage}`);
    process.exitCode = 2;
  } else if (error instanceof SettingsError || error instanceof ConfigError) {
    console.error(error.message);
    process.exitCode = 1;
  } else {
    throw error;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseDoctorArguments(args);
  if (options.help) {
    console.log(doctorUsage);
    return 0;
  }
  const settings = await settingsFor(options);
  const clean = printable(settings);
  const print = (line: string) => (options.json ? console.error(clean(line)) : console.log(clean(line)));
  print(titleFor(options));
  const examination = await examine({
    settings,
    clock: monotonicClock,
    dial: dialFromNode,
    limitMs,
    signal: abort.signal,
    onRow: (row) => {
      for (const line of rowLines(row)) print(line);
    },
  });
  for (const line of summaryLines(examination)) print(line);
  if (options.json) {
    const tidy = (_: string, value: unknown) =>
      typeof value === 'string' ? clean(value) : typeof value === 'number' ? Math.round(value) : value;
    console.log(JSON.stringify(examinationJson(examination), tidy, 2));
  }
  return examination.ok ? 0 : 1;
}

async function settingsFor({ local, data, env }: DoctorArguments): Promise<FoundSettings> {
  if (local) return localSettings(path.resolve(root, data));
  return await readSettings({ root, environment: env, variables: process.env });
}

function titleFor({ local, env }: DoctorArguments): string {
  const what = local
    ? 'the engines and the database of the running `npm start`'
    : `the configured providers${env === undefined ? '' : ` of the environment ${env}`} and the database`;
  return `Trying ${what}, each with one tiny request (times with connection and retries):`;
}
