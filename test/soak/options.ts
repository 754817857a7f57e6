import { parseArgs } from 'node:util';
import { z } from 'zod';

export const soakUsage = `npm run soak [-- options]

Random callers against the service as \`npm start\` runs it. Nothing may leak, stick or be missing from the records.

  --minutes M   for how long callers call, up to 1,440 [60]
  --callers N   lines on which one caller follows the other, 1 to 100 [16]
  --seed N      of what each caller does [the time]
  --keep        keeps the data and the logs of a run that went well, too

Ctrl-C begins no more calls and judges those that were; once more ends at once.
Exit code 0: nothing was found. 1: something was. 2: wrong usage.`;

/** The command line is wrong; the message says where. */
export class SoakUsageError extends Error {
  override readonly name = 'SoakUsageError';
}

const schema = z.object({
  minutes: z.coerce
    .number()
    .positive()
    .max(24 * 60)
    .default(60),
  // Fifty calls are a user's limit; so many would be more than a laptop's recogniser takes.
  callers: z.coerce.number().int().min(1).max(100).default(16),
  seed: z.coerce
    .number()
    .int()
    .min(0)
    .max(1e9)
    .default(() => Date.now() % 1_000_000),
  keep: z.boolean().default(false),
  help: z.boolean().default(false),
});

/** Reads the command line of `npm run soak`. @throws {SoakUsageError} */
export function parseSoakArguments(args: readonly string[]): z.output<typeof schema> {
  const parsed = schema.safeParse(readOptions(args));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SoakUsageError(`--${String(issue?.path[0])}: ${issue?.message}`);
}

function readOptions(args: readonly string[]) {
  const one = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    const options = { minutes: one, callers: one, seed: one, keep: flag, help: flag };
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new SoakUsageError(error instanceof Error ? error.message : String(error));
  }
}
