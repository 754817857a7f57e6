import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type EnvironmentName, environmentNames } from './environment.ts';

export const tasks = ['kv', 'r2', 'secrets', 'deploy', 'rollback'] as const;
export type Task = (typeof tasks)[number];

const common = `  --env NAME     development, staging or production (see wrangler.toml)
  --dry-run      only shows what would be done
  --yes          does it without asking

It first shows what is to be done, and asks. What is done already is left: run it as often as you like. Needs an account:
\`npx wrangler login\`, or CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID. Exit code 0: done, or nothing to do.`;

export const usages: Record<Task, string> = {
  kv: `npm run kv:create -- --env NAME [options]

Makes the KV namespaces of an environment, and writes their ids into wrangler.toml.

${common}`,
  r2: `npm run r2:create -- --env NAME [options]

Makes the buckets of an environment, where they have to be, with the rule of how long recordings are kept: infrequent access
after 30 days, deletion after 90 (\`npm run recordings:lifecycle\` sets others).

${common}`,
  secrets: `npm run secret:set -- --env NAME [SECRET …] [options]

Stores secrets with Cloudflare: those that are named, or those that are needed and missing. Their values are asked for, one after
the other, and not shown; of a single one the value may come in a pipe (with --yes). They stand in no command line and in no history.

  --file FILE    of lines NAME=value, e.g. .dev.vars.production: stores all secrets in it
${common}`,
  deploy: `npm run deploy [-- options], npm run deploy:production [-- options]

Looks whether everything is there that the Worker needs, and deploys it: to staging, or with deploy:production to production.

${common}`,
  rollback: `npm run deploy:rollback -- --env NAME [options]

Deploys the version again that was deployed before. Says first what that does not undo.

  --to VERSION   another version: \`npx wrangler versions list --env NAME\`
  --reason TEXT  for those who look at the deployments later
${common}`,
};

/** The command line is wrong; the message says where. */
export class DeployUsageError extends Error {
  override readonly name = 'DeployUsageError';
}

const schema = z.object({
  env: z.enum(environmentNames, `must be ${environmentNames.join(', ')}`).optional(),
  'dry-run': z.boolean().default(false),
  yes: z.boolean().default(false),
  help: z.boolean().default(false),
  file: z.string().min(1).optional(),
  to: z.guid('must be the id of a version').optional(),
  reason: z.string().min(1).max(100).default('npm run deploy:rollback'),
});

export interface DeployArguments extends Omit<z.output<typeof schema>, 'env' | 'dry-run'> {
  environment: EnvironmentName;
  dryRun: boolean;
  names: string[];
}

/** Reads the command line of one of the tasks. Null: it asks for help. */
export function parseDeployArguments(task: Task, args: readonly string[]): DeployArguments | null {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  let parsed: { values: object; positionals: string[] };
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: task === 'secrets',
      options: {
        env: { ...text, short: 'e' },
        'dry-run': flag,
        yes: { ...flag, short: 'y' },
        help: { ...flag, short: 'h' },
        ...(task === 'secrets' ? { file: text } : {}),
        ...(task === 'rollback' ? { to: text, reason: text } : {}),
      },
    });
  } catch (cause) {
    throw new DeployUsageError((cause as Error).message, { cause });
  }
  const result = schema.safeParse(parsed.values);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new DeployUsageError(`--${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { env, 'dry-run': dryRun, ...rest } = result.data;
  if (rest.help) return null;
  const environment = env ?? (task === 'deploy' ? 'staging' : undefined);
  if (environment === undefined) {
    throw new DeployUsageError(`Which environment? --env ${environmentNames.join(', --env ')}`);
  }
  return { ...rest, dryRun, environment, names: parsed.positionals };
}
