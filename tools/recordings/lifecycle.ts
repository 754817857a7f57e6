import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { Wrangler } from './wrangler.ts';

export const lifecycleUsage = `npm run recordings:lifecycle [-- options]

Prints the commands that set how long recordings are kept, and with --apply runs them: infrequent access at 30 days,
deletion at 90, and uploads that were never completed aborted at 7.

  --env NAME           an environment of wrangler.toml, e.g. production
  --bucket NAME        the bucket [the one that wrangler.toml binds to RECORDINGS]
  --infrequent DAYS    when they move to infrequent access; 0: never [30]
  --delete DAYS        when they are deleted; 0: never [90]
  --abort DAYS         when an upload that was not completed is aborted [7]
  --apply              run the commands: needs \`npx wrangler login\` or CLOUDFLARE_API_TOKEN

Rules of other names, and so of other hands, are left as they are.`;

/** The command line is wrong; the message says where. */
export class RecordingsUsageError extends Error {
  override readonly name = 'RecordingsUsageError';
}

/** A bucket's name, as R2 allows it. */
export const bucketSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, 'is no name of a bucket');
/** An environment of `wrangler.toml`. */
export const environmentSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be the name of an environment');
const days = (fallback: number, least: number) =>
  z.coerce.number().int().min(least).max(36_500).default(fallback);

const schema = z
  .object({
    env: environmentSchema.optional(),
    bucket: bucketSchema.optional(),
    infrequent: days(30, 0),
    delete: days(90, 0),
    abort: days(7, 1),
    apply: z.boolean().default(false),
    help: z.boolean().default(false),
  })
  .refine((value) => value.delete === 0 || value.infrequent < value.delete, {
    path: ['delete'],
    message: 'comes before --infrequent: nothing would ever be there',
  });

export type LifecycleArguments = z.output<typeof schema>;

/** Reads the command line of `npm run recordings:lifecycle`. */
export function parseLifecycleArguments(args: readonly string[]): LifecycleArguments {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = { env: text, bucket: text, infrequent: text, delete: text, abort: text, apply: flag };
  return parsed(schema, () =>
    parseArgs({ args: [...args], options: { ...options, help: { ...flag, short: 'h' } } }),
  );
}

/** Values of a command line, through a schema. Throws {@link RecordingsUsageError}. */
export function parsed<T extends z.ZodType>(shape: T, parse: () => { values: object }): z.output<T> {
  let values: object;
  try {
    ({ values } = parse());
  } catch (cause) {
    throw new RecordingsUsageError((cause as Error).message, { cause });
  }
  const result = shape.safeParse(values);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const option = issue?.path.join('.');
  throw new RecordingsUsageError(`${option ? `--${option}: ` : ''}${issue?.message}`);
}

/** Name of the one rule that is set; another of this name is replaced. */
const ruleName = 'recordings';

const command = ['r2', 'bucket', 'lifecycle'];

/** Arguments of wrangler that add the rule to a bucket. */
export function addRule(bucket: string, options: LifecycleArguments): string[] {
  return [
    ...[...command, 'add', bucket, ruleName, 'recordings/'],
    ...(options.infrequent === 0 ? [] : ['--ia-transition-days', String(options.infrequent)]),
    ...(options.delete === 0 ? [] : ['--expire-days', String(options.delete)]),
    ...['--abort-multipart-days', String(options.abort), '--force'],
  ];
}

/** Sets the rule: as wrangler adds to the rules that are there, one of an earlier run goes first. False: wrangler failed. */
export async function setRule(
  wrangler: Wrangler,
  bucket: string,
  options: LifecycleArguments,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const run = async (args: string[]) => {
    print(`$ wrangler ${args.join(' ')}`);
    const { code, output } = await wrangler(args, signal);
    print(output.trim());
    return { ok: code === 0, output };
  };
  const list = await run([...command, 'list', bucket]);
  if (!list.ok) return false;
  if (new RegExp(`^name:\\s+${ruleName}\\s*$`, 'm').test(list.output)) {
    if (!(await run([...command, 'remove', bucket, '--name', ruleName])).ok) return false;
  }
  return (await run(addRule(bucket, options))).ok;
}
