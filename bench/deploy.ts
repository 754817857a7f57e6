import { copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudflareDouble } from '../test/support/cloudflare-double.ts';
import { planBuckets } from '../tools/deploy/buckets.ts';
import { readEnvironment } from '../tools/deploy/environment.ts';
import { DeployError } from '../tools/deploy/failure.ts';
import { planNamespaces } from '../tools/deploy/namespaces.ts';
import { carryOut, type Plan } from '../tools/deploy/plan.ts';
import { planRelease } from '../tools/deploy/release.ts';
import { planRollback } from '../tools/deploy/rollback.ts';
import { planSecrets, storedSecrets } from '../tools/deploy/secrets.ts';
import { examineAccount } from '../tools/doctor/account.ts';
import { findingLines } from '../tools/doctor/print.ts';
import { defaultRule } from '../tools/recordings/lifecycle.ts';
import { wranglerIn } from '../tools/recordings/wrangler.ts';

export const help = `npm run bench -- deploy

Rehearses a deployment to production, from an account with nothing in it to a rollback, with the real wrangler against a double of
Cloudflare's API on loopback. Prints what the commands of docs/deploying.md would. Changes nothing, in no account and not in wrangler.toml.`;

const root = join(import.meta.dirname, '..');
const signal = new AbortController().signal;

export async function run(): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'deploy-rehearsal-'));
  const cloudflare = await CloudflareDouble.start();
  try {
    copyFileSync(join(root, 'wrangler.toml'), join(folder, 'wrangler.toml'));
    for (const name of ['src', 'tools', 'dist', 'node_modules', 'package.json', 'tsconfig.json']) {
      symlinkSync(join(root, name), join(folder, name));
    }
    return await rehearse(folder, cloudflare);
  } finally {
    await cloudflare.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function rehearse(folder: string, cloudflare: CloudflareDouble): Promise<object> {
  const wrangler = wranglerIn(folder, { ...process.env, ...cloudflare.environment });
  const environment = () => readEnvironment(folder, 'production');
  const toml = join(folder, 'wrangler.toml');
  let refused = 0;
  const step = async (command: string, plan: () => Promise<Plan>) => {
    console.log(`\n$ ${command}`);
    try {
      const code = await carryOut(await plan(), { dryRun: false, yes: true, ask: null, print: console.log });
      if (code !== 0) refused++;
    } catch (error) {
      if (!(error instanceof DeployError)) throw error;
      refused++;
      console.log(error.message);
    }
  };
  const release = (commit: string) => async () =>
    planRelease({
      environment: await environment(),
      source: { commit, schema: '20261122120000' },
      ...{
        wrangler,
        signal,
        dryRun: false,
        onDeployed: (output: string) => console.log(output.trim().split('\n').slice(-2).join('\n')),
      },
    });
  const kv = async () =>
    planNamespaces(await environment(), {
      ...{ wrangler, signal },
      readToml: () => readFileSync(toml, 'utf8'),
      writeToml: (text) => writeFileSync(toml, text),
    });
  const secrets = async () => {
    const at = await environment();
    const values = new Map([
      ['OPENAI_API_KEY', 'sk-rehearsal'],
      ['SUPABASE_URL', 'https://rehearsal.supabase.co'],
      ['SUPABASE_SERVICE_ROLE_KEY', 'sb_secret_rehearsal'],
    ]);
    return planSecrets(
      at,
      [...values.keys()],
      values,
      await storedSecrets(at, wrangler, signal),
      wrangler,
      signal,
    );
  };
  // Refused: nothing is there yet.
  await step('npm run deploy:production', release('first'));
  for (let time = 0; time < 2; time++) {
    await step('npm run kv:create -- --env production', kv);
    await step('npm run r2:create -- --env production', async () =>
      planBuckets(await environment(), defaultRule, wrangler, signal),
    );
  }
  await step('npm run secret:set -- --env production', secrets);
  await step('npm run deploy:production', release('first'));
  await step('npm run deploy:production', release('second'));
  await step('npm run deploy:rollback -- --env production', async () =>
    planRollback({ environment: await environment(), to: null, reason: 'a rehearsal', wrangler, signal }),
  );
  console.log('\n$ npm run doctor -- --env production');
  const { findings } = await examineAccount(await environment(), wrangler, signal);
  for (const finding of findings) for (const line of findingLines(finding)) console.log(line);
  const worker = cloudflare.workers.get('ai-call-handler-production');
  const deployed = worker?.versions.find(({ id }) => id === worker.deployments[0]?.version);
  return {
    refused,
    requests: cloudflare.changes.length,
    deployed: deployed?.message ?? null,
    broken: findings.filter(({ result }) => result === 'failed').length,
  };
}
