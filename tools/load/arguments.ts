import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { farEndNames, farEndOf } from '../caller/ends/registry.ts';

export const loadUsage = `npm run load [-- options]

Calls a deployment of yours many times at once, callers talking, and measures it. Writes a report with a plot.

  --calls N            calls that are open at once, 1 to 20,000 [10]
  --minutes M          for how long, after the ramp, 0.1 to 1,440 [1]
  --dialect NAME       native, or as which end of a carrier or a switch [native]:
                       ${farEndNames.slice(0, 5).join(', ')},
                       ${farEndNames.slice(5).join(', ')}
  --url URL            ws: or wss:; without a path the dialect's is taken [the running \`npm start\`'s, else ws://localhost:8787]
  --i-own-this-deployment   needed for any address but this machine's own
  --ramp SECONDS       over which the first calls begin [a tenth of a second for each call, at least 1]
  --call-seconds S     length of a call, give or take a quarter, 5 to 3,600; one that ends is replaced [120]
  --talk SHARE         of the time in which a caller talks, 0 to 0.9 [0.5]
  --say "TEXT"         what callers say, up to 20 times [three questions about opening hours, the car park and a repair]
  --transport KIND     json or binary, of the native dialect [json]
  --rate HZ            8000 or 16000 [8000]
  --user ID            whose calls they are, up to 1,000 times, in turn [load-1, load-2, …: one for each 40 calls]
  --token TOKEN        sent as a bearer token
  --processes N        processes that call, at most one a core [one for each 200 calls]
  --seed N             of all that is left to chance: the same callers again [1]
  --report DIR         where report.json and report.html go [.data/load/ and the time]
  --data DIR           where \`npm start\` keeps its data [.data]

Ctrl-C ends the calls in order and writes the report; once more ends at once.
Exit code 0: every call went well, and this client kept pace. 1: a call was refused, dropped or failed, or the client itself
sent 1 % of its frames 20 ms late or later, or was busy for 90 % of the time: its figures then say nothing of the service.
2: wrong usage.`;

/** The command line is wrong; the message says where. */
export class LoadUsageError extends Error {
  override readonly name = 'LoadUsageError';
}

/** The address is not this machine's, and nobody has said that it is theirs. */
export class ConsentError extends LoadUsageError {}

/** What a caller says where `--say` does not tell. */
const sayings = [
  'Hello, I would like to ask you something about the shop. When are you open on Saturday?',
  'I am coming by car this afternoon with my bicycle in the back. Where can I park it?',
  'The front wheel of my bicycle is bent and makes a terrible noise. What does a repair cost?',
];

const number = (min: number, max: number) => z.coerce.number().min(min).max(max);
const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const text = (longest: number) => z.string().min(1).max(longest);

const schema = z.object({
  calls: whole(1, 20_000).default(10),
  minutes: number(0.1, 1_440).default(1),
  dialect: z.enum(['native', ...farEndNames]).default('native'),
  url: text(2_048).optional(),
  'i-own-this-deployment': z.boolean().default(false),
  ramp: number(0, 3_600).optional(),
  'call-seconds': number(5, 3_600).default(120),
  talk: number(0, 0.9).default(0.5),
  say: z.array(text(500)).max(20).default(sayings),
  transport: z.enum(['json', 'binary']).default('json'),
  rate: z
    .enum(['8000', '16000'])
    .default('8000')
    .transform((rate) => (rate === '8000' ? 8000 : 16000)),
  user: z.array(text(128)).max(1_000).optional(),
  token: text(8_192)
    .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII')
    .optional(),
  processes: whole(1, availableParallelism()).optional(),
  seed: whole(0, 2 ** 32 - 1).default(1),
  report: text(4_096).optional(),
  data: text(4_096).default('.data'),
  help: z.boolean().default(false),
});

export type LoadArguments = Omit<z.output<typeof schema>, 'ramp' | 'user' | 'processes'> & {
  ramp: number;
  user: readonly string[];
  processes: number;
};

/** As many as may call at once for one user by default are 50. */
const callsPerUser = 40;
const callsPerProcess = 200;

/** Reads the command line of `npm run load`. @throws {LoadUsageError} */
export function parseLoadArguments(args: readonly string[]): LoadArguments {
  const parsed = schema.safeParse(readOptions(args));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new LoadUsageError(`--${issue?.path.slice(0, 1).join('')}: ${issue?.message}`);
  }
  const { calls, dialect, rate, transport } = parsed.data;
  if (dialect !== 'native') {
    const { sampleRates } = farEndOf(dialect);
    if (!sampleRates.includes(rate))
      throw new LoadUsageError(`--rate: ${dialect} has ${sampleRates.join(' and ')} Hz alone`);
    if (transport === 'binary') throw new LoadUsageError(`--transport: ${dialect} has its own`);
  }
  return {
    ...parsed.data,
    ramp: parsed.data.ramp ?? Math.max(1, calls / 10),
    user:
      parsed.data.user ?? Array.from({ length: Math.ceil(calls / callsPerUser) }, (_, i) => `load-${i + 1}`),
    processes: parsed.data.processes ?? Math.min(availableParallelism(), Math.ceil(calls / callsPerProcess)),
  };
}

function readOptions(args: readonly string[]) {
  const one = { type: 'string' } as const;
  const many = { type: 'string', multiple: true } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        ...Object.fromEntries(Object.keys(schema.shape).map((name) => [name, one])),
        say: many,
        user: many,
        'i-own-this-deployment': flag,
        help: { ...flag, short: 'h' },
      },
    }).values;
  } catch (cause) {
    throw new LoadUsageError((cause as Error).message, { cause });
  }
}
