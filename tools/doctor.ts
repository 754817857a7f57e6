import path from 'node:path';
import { fileURLToPath } from 'node:url';
import manifest from '../package.json' with { type: 'json' };
import { ConfigError } from '../src/config.ts';
import { monotonicClock } from './caller/clock.ts';
import { readEnvironment } from './deploy/environment.ts';
import { DeployError } from './deploy/failure.ts';
import { examineAccount } from './doctor/account.ts';
import {
  type DoctorArguments,
  DoctorUsageError,
  doctorUsage,
  parseDoctorArguments,
} from './doctor/arguments.ts';
import { examineDeployment } from './doctor/deployment.ts';
import { dialFromNode } from './doctor/dial.ts';
import { examine } from './doctor/examine.ts';
import type { Finding } from './doctor/finding.ts';
import { localSettings } from './doctor/local.ts';
import { examinationJson, findingLines, printable, rowLines, summaryLines } from './doctor/print.ts';
import { readProbes } from './doctor/schema.ts';
import { type FoundSettings, readSettings, SettingsError } from './doctor/settings.ts';
import { wranglerIn } from './recordings/wrangler.ts';

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
  } else if ([SettingsError, ConfigError, DeployError].some((kind) => error instanceof kind)) {
    console.error((error as Error).message);
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
  const { findings, stored } = await lookAround(options, print);
  print(titleFor(options));
  const examination = await examine({
    settings,
    clock: monotonicClock,
    dial: dialFromNode,
    probes: readProbes(path.join(root, 'supabase', 'migrations')),
    findings,
    stored,
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

/** Cloudflare's account and the running service, where they are meant. */
async function lookAround(
  { env, url }: DoctorArguments,
  print: (line: string) => void,
): Promise<{ findings: Finding[]; stored: string[] }> {
  const findings: Finding[] = [];
  let stored: string[] = [];
  if (env !== undefined) {
    print(`In Cloudflare’s account, the environment ${env}:`);
    const account = await examineAccount(await readEnvironment(root, env), wranglerIn(root), abort.signal);
    stored = account.stored;
    for (const finding of account.findings) for (const line of findingLines(finding)) print(line);
    findings.push(...account.findings);
    print('');
  }
  if (url !== undefined) {
    print(`At ${new URL(url).origin}:`);
    const deployment = await examineDeployment({
      url: new URL(url),
      token: process.env.DOCTOR_TOKEN ?? null,
      version: manifest.version,
      fetch,
      clock: monotonicClock,
      limitMs,
      signal: abort.signal,
    });
    for (const finding of deployment) for (const line of findingLines(finding)) print(line);
    findings.push(...deployment);
    print('');
  }
  return { findings, stored };
}

async function settingsFor({ local, data, env }: DoctorArguments): Promise<FoundSettings> {
  if (local) return localSettings(path.resolve(root, data));
  // The top level has no name with wrangler.
  const environment = env === 'development' ? undefined : env;
  return await readSettings({ root, environment, variables: process.env });
}

function titleFor({ local, env }: DoctorArguments): string {
  const what = local
    ? 'the engines and the database of the running `npm start`'
    : `the configured providers${env === undefined ? '' : ` of the environment ${env}`} and the database`;
  return `Trying ${what}, each with one tiny request (times with connection and retries):`;
}
