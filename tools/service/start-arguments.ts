import { parseArgs } from 'node:util';
import { z } from 'zod';

export const startUsage = `npm start [-- options]

  --once         exit after the demonstration call: 0 if it really went through, else 1
  --port PORT    where the service listens, on this machine only [8787]; 0: any that is free
  --data DIR     where it keeps its data [.data]
  --no-call      place no demonstration call
  --auth         ask everybody for a token, as a deployment does; prints tokens to try it with`;

/** The command line is wrong; the message says where. */
export class StartUsageError extends Error {
  override readonly name = 'StartUsageError';
}

const schema = z.object({
  once: z.boolean().default(false),
  'no-call': z.boolean().default(false),
  auth: z.boolean().default(false),
  port: z.coerce.number().int().min(0).max(65_535).default(8787),
  data: z.string().min(1).default('.data'),
  help: z.boolean().default(false),
});

export type StartArguments = z.output<typeof schema>;

/** Reads the command line of `npm start`. */
export function parseStartArguments(args: readonly string[]): StartArguments {
  let values: unknown;
  try {
    values = parseArgs({
      args: [...args],
      options: {
        once: { type: 'boolean' },
        'no-call': { type: 'boolean' },
        auth: { type: 'boolean' },
        port: { type: 'string' },
        data: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (cause) {
    throw new StartUsageError((cause as Error).message, { cause });
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new StartUsageError(`--${issue?.path.join('.')}: ${issue?.message}`);
  }
  if (parsed.data.once && parsed.data['no-call']) throw new StartUsageError('--once needs the call');
  return parsed.data;
}
