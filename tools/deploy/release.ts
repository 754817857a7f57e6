import { ConfigError, loadConfig } from '../../src/config.ts';
import { adviceBeforeDeploy } from '../access/deploy.ts';
import { defaultRule } from '../recordings/lifecycle.ts';
import type { Wrangler } from '../recordings/wrangler.ts';
import { stateOfBucket } from './buckets.ts';
import { type Environment, environmentFlag } from './environment.ts';
import { DeployError, noAccount, wranglerFailed } from './failure.ts';
import type { Plan } from './plan.ts';
import { neededSecrets, storedSecrets } from './secrets.ts';
import { deployments, versionOf } from './versions.ts';

/** What is deployed, as far as the working tree tells. */
export interface Source {
  /** Abbreviated, with `-changed` where something is not committed; null: no git here. */
  commit: string | null;
  /** The newest of `supabase/migrations`, e.g. `20261121100000`. */
  schema: string;
}

export interface ReleaseOptions {
  environment: Environment;
  source: Source;
  wrangler: Wrangler;
  signal: AbortSignal;
  /** Without an account, only what can be looked at without one. */
  dryRun: boolean;
  /** What wrangler says when it has deployed. */
  onDeployed: (output: string) => void;
}

/** The command that mends something, for this environment. */
type Npm = (script: string, more?: string) => string;

/** What is to be done to deploy, and whether it may be: what would be missing is found before it is missed. */
export async function planRelease(options: ReleaseOptions): Promise<Plan> {
  const { environment, source, wrangler, signal, dryRun, onDeployed } = options;
  const npm: Npm = (script, more = '') => `\`npm run ${script} -- --env ${environment.name}${more}\``;
  const refusals: string[] = [];
  const facts = [
    source.commit === null
      ? 'No git here: the deployment is not named after a commit.'
      : `Commit ${source.commit}${source.commit.endsWith('-changed') ? ': not everything is committed' : ''}.`,
  ];
  const title = `Deploying ${environment.worker} (${environment.name}):`;
  try {
    const { refusal, notes } = adviceBeforeDeploy(loadConfig(environment.vars));
    if (refusal !== null) refusals.push(refusal);
    else facts.push(...notes);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { title, facts, steps: [], refusals: [error.message] };
  }
  facts.push(await bundle(environment, wrangler, signal));
  facts.push(
    `The code is made for a database with the migration ${source.schema}: apply it first, \`npx supabase db push\`.`,
  );
  const withoutId = environment.namespaces.filter(({ id }) => id === null);
  try {
    const account = await lookAtAccount(environment, wrangler, signal);
    facts.push(...account.facts);
    refusals.push(...account.refusals.map((text) => text(npm)));
    // On a first deploy without ids wrangler would make the namespaces; on a second one from another machine, again.
    if (withoutId.length > 0) {
      const names = withoutId.map(({ binding }) => binding).join(' and ');
      refusals.push(`wrangler.toml has no id of ${names}: ${npm('kv:create')}.`);
    }
  } catch (error) {
    if (!(dryRun && error instanceof DeployError && noAccount(error.message))) throw error;
    facts.push('The account was not looked at: there is none here.');
  }
  const command = [
    'deploy',
    ...environmentFlag(environment.name),
    ...(source.commit === null ? [] : ['--tag', source.commit]),
    '--message',
    messageOf(source),
  ];
  return {
    title,
    facts,
    refusals,
    steps: [
      {
        what: `deploy; calls in progress stay on their code (${environment.codeUpdate ?? 'immediate'})`,
        command: `npx wrangler ${command.map((word) => (/[^\w.=/-]/.test(word) ? `"${word}"` : word)).join(' ')}`,
        run: async () => {
          const { code, output } = await wrangler(command, signal);
          if (code !== 0) throw wranglerFailed(command, output);
          onDeployed(output);
        },
      },
    ],
  };
}

/** What a deployment is told of, so that a rollback knows the database that its code was made for. */
export function messageOf({ commit, schema }: Source): string {
  return `commit ${commit ?? 'unknown'}, database ${schema}`;
}

/** Bundles as a deploy does, and uploads nothing. */
async function bundle({ name }: Environment, wrangler: Wrangler, signal: AbortSignal): Promise<string> {
  const command = ['deploy', '--dry-run', ...environmentFlag(name)];
  const { code, output } = await wrangler(command, signal);
  if (code !== 0) throw wranglerFailed(command, output);
  const size = /Total Upload: (.+)/.exec(output)?.[1];
  return `The bundle: ${size ?? 'of unknown size'}.`;
}

/** What the account has, and lacks. */
async function lookAtAccount(
  environment: Environment,
  wrangler: Wrangler,
  signal: AbortSignal,
): Promise<{ facts: string[]; refusals: ((npm: Npm) => string)[] }> {
  const facts: string[] = [];
  const refusals: ((npm: Npm) => string)[] = [];
  // One after the other: without an account each would say so.
  const stored = await storedSecrets(environment, wrangler, signal);
  const missing = neededSecrets(environment).filter((name) => !(stored ?? []).includes(name));
  if (missing.length > 0) {
    refusals.push((npm) => `secrets are not stored: ${npm('secret:set', ` ${missing.join(' ')}`)}.`);
  }
  const states = await Promise.all(
    environment.buckets.map((bucket) => stateOfBucket(bucket, defaultRule, wrangler, signal)),
  );
  for (const [i, { name }] of environment.buckets.entries()) {
    if (states[i] === 'absent')
      refusals.push((npm) => `the bucket ${name} is not there: ${npm('r2:create')}.`);
    if (states[i] === 'without rule') {
      facts.push(`The bucket ${name} has no rule: recordings are kept for ever until \`npm run r2:create\`.`);
    }
  }
  const [current] = stored === null ? [] : await deployments(environment, wrangler, signal);
  if (current === undefined) {
    facts.push('It is the first deployment.');
  } else {
    const version = await versionOf(environment, current.version, wrangler, signal);
    facts.push(
      `Deployed now: ${version.id}, ${version.createdAt}${version.message === null ? '' : `, ${version.message}`}.`,
    );
    // The empty Worker that secrets were stored in has none.
    if (version.migrationTag !== null && version.migrationTag !== environment.migrationTag) {
      facts.push(
        `WARNING: the objects' classes go from ${version.migrationTag} to ${environment.migrationTag}. No rollback goes behind this deployment.`,
      );
    }
  }
  return { facts, refusals };
}
