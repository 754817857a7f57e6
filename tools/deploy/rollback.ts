import type { Wrangler } from '../recordings/wrangler.ts';
import { type Environment, environmentFlag } from './environment.ts';
import { DeployError, wranglerFailed } from './failure.ts';
import type { Plan } from './plan.ts';
import { deployments, type Version, versionOf } from './versions.ts';

export interface RollbackOptions {
  environment: Environment;
  /** The version to go back to; null: the one that was deployed before. */
  to: string | null;
  /** Why, for those who look at the deployments later. */
  reason: string;
  wrangler: Wrangler;
  signal: AbortSignal;
}

/**
 * What going back would do, and what it would not undo.
 * https://developers.cloudflare.com/workers/versions-and-deployments/rollbacks/
 */
export async function planRollback(options: RollbackOptions): Promise<Plan> {
  const { environment, to, reason, wrangler, signal } = options;
  const all = await deployments(environment, wrangler, signal);
  const [current] = all;
  if (current === undefined)
    throw new DeployError(`${environment.worker} was never deployed: there is nothing to go back to.`);
  const before = to ?? all.find(({ version }) => version !== current.version)?.version;
  if (before === undefined)
    throw new DeployError(`${environment.worker} had no other version: there is nothing to go back to.`);
  const [now, then] = await Promise.all(
    [current.version, before].map((id) => versionOf(environment, id, wrangler, signal)),
  );
  const plan: Plan = {
    title: `Rolling back ${environment.worker} (${environment.name}):`,
    facts: [`Now:  ${described(now!)}`, `Then: ${described(then!)}`, ...notUndone(now!, then!)],
    steps: [],
    refusals: [],
  };
  if (now!.id === then!.id) return { ...plan, steps: [{ what: 'this version is deployed', command: null }] };
  if (now!.migrationTag !== then!.migrationTag) {
    plan.refusals.push(
      `the objects' classes were migrated in between (${then!.migrationTag} to ${now!.migrationTag}), and Cloudflare takes no such step back. Check the older code out, keep the [[migrations]] of wrangler.toml and the classes, and deploy that.`,
    );
  }
  const command = [
    ...['rollback', before, '--yes', '--message', reason],
    ...(environment.codeUpdate === null
      ? []
      : ['--durable-objects-code-update-mode', environment.codeUpdate]),
    ...environmentFlag(environment.name),
  ];
  plan.steps.push({
    what: `deploy that version; calls in progress stay on their code (${environment.codeUpdate ?? 'immediate'})`,
    command: `npx wrangler ${command.map((word) => (/[^\w.=/-]/.test(word) ? `"${word}"` : word)).join(' ')}`,
    run: async () => {
      const { code, output } = await wrangler(command, signal);
      if (code !== 0) throw wranglerFailed(command, output);
    },
  });
  return plan;
}

function described({ id, createdAt, message }: Version): string {
  return `${id}, ${createdAt}${message === null ? '' : `, ${message}`}`;
}

function notUndone(now: Version, then: Version): string[] {
  const schemaOf = ({ message }: Version) => /\bdatabase (\d{14})\b/.exec(message ?? '')?.[1] ?? null;
  const [newer, older] = [schemaOf(now), schemaOf(then)];
  const facts = [
    'Not undone: the database, what objects and buckets hold, and the secrets, which the older code gets as they are now.',
  ];
  if (older === null) facts.push('WARNING: which migrations the older code was made for is not known.');
  else if (newer !== older) {
    facts.push(
      `WARNING: the older code was made for a database as of ${older}, and the database is at least as of ${newer ?? 'unknown'}. Migrations are made so that older code goes on working; read what came in between: supabase/migrations.`,
    );
  }
  return facts;
}
