import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type DeployArguments,
  DeployUsageError,
  parseDeployArguments,
  type Task,
  tasks,
  usages,
} from './deploy/arguments.ts';
import { planBuckets } from './deploy/buckets.ts';
import { type Environment, readEnvironment } from './deploy/environment.ts';
import { DeployError } from './deploy/failure.ts';
import { planNamespaces } from './deploy/namespaces.ts';
import { carryOut, type Plan } from './deploy/plan.ts';
import { planRelease, type Source } from './deploy/release.ts';
import { planRollback } from './deploy/rollback.ts';
import {
  checkedSecret,
  checkSecretName,
  neededSecrets,
  planSecrets,
  secretsOfFile,
  storedSecrets,
} from './deploy/secrets.ts';
import { asker, askHidden, piped } from './deploy/terminal.ts';
import { defaultRule } from './recordings/lifecycle.ts';
import { wranglerIn } from './recordings/wrangler.ts';

// `kv:create`, `r2:create`, `secret:set`, `deploy` and `deploy:rollback`: the first argument says which.

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort(new Error(signal)));
const { signal } = abort;
const wrangler = wranglerIn(root);
const [word, ...rest] = process.argv.slice(2);
const task = tasks.find((known) => known === word);
if (task === undefined) throw new Error(`there is no task ${word}`);

try {
  process.exitCode = await main(task, rest);
} catch (error) {
  if (signal.aborted) {
    process.exitCode = 130;
  } else if (error instanceof DeployUsageError) {
    console.error(`${error.message}\n\n${usages[task]}`);
    process.exitCode = 2;
  } else if (error instanceof DeployError) {
    console.error(error.message);
    process.exitCode = 1;
  } else {
    throw error;
  }
}

async function main(task: Task, args: readonly string[]): Promise<number> {
  const options = parseDeployArguments(task, args);
  if (options === null) {
    console.log(usages[task]);
    return 0;
  }
  const environment = await readEnvironment(root, options.environment);
  const plan = await planOf(task, environment, options);
  return await carryOut(plan, { dryRun: options.dryRun, yes: options.yes, ask: asker(), print: console.log });
}

async function planOf(task: Task, environment: Environment, options: DeployArguments): Promise<Plan> {
  switch (task) {
    case 'kv': {
      const file = path.join(root, 'wrangler.toml');
      return await planNamespaces(environment, {
        wrangler,
        signal,
        readToml: () => readFileSync(file, 'utf8'),
        writeToml(text) {
          // Whole or not at all.
          writeFileSync(`${file}.new`, text);
          renameSync(`${file}.new`, file);
        },
      });
    }
    case 'r2':
      return await planBuckets(environment, defaultRule, wrangler, signal);
    case 'secrets':
      return await secretsPlan(environment, options);
    case 'deploy':
      return await planRelease({
        environment,
        source: sourceHere(),
        wrangler,
        signal,
        dryRun: options.dryRun,
        onDeployed(output) {
          console.log(output.trim());
          const url = /https:\/\/\S+/.exec(output)?.[0] ?? 'https://…';
          console.log(`Look at it: npm run doctor -- --env ${environment.name} --url ${url}`);
        },
      });
    case 'rollback':
      return await planRollback({
        environment,
        to: options.to ?? null,
        reason: options.reason,
        wrangler,
        signal,
      });
  }
}

/** Values are asked for before the plan is shown: what it says is then what happens. */
async function secretsPlan(environment: Environment, options: DeployArguments): Promise<Plan> {
  const { names, file, dryRun } = options;
  for (const name of names) checkSecretName(name);
  const ofFile = file === undefined ? null : readSecretsFile(file);
  const stored = await storedSecrets(environment, wrangler, signal);
  const missing = neededSecrets(environment).filter((name) => !(stored ?? []).includes(name));
  const wanted = names.length > 0 ? names : ofFile !== null ? [...ofFile.keys()] : missing;
  const absent = wanted.filter((name) => ofFile !== null && !ofFile.has(name));
  if (absent.length > 0) throw new DeployError(`${file} has no ${absent.join(', ')}.`);
  const values = new Map<string, string>();
  for (const name of dryRun ? [] : wanted) {
    values.set(
      name,
      checkedSecret(name, ofFile?.get(name) ?? (await secretValue(name, wanted.length === 1))),
    );
  }
  return planSecrets(environment, wanted, values, stored, wrangler, signal);
}

async function secretValue(name: string, only: boolean): Promise<string> {
  if (process.stdin.isTTY) return await askHidden(`${name}: `);
  if (only) return await piped();
  throw new DeployError('There is no terminal to ask for several secrets: name one, or give --file.');
}

function readSecretsFile(file: string): Map<string, string> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new DeployError(`${file} cannot be read.`, { cause });
  }
  const { values, others } = secretsOfFile(text);
  if (others.length > 0) console.log(`Left, as no secrets: ${others.join(', ')}.`);
  return values;
}

function sourceHere(): Source {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  const migrations = readdirSync(path.join(root, 'supabase', 'migrations')).flatMap(
    (name) => /^(\d{14})_.*\.sql$/.exec(name)?.[1] ?? [],
  );
  const schema = migrations.sort().at(-1) ?? '0';
  try {
    const changed = git('status', '--porcelain') !== '';
    return { commit: `${git('rev-parse', '--short=12', 'HEAD')}${changed ? '-changed' : ''}`, schema };
  } catch {
    return { commit: null, schema };
  }
}
