import { parseArgs } from 'node:util';
import { z } from 'zod';
import { audioEncodings, callIdSchema } from '../../src/dialects/native-messages.ts';
import { calleeNames } from './callee.ts';
import { farEndNames, farEndOf } from './ends/registry.ts';

export const usage = `npm run call -- [what to say] [options]

What to say, any number of times and in any order:
  --say "TEXT"        speech synthesised by the engines of a running \`npm start\` (or --tts-url)
  --wav FILE          a WAV file: PCM of 16 bits, μ-law or A-law
  --script FILE       a JSON array of steps: {"say": "…"}, {"wav": "…"}, {"pause": 500}, {"dtmf": "12#"},
                      {"expect": "regular expression on the last reply"}; say and wav take "expect" as well

Options:
  --url URL           the service [the running \`npm start\`'s, else ws://localhost:8787/ws/call-session]
  --as DIALECT        speak as this end of the line does, in place of the native dialect:
                      ${farEndNames.slice(0, 5).join(', ')},
                      ${farEndNames.slice(5).join(', ')}
  --transport KIND    json or binary [json]
  --encoding NAME     mulaw, alaw or l16 [mulaw]
  --rate HZ           8000 or 16000 [8000]
  --user ID           whose call it is [caller]
  --call-id ID        [a random one; with --no-resume, the one that the service announces]
  --token TOKEN       sent as a bearer token
  --out FILE          write what the caller heard to a WAV file
  --transfer OUTCOME  play whom the agent connects the caller to: ${calleeNames.slice(0, 4).join(', ')},
                      ${calleeNames.slice(4).join(' or ')} [transfers are not offered to the agent]
  --json              print the report as JSON, and nothing else, on standard output
  --timeout SECONDS   longest wait for anything: the connection, the greeting, each reply [30]
  --no-resume         do not come back to the call when the line is lost [comes back for 30 s]
  --tts-url URL       speech for --say, up to and with /v1 (its key: TTS_API_KEY in the environment)
  --voice NAME        voice for --say
  --data DIR          where \`npm start\` keeps its data [.data]

Exit code 0: every utterance got a spoken answer, and every "expect" was met.`;

/** The command line is wrong; the message says where. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const schema = z.object({
  as: z.enum(farEndNames).optional(),
  url: z.url({ protocol: /^wss?$/, error: 'must be a ws: or wss: URL' }).optional(),
  transport: z.enum(['json', 'binary']).default('json'),
  encoding: z.enum(audioEncodings).default('mulaw'),
  rate: z
    .enum(['8000', '16000'])
    .default('8000')
    .transform((rate) => (rate === '8000' ? 8000 : 16000)),
  user: z.string().min(1).max(128).default('caller'),
  'call-id': callIdSchema.optional(),
  token: z.string().min(1).max(8192).optional(),
  out: z.string().min(1).optional(),
  transfer: z.enum(calleeNames).optional(),
  json: z.boolean().default(false),
  timeout: z.coerce.number().min(1).max(600).default(30),
  'no-resume': z.boolean().default(false),
  'tts-url': z.url({ protocol: /^https?$/, error: 'must be an http: or https: URL' }).optional(),
  voice: z.string().min(1).max(128).optional(),
  data: z.string().min(1).default('.data'),
  help: z.boolean().default(false),
});

export type CallArguments = z.output<typeof schema> & {
  /** In the order of the command line. */
  what: readonly { kind: 'say' | 'wav' | 'script'; value: string }[];
};

/** Reads the command line of `npm run call`. */
export function parseCallArguments(args: readonly string[]): CallArguments {
  const { values, tokens } = readTokens(args);
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new UsageError(`--${issue?.path.join('.')}: ${issue?.message}`);
  }
  const what: { kind: 'say' | 'wav' | 'script'; value: string }[] = [];
  for (const token of tokens) {
    if (token.kind !== 'option' || token.value === undefined) continue;
    const { name: kind, value } = token;
    if (kind === 'say' || kind === 'wav' || kind === 'script') what.push({ kind, value });
  }
  const { as, rate } = parsed.data;
  if (as !== undefined && !farEndOf(as).sampleRates.includes(rate)) {
    throw new UsageError(`--rate: ${as} has ${farEndOf(as).sampleRates.join(' and ')} Hz alone`);
  }
  if (what.length === 0 && !parsed.data.help)
    throw new UsageError('One of --say, --wav and --script is needed');
  return { ...parsed.data, what };
}

function readTokens(args: readonly string[]) {
  const one = { type: 'string' } as const;
  const many = { type: 'string', multiple: true } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      tokens: true,
      options: {
        say: many,
        wav: many,
        script: many,
        url: one,
        as: one,
        transport: one,
        encoding: one,
        rate: one,
        user: one,
        'call-id': one,
        token: one,
        out: one,
        transfer: one,
        json: flag,
        timeout: one,
        'no-resume': flag,
        'tts-url': one,
        voice: one,
        data: one,
        help: { ...flag, short: 'h' },
      },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
}
