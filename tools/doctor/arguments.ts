import { parseArgs } from 'node:util';
import { z } from 'zod';
import { environmentNames } from '../deploy/environment.ts';

export const doctorUsage = `npm run doctor [-- options]

Tries each configured provider, and the database, with one tiny request, and prints how long each took. With --env it looks
into Cloudflare's account as well, and with --url at the running service; it changes nothing there. What is broken is told
with what mends it. Settings come from the environment, then .dev.vars, then the [vars] of wrangler.toml.

  --env NAME     development, staging or production: its namespaces, buckets, secrets and deployment in the account
                 (\`npx wrangler login\` or CLOUDFLARE_API_TOKEN; .dev.vars.NAME goes before .dev.vars)
  --url URL      of a running service: its health, clock, who may, metrics and nodes. What strangers are not told needs
                 a token in the environment variable DOCTOR_TOKEN (\`npm run token -- metrics\`)
  --local        try the embedded engines and database of the running \`npm start\` instead
  --data DIR     where that \`npm start\` keeps its data [.data]
  --json         print one JSON object, and nothing else, on standard output

Exit code 0: everything that could be tried works, and no setting is missing; else 1.`;

/** The command line is wrong; the message says where. */
export class DoctorUsageError extends Error {
  override readonly name = 'DoctorUsageError';
}

const schema = z.object({
  env: z.enum(environmentNames, `must be ${environmentNames.join(', ')}`).optional(),
  local: z.boolean().default(false),
  url: z.url({ protocol: /^https?$/ }).optional(),
  data: z.string().min(1).default('.data'),
  json: z.boolean().default(false),
  help: z.boolean().default(false),
});

export type DoctorArguments = z.output<typeof schema>;

/** Reads the command line of `npm run doctor`. */
export function parseDoctorArguments(args: readonly string[]): DoctorArguments {
  let values: unknown;
  try {
    values = parseArgs({
      args: [...args],
      options: {
        env: { type: 'string' },
        url: { type: 'string' },
        local: { type: 'boolean' },
        data: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (cause) {
    throw new DoctorUsageError((cause as Error).message, { cause });
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new DoctorUsageError(`--${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { env, local } = parsed.data;
  if (local && env !== undefined)
    throw new DoctorUsageError('--local has settings of its own, without --env');
  return parsed.data;
}
