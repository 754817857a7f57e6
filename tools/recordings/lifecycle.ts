import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { Wrangler } from './wrangler.ts';

export const lifecycleUsage = `npm run recordings:lifecycle [-- options]

Prints the commands that set how long recordings are kept, and with --apply runs them: infrequent access at 30 days,
deletion at 90, and uploads that were never completed aborted at 7.

  --env NAME           an environment of wrangler.toml, e.g. production
  --bucket NAME        the bucket [those that wrangler.toml binds to RECORDINGS and RECORDINGS_EU]
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
/** As the contract has it. */
export const defaultRule = { infrequent: 30, delete: 90, abort: 7 } as const;

const days = (fallback: number, least: number) =>
  z.coerce.number().int().min(least).max(36_500).default(fallback);

const schema = z
  .object({
    env: environmentSchema.optional(),
    bucket: bucketSchema.optional(),
    infrequent: days(defaultRule.infrequent, 0),
    delete: days(defaultRule.delete, 0),
    abort: days(defaultRule.abort, 1),
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

/** How long recordings are kept. */
export type LifecycleOptions = Pick<LifecycleArguments, 'infrequent' | 'delete' | 'abort'>;

/** Name of the one rule that is set; another of this name is replaced. */
const ruleName = 'recordings';

export const ruleCommand = ['r2', 'bucket', 'lifecycle'];

/** Arguments of wrangler that add the rule to a bucket. */
export function addRule(
  bucket: string,
  options: LifecycleOptions,
  jurisdiction: string | null = null,
): string[] {
  return [
    ...[...ruleCommand, 'add', bucket, ruleName, 'recordings/'],
    ...(options.infrequent === 0 ? [] : ['--ia-transition-days', String(options.infrequent)]),
    ...(options.delete === 0 ? [] : ['--expire-days', String(options.delete)]),
    ...['--abort-multipart-days', String(options.abort), '--force'],
    ...placeOf(jurisdiction),
  ];
}

/** Sets the rule: as wrangler adds to the rules that are there, one of an earlier run goes first. False: wrangler failed. */
export async function setRule(
  wrangler: Wrangler,
  bucket: string,
  options: LifecycleOptions,
  print: (line: string) => void,
  signal: AbortSignal,
  jurisdiction: string | null = null,
): Promise<boolean> {
  const place = placeOf(jurisdiction);
  const run = async (args: string[]) => {
    print(`$ wrangler ${args.join(' ')}`);
    const { code, output } = await wrangler(args, signal);
    print(output.trim());
    return { ok: code === 0, output };
  };
  const list = await run([...ruleCommand, 'list', bucket, ...place]);
  if (!list.ok) return false;
  if (ownRule(list.output) !== null) {
    if (!(await run([...ruleCommand, 'remove', bucket, '--name', ruleName, ...place])).ok) return false;
  }
  return (await run(addRule(bucket, options, jurisdiction))).ok;
}

/** What wrangler's list of a bucket's rules says of ours. */
export function describesRule(
  list: string,
  options: LifecycleOptions,
): 'without rule' | 'other rule' | 'as it should be' {
  const rule = ownRule(list);
  if (rule === null) return 'without rule';
  const days = (action: string) => Number(new RegExp(`${action} after (\\d+) days`).exec(rule)?.[1] ?? 0);
  const same =
    /^enabled:\s+Yes\s*$/m.test(rule) &&
    /^prefix:\s+recordings\/\s*$/m.test(rule) &&
    days('Transition to Infrequent Access') === options.infrequent &&
    days('Expire objects') === options.delete &&
    days('Abort incomplete multipart uploads') === options.abort;
  return same ? 'as it should be' : 'other rule';
}

/** The lines of our rule in wrangler's list; rules stand apart by empty lines. */
function ownRule(list: string): string | null {
  const rules = list.split(/\n(?=name:)/);
  return rules.find((rule) => new RegExp(`^name:\\s+${ruleName}\\s*$`, 'm').test(rule)) ?? null;
}

function placeOf(jurisdiction: string | null): string[] {
  return jurisdiction === null ? [] : ['-J', jurisdiction];
}
