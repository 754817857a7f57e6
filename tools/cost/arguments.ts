import { parseArgs } from 'node:util';
import { z } from 'zod';
import { prices } from '../../src/cost/prices.ts';

export const costUsage = `npm run cost [-- options]

Prints what a month costs, item by item, with where each price is from, what each option would save, and where the source documents'
figures differ. Nothing is asked over the network.

  --calls N          calls at once, in the busy hours [200000]
  --hours N          busy hours a day [24]
  --monthly N        calls a month, in place of --calls and --hours; at once are then as many as come on average
  --minutes N        minutes a call [3]
  --turns N          turns a minute [what was measured]
  --prompt N         tokens of your own prompt, beside the one that was measured with [0]
  --frame N          milliseconds of audio in a message from the node [20]
  --spool N          seconds of a recording's chunks, SPOOL_INTERVAL [2]
  --stt, --llm, --tts NAME   provider and model, as in src/cost/prices.ts [the service's defaults]
  --recording NAME   wav, mulaw-wav, ogg-opus or none [wav]
  --infrequent, --retention DAYS   when recordings move to infrequent access and are deleted [30, 90]
  --json             print one JSON object, and nothing else, on standard output`;

/** The command line is wrong; the message says where. */
export class CostUsageError extends Error {
  override readonly name = 'CostUsageError';
}

const number = (fallback: number, min: number, max: number) =>
  z.coerce.number().min(min).max(max).default(fallback);
const optionalNumber = (min: number, max: number) => z.coerce.number().min(min).max(max).optional();
const model = (fallback: string) =>
  z
    .string()
    .refine((name) => Object.hasOwn(prices, name), {
      error: ({ input }) => `${String(input)} has no price in src/cost/prices.ts`,
    })
    .default(fallback);

const schema = z.object({
  calls: number(200_000, 1, 10_000_000),
  hours: number(24, 0.01, 24),
  monthly: optionalNumber(1, 1e12),
  minutes: number(3, 0.1, 60),
  turns: optionalNumber(0, 60),
  prompt: number(0, 0, 50_000),
  frame: number(20, 10, 1_000),
  spool: number(2, 0.2, 30),
  stt: model('openai/gpt-transcribe'),
  llm: model('openai/gpt-6-luna'),
  tts: model('openai/gpt-4o-mini-tts'),
  recording: z.enum(['wav', 'mulaw-wav', 'ogg-opus', 'none']).default('wav'),
  infrequent: number(30, 0, 3_650),
  retention: number(90, 0, 3_650),
  json: z.boolean().default(false),
  help: z.boolean().default(false),
});

export type CostArguments = z.output<typeof schema>;

/** Reads the command line of `npm run cost`. @throws {CostUsageError} */
export function parseCostArguments(args: readonly string[]): CostArguments {
  let values: unknown;
  try {
    const text = { type: 'string' } as const;
    const flag = { type: 'boolean' } as const;
    values = parseArgs({
      args: [...args],
      options: {
        ...Object.fromEntries(Object.keys(schema.shape).map((name) => [name, text])),
        json: flag,
        help: { ...flag, short: 'h' },
      },
    }).values;
  } catch (cause) {
    throw new CostUsageError((cause as Error).message, { cause });
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CostUsageError(`--${issue?.path.join('.')}: ${issue?.message}`);
}
