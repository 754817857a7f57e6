import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildWorker, serve, type Workerd } from './workerd.ts';

const CALLS = 40;
const SECONDS = 20;
const FRAMES_A_SECOND = 50;

/** What a caller sends: a line on which nobody speaks, or one on which somebody speaks half the time. */
type Line = 'quiet' | 'talking';

type System = 'counting object' | 'without recording' | 'this service';

interface Row {
  system: System;
  line: Line;
  usPerFrame: number;
  frames: number;
}

/**
 * CPU that an incoming frame costs the service (socket, decoding, voice activity, endpointing, recording, journal),
 * against an object that takes the same frames on the same kind of socket and only counts them, and against itself without recording:
 * what is between is the journal's. All run in plain `workerd serve`, one after the other, each with 40 calls of 50 binary μ-law
 * frames a second.
 */
export async function run(): Promise<object> {
  console.error(`Building the Worker; then ${CALLS} calls for ${SECONDS} s, six times.`);
  const ours = buildWorker();
  const bare = mkdtempSync(join(tmpdir(), 'bench-bare-'));
  copyFileSync(join(import.meta.dirname, 'counting-worker.mjs'), join(bare, 'counting-worker.mjs'));
  const rows: Row[] = [];
  for (const line of ['quiet', 'talking'] as const) {
    rows.push(await measure('counting object', line, () => serve(bare, { objects: { COUNTER: 'Counter' } })));
    rows.push(await measure('without recording', line, () => serveOurs(ours, { RECORDING: 'false' })));
    rows.push(await measure('this service', line, () => serveOurs(ours, {})));
  }
  const of = (system: System, line: Line) =>
    rows.find((row) => row.system === system && row.line === line)!.usPerFrame;
  const ratio = (line: Line, system: System = 'this service') =>
    of(system, line) / of('counting object', line);
  console.log('system            line      frames   CPU µs/frame   ratio');
  for (const { system, line, frames, usPerFrame } of rows) {
    const against = system === 'counting object' ? '' : ratio(line, system).toFixed(2);
    console.log(
      `${system.padEnd(17)} ${line.padEnd(8)} ${String(frames).padStart(7)} ${usPerFrame.toFixed(1).padStart(14)} ${against.padStart(7)}`,
    );
  }
  const round = (value: number) => Math.round(value * 100) / 100;
  return {
    bench: 'frame',
    calls: CALLS,
    ourUsPerFrame: round(of('this service', 'quiet')),
    bareUsPerFrame: round(of('counting object', 'quiet')),
    ratio: round(ratio('quiet')),
    ourUsPerFrameTalking: round(of('this service', 'talking')),
    bareUsPerFrameTalking: round(of('counting object', 'talking')),
    ratioTalking: round(ratio('talking')),
    journalUsPerFrame: round(of('this service', 'quiet') - of('without recording', 'quiet')),
    journalUsPerFrameTalking: round(of('this service', 'talking') - of('without recording', 'talking')),
  };
}

/** Speech-to-text understands nothing, so that no turn follows; the database says that all is well. */
async function serveOurs(modules: string, settings: Record<string, string>): Promise<Workerd> {
  const deaf = createServer((request, response) => {
    request.resume().on('end', () => {
      const body = request.url?.startsWith('/rest/') ? 'true' : '{"text":""}';
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(body);
    });
  });
  await once(deaf.listen(0, '127.0.0.1'), 'listening');
  const address = `http://127.0.0.1:${(deaf.address() as AddressInfo).port}`;
  const workerd = await serve(modules, {
    objects: {
      CALL_SESSION: 'CallSessionDO',
      METRICS: 'MetricsDO',
      USER_CALLS: 'UserCallsDO',
      PERMITS: 'PermitsDO',
    },
    bucket: 'RECORDINGS',
    text: {
      OPENAI_API_KEY: 'bench',
      OPENAI_BASE_URL: `${address}/v1`,
      SUPABASE_URL: address,
      SUPABASE_SERVICE_ROLE_KEY: 'bench',
      AGENT_GREETING: '',
      AGENT_APOLOGY: '',
      RATE_LIMIT_PER_IP: '0',
      // All calls are one user's.
      MAX_CONCURRENT_CALLS_PER_USER: '10000',
      AUTH: 'none',
      // Nobody is asked whether he is there: that is not the frames' cost.
      SILENCE_PROMPT_MS: '3600000',
      ...settings,
    },
  });
  return {
    ...workerd,
    stop: async () => {
      await workerd.stop();
      deaf.closeAllConnections();
      deaf.close();
    },
  };
}

async function measure(system: System, line: Line, start: () => Promise<Workerd>): Promise<Row> {
  const workerd = await start();
  try {
    const client = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        join(import.meta.dirname, 'frame-client.ts'),
        JSON.stringify({
          port: workerd.port,
          calls: CALLS,
          seconds: SECONDS,
          perSecond: FRAMES_A_SECOND,
          line,
        }),
      ],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    let before = 0;
    let after = 0;
    let frames = 0;
    client.on('message', (message: { type: 'begin' } | { type: 'end'; frames: number }) => {
      if (message.type === 'begin') before = workerd.cpuUs();
      else {
        after = workerd.cpuUs();
        frames = message.frames;
        client.send('done');
      }
    });
    const [code] = await once(client, 'exit');
    if (code !== 0 || frames === 0) throw new Error(`the client failed (exit code ${code})`);
    return { system, line, frames, usPerFrame: (after - before) / frames };
  } finally {
    await workerd.stop();
  }
}
