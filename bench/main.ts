/** `npm run bench -- NAME [options]`: prints a table and, as its last line, one JSON object. */
interface Bench {
  run(args: string[]): Promise<object>;
  help?: string;
}

const benches: Record<string, { describe: string; load(): Promise<Bench> }> = {
  frame: {
    describe: 'CPU per incoming frame, against an object that only counts the same frames',
    load: () => import('./frame.ts'),
  },
  capacity: {
    describe: 'Calls that one workerd holds before frames are late, against bare objects and agents/voice',
    load: () => import('./capacity.ts'),
  },
  memory: {
    describe: 'Memory of a call: connected, in mid-call, ended; and what 10,000 calls leave behind',
    load: () => import('./memory.ts'),
  },
  cpu: {
    describe: 'What a second of call costs by stage, and what it cost before (--before DIR)',
    load: () => import('./cpu.ts'),
  },
  windows: {
    describe: 'What it costs in words to transcribe speech before it is over',
    load: () => import('./windows.ts'),
  },
  turn: {
    describe: 'From a transcript to the first audio, with vendors that answer at once, against agents/voice',
    load: () => import('./turn.ts'),
  },
  pipeline: {
    describe:
      "From the caller's last word to the first audio, with vendors that take their time (--providers)",
    load: () => import('./pipeline.ts'),
  },
  'metrics-shard': {
    describe: 'Reports of calls a second that one object that counts takes',
    load: () => import('./metrics-shard.ts'),
  },
  'rate-limit': {
    describe: 'What passes of an address that asks many isolates too often, on a fake clock',
    load: () => import('./rate-limit.ts'),
  },
  'turn-taking': {
    describe:
      'How well it is known when a caller has finished, and when he interrupts, on recordings of people (--quick)',
    load: () => import('./turn-taking.ts'),
  },
  deploy: {
    describe: 'Rehearses a deployment, with the real wrangler against a double of Cloudflare’s API',
    load: () => import('./deploy.ts'),
  },
  usage: {
    describe: 'What a turn of a conversation uses: seconds, tokens, characters (with `npm start` running)',
    load: () => import('./usage.ts'),
  },
  'sip-calls': {
    describe: 'Telephone calls at once by SIP and RTP, through Kamailio and a media node (--calls N)',
    load: () => import('./sip-calls.ts'),
  },
  dialects: {
    describe: 'What a frame costs in each dialect, each way (--dialect NAME, --quick)',
    load: () => import('./dialects.ts'),
  },
  growth: {
    describe: 'Whether a call costs the same with more of them; 200,000 on a fake clock (--quick)',
    load: () => import('./growth.ts'),
  },
  redaction: {
    describe: 'What redaction takes for personal data that is none, and how long it takes',
    load: () => import('./redaction.ts'),
  },
};

const [name = '', ...args] = process.argv.slice(2);
const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (bench === undefined) {
  console.error(`Usage: npm run bench -- NAME [--help]\n`);
  const width = Math.max(...Object.keys(benches).map(({ length }) => length));
  for (const [known, { describe }] of Object.entries(benches))
    console.error(`  ${known.padEnd(width)} ${describe}`);
  process.exit(2);
}
const { run, help } = await bench.load();
if (args.includes('--help')) {
  console.log(help ?? bench.describe);
  process.exit(0);
}
try {
  console.log(JSON.stringify(await run(args)));
} catch (error) {
  // What was asked for is wrong; the rest is a fault, with its stack.
  if (!(error instanceof RangeError) && !isUnknownOption(error)) throw error;
  console.error(error.message);
  // Whatever a bench has open already.
  process.exit(2);
}

function isUnknownOption(error: unknown): error is Error {
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}

export {};
