import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { InstallError, takeLock } from './install.mjs';
import { demonstrate } from './service/demonstration.ts';
import { PartError } from './service/part.ts';
import { assertPortFree, PortError } from './service/ports.ts';
import { type Service, startService } from './service/service.ts';
import { readServiceFile, removeServiceFile, writeServiceFile } from './service/service-file.ts';
import {
  parseStartArguments,
  type StartArguments,
  StartUsageError,
  startUsage,
} from './service/start-arguments.ts';
import { stopSignals } from './service/stop-signals.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

let service: Service | null = null;
const stop = stopSignals(() => {
  console.error('Ending at once.');
  service?.kill();
  // Parts that are still starting are ended by the handler of `exit`.
  process.exit(130);
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (stop.aborted) {
    console.log('Stopped.');
    process.exitCode = 130;
  } else {
    if (!isExplained(error)) console.error(error);
    else console.error(`\n${error.message}${error instanceof StartUsageError ? `\n\n${startUsage}` : ''}`);
    process.exitCode = 1;
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseStartArguments(args);
  if (options.help) {
    console.log(startUsage);
    return 0;
  }
  const dataDir = path.resolve(root, options.data);
  mkdirSync(dataDir, { recursive: true });
  await assertPortFree(options.port);
  const unlock = await takeDataDir(dataDir);
  try {
    return await run(options, dataDir);
  } finally {
    removeServiceFile(dataDir);
    if (service !== null) {
      console.log('Ending …');
      await service.close();
      console.log('Ended.');
    }
    unlock();
  }
}

async function run(options: StartArguments, dataDir: string): Promise<number> {
  const startedAt = performance.now();
  const seconds = () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  console.log('AI Call Handler: starting the speech engines, Supabase and the Worker on this machine.');
  console.log('  No account and no key is needed. The models load in 5 to 20 s.');
  service = await startService({
    root,
    dataDir,
    port: options.port,
    auth: options.auth,
    signal: stop,
    onProgress: (part, text) => console.log(`  ${seconds().padStart(6)}  ${part.padEnd(15)} ${text}`),
  });
  const { url, engines, supabase } = service;
  writeServiceFile(dataDir, {
    pid: process.pid,
    url,
    enginesUrl: engines.baseUrl,
    enginesKey: engines.apiKey,
    supabaseUrl: supabase.url,
    supabaseKey: supabase.serviceRoleKey,
  });
  console.log(`  ${seconds().padStart(6)}  everything is healthy`);
  console.log(`\n${whoMay(service)}`);
  const dead = new AbortController();
  service.died.then((why) => dead.abort(new PartError(why)));
  const code = options['no-call'] ? 0 : await demonstrateHere(service, dataDir, dead.signal);
  if (options.once) return code;
  console.log(
    `\n${howToTalk(service, options.port)}\n\nConsole: ${url}/console   Supabase: ${supabase.url}   engines: ${engines.baseUrl}   logs: ${shown(path.join(dataDir, 'logs'))}`,
  );
  console.log('Ctrl-C ends everything.');
  await untilAborted(AbortSignal.any([stop, dead.signal]));
  if (!stop.aborted) throw dead.signal.reason;
  return 0;
}

/** Prints the call and what it left; the exit code. Throws the reason of `dead` if a part ends meanwhile. */
async function demonstrateHere(running: Service, dataDir: string, dead: AbortSignal): Promise<number> {
  console.log('\nA demonstration call (both voices are synthesised, the line is G.711 μ-law at 8 kHz):\n');
  const recordings = path.join(dataDir, 'recordings');
  const print = (line: string) => console.log(line);
  const result = await demonstrate(running, recordings, print, AbortSignal.any([stop, dead])).catch(
    (error) => {
      throw dead.aborted ? dead.reason : error;
    },
  );
  if (result.recording !== null)
    console.log(`\n  Recording  ${shown(result.recording)}  (in R2: ${result.row?.recording})`);
  if (result.row !== null) {
    const { transcript, ...row } = result.row;
    console.log('  Log row    call_logs:');
    for (const [name, value] of Object.entries(row))
      console.log(`               ${name.padEnd(17)} ${value}`);
    console.log(`               transcript        ${transcript.length} turns`);
  }
  for (const problem of result.problems) console.error(`  FAILED     ${problem}`);
  return result.problems.length === 0 ? 0 : 1;
}

/** Who is let in; loudly, where that is everybody. */
function whoMay({ url, tokens }: Service): string {
  if (tokens === null) {
    return `The service listens on ${url}, on this machine only: there is NO AUTHENTICATION (AUTH=none). Whoever reaches it may call,
listen to recordings and read the counts. \`npm start -- --auth\` asks for tokens.`;
  }
  return `The service listens on ${url}, on this machine only, and asks everybody for a token. Until it ends these are good:
  TOKEN=${tokens.service}   # of a program of yours: everything, for everybody
  USER_TOKEN=${tokens.user}   # of the person ${tokens.userId}, as Supabase Auth signs it; for an hour`;
}

function howToTalk({ url, tokens }: Service, port: number): string {
  const [flag, header] =
    tokens === null ? ['', ''] : [' --token "$TOKEN"', ' -H "Authorization: Bearer $TOKEN"'];
  const local = url.replace('127.0.0.1', 'localhost');
  const flags = port === 8787 ? '' : ` --url ${local.replace(/^http/, 'ws')}/ws/call-session`;
  return `Talk to it:
  npm run call -- --say "When are you open on Saturday?" --out heard.wav${flags}${flag}
  npx wscat${header} -c ${local.replace(/^http/, 'ws')}/ws/call-session
    > {"type":"start_call","callId":"my-call-1","userId":"me","features":["transcript"]}
    > {"type":"end_call"}
  curl ${local}/health
  curl${header} ${local}/metrics`;
}

/** One launcher for a data folder: two databases on one folder would destroy it. */
async function takeDataDir(dataDir: string): Promise<() => void> {
  try {
    return await takeLock(path.join(dataDir, 'service.lock'), () => {}, { waitMs: 0 });
  } catch (error) {
    if (!(error instanceof InstallError)) throw error;
    const running = readServiceFile(dataDir);
    const where =
      running === null ? 'it is still starting, or ending' : `process ${running.pid}, ${running.url}`;
    throw new PortError(
      `\`npm start\` already runs with ${shown(dataDir)} (${where}). End it, or use --data and --port.`,
    );
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith('..') ? file : relative;
}

function isExplained(error: unknown): error is Error {
  return [PartError, PortError, StartUsageError, InstallError].some((type) => error instanceof type);
}
