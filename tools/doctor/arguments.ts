import { parseArgs } from 'node:util';
import { z } from 'zod';

export const doctorUsage = `npm run doctor [-- options]

Tries each configured provider, and the database, with one tiny request, and prints how long each took.
Settings come from the environment, then .dev.vars, then the [vars] of wrangler.toml.

  --env NAME     an environment of wrangler.toml, e.g. production (.dev.vars.NAME goes before .dev.vars)
  --local        try the embedded engines and database of the running \`npm start\` instead
  --data DIR     where that \`npm start\` keeps its data [.data]
  --json         print one JSON object, and nothing else, on standard output

Exit code 0: everything that could be tried works, and no setting is missing; else 1.`;

/** The command line is wrong; the message says where. */
export class DoctorUsageError extends Error {
  override readonly name = 'DoctorUsageError';
}

const schema = z.object({
  env: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be the name of an environment')
    .optional(),
  local: z.boolean().default(false),
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
