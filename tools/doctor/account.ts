import { stateOfBucket } from '../deploy/buckets.ts';
import type { Environment } from '../deploy/environment.ts';
import { DeployError, noAccount } from '../deploy/failure.ts';
import { listNamespaces } from '../deploy/namespaces.ts';
import { neededSecrets, storedSecrets } from '../deploy/secrets.ts';
import { deployments, versionOf } from '../deploy/versions.ts';
import { defaultRule } from '../recordings/lifecycle.ts';
import type { Wrangler } from '../recordings/wrangler.ts';
import { type Finding, failed, fine, untried, warning } from './finding.ts';

export interface AccountExamination {
  findings: Finding[];
  /** Names of the secrets that are stored, whose values nobody can read back. */
  stored: string[];
}

/** Whether an environment's parts are there, in Cloudflare's account. Asks by wrangler, and changes nothing. */
export async function examineAccount(
  environment: Environment,
  wrangler: Wrangler,
  signal: AbortSignal,
): Promise<AccountExamination> {
  const { name, worker } = environment;
  const npm = (script: string) => `npm run ${script} -- --env ${name}`;
  const findings: Finding[] = [];
  let stored: string[] | null = null;
  /** One part: what fails of it is told, and the others are looked at all the same. */
  const part = async (what: string, look: () => Promise<Finding[]>) => {
    try {
      findings.push(...(await look()));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof DeployError)) throw error;
      const [first = '', ...rest] = error.message.split('\n');
      const advice = rest.at(-1)?.replace(/ ?Then run this again.*/, '') || 'Run it by hand to see more.';
      findings.push(failed(what, [first, ...rest.slice(0, -1)].join(' ').trim(), advice));
      if (noAccount(error.message)) throw error;
    }
  };
  try {
    await part('secrets', async () => {
      stored = await storedSecrets(environment, wrangler, signal);
      if (stored === null) return [failed('Worker', `there is none called ${worker}`, npm('deploy'))];
      const missing = neededSecrets(environment).filter((secret) => !stored!.includes(secret));
      const nodes = stored.includes('NODES') || environment.vars.NODES !== undefined;
      return [
        missing.length === 0
          ? fine('secrets', `stored: ${stored.join(', ') || 'none, and none is needed'}`)
          : failed('secrets', `missing: ${missing.join(', ')}`, `${npm('secret:set')} ${missing.join(' ')}`),
        ...(nodes
          ? []
          : [
              warning(
                'NODES',
                'no telephone node may call',
                `npm run token -- node NAME --users ID, then ${npm('secret:set')} NODES`,
              ),
            ]),
      ];
    });
    await part('KV namespaces', async () => {
      const there = await listNamespaces(wrangler, signal);
      return environment.namespaces.map(({ binding, id }) => {
        if (id === null) return failed(binding, 'wrangler.toml has no id of it', npm('kv:create'));
        return there.some((each) => each.id === id)
          ? fine(binding, id)
          : failed(
              binding,
              `the account has no namespace ${id}`,
              `take the id out of wrangler.toml, then ${npm('kv:create')}`,
            );
      });
    });
    for (const bucket of environment.buckets) {
      await part(bucket.binding, async () => {
        const state = await stateOfBucket(bucket, defaultRule, wrangler, signal);
        if (state === 'absent')
          return [failed(bucket.binding, `there is no bucket ${bucket.name}`, npm('r2:create'))];
        if (state === 'without rule') {
          return [
            failed(
              bucket.binding,
              `${bucket.name} keeps recordings for ever: it has no rule`,
              npm('r2:create'),
            ),
          ];
        }
        if (state === 'other rule') {
          const days = `${defaultRule.infrequent} and ${defaultRule.delete} days`;
          return [warning(bucket.binding, `${bucket.name} has another rule than ${days}`, npm('r2:create'))];
        }
        return [fine(bucket.binding, `${bucket.name}, with its rule`)];
      });
    }
    if (stored !== null) {
      await part('deployment', async () => {
        const [current] = await deployments(environment, wrangler, signal);
        if (current === undefined)
          return [failed('deployment', 'the Worker was never deployed', npm('deploy'))];
        const version = await versionOf(environment, current.version, wrangler, signal);
        const says = `${version.message ?? version.id}, ${version.createdAt}`;
        const lacking = environment.bindings.filter((binding) => !version.bindings.includes(binding));
        if (lacking.length > 0) {
          return [failed('deployment', `${says}; it is not given ${lacking.join(', ')}`, npm('deploy'))];
        }
        if (version.migrationTag === environment.migrationTag) return [fine('deployment', says)];
        const classes = `its classes are those of ${version.migrationTag ?? 'no migration'}, here ${environment.migrationTag}`;
        return [warning('deployment', `${says}; ${classes}`, npm('deploy'))];
      });
    }
  } catch (error) {
    if (!(error instanceof DeployError && noAccount(error.message))) throw error;
    const how = 'there is none here: `npx wrangler login`, or CLOUDFLARE_API_TOKEN';
    return { findings: [untried('the account', how)], stored: [] };
  }
  return { findings, stored: stored ?? [] };
}
