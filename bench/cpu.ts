import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { encodeMulaw } from '../src/audio/g711.ts';
import { kennedy } from '../test/support/human-clips.ts';
import { wavToSamples } from '../tools/caller/audio.ts';
import { type BackEnds, startBackEnds } from './back-ends.ts';
import { quiet } from './caller-voice.ts';
import { PacedCalls } from './paced-calls.ts';
import { printTable, quantile, rounded } from './statistics.ts';
import { countingObject, echoingObject, type System, service } from './systems.ts';
import { buildWorker, bundleWorker, serve } from './workerd.ts';

export const help = `npm run bench -- cpu [--before DIR]

CPU of a second of call by stage, in workerd: each stage of the call's own code by itself, with a recorded sentence and as much silence;
what the socket takes, as an object that only counts shows it; what a message to the caller takes, as one that echoes shows it; and the
whole, of which the rest is in no stage. --before: another checkout of this project, with its packages installed, whose stages are
measured beside.`;

const CALLS = 100;
const FRAMES_A_SECOND = 50;
const PACED_SECONDS = 15;
const WARM_UP_MS = 15_000;
/** The agent's audio goes out in pieces of 100 ms, and the agent speaks half of the time. */
const MESSAGES_A_SECOND = 5;
/** Seconds of call that a stage is run for at once, and how often; where it waits for a disk or for a server, fewer. */
const RUN_SECONDS = 20_000;
const WAITING_SECONDS = 800;
const WAITING = new Set(['spool', 'transcribe', 'timers']);
const ROUNDS = 3;

/** Stages that hold the ones before them: what they add is their own. */
const NESTED: Record<string, string> = {
  'voice activity, tones': 'voice activity',
  'voice activity, tones, background': 'voice activity, tones',
};
/** A line on which the agent speaks has these as well; in `the whole` it is silent. */
const AGENTS = new Set(['playout', 'encode', 'send']);

/** Microseconds of a second of call, by stage. */
type Stages = Map<string, number>;

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({ args, options: { before: { type: 'string' } } });
  const earlier = values.before === undefined ? null : resolve(values.before);
  if (earlier !== null && !existsSync(join(earlier, 'src', 'call', 'listener.ts')))
    throw new RangeError(`--before: ${earlier} is no checkout of this project`);
  const now = await stagesOf(join(import.meta.dirname, '..'));
  const before = earlier === null ? null : await stagesOf(earlier);
  const modules = buildWorker();
  const counting = await paced(countingObject());
  const echoing = await paced(echoingObject());
  const whole = await paced(service(modules));
  const own = ownShares(now);
  const rows: Stages = new Map([
    ['socket', counting * FRAMES_A_SECOND],
    ...own,
    ['send', (echoing - counting) * MESSAGES_A_SECOND],
  ]);
  const wholeUs = whole * FRAMES_A_SECOND;
  print(rows, before === null ? null : ownShares(before), wholeUs);
  const dearest = [...own].sort(([, a], [, b]) => b - a)[0]!;
  return {
    bench: 'cpu',
    unit: 'µs of a second of call',
    stages: Object.fromEntries([...rows].map(([stage, us]) => [stage, rounded(us, 1)])),
    before:
      before === null
        ? null
        : Object.fromEntries([...ownShares(before)].map(([stage, us]) => [stage, rounded(us, 1)])),
    whole: rounded(wholeUs, 1),
    ratioToBare: rounded(whole / counting, 2),
    dearest: dearest[0],
  };
}

/** Each stage in the real runtime, of the project in `folder`. */
async function stagesOf(folder: string): Promise<Stages> {
  console.error(`Stages of ${folder}`);
  const stages = join(import.meta.dirname, 'workers', 'stages.mjs');
  const modules = bundleWorker(stages, '', { source: join(folder, 'src') });
  const backEnds = await startBackEnds();
  const workerd = await serve(modules, {
    objects: { STAGES: 'Stages' },
    text: { SPEECH_TO_TEXT: `${backEnds.address}/v1` },
  });
  try {
    const url = `http://127.0.0.1:${workerd.port}/`;
    const names = (await (await fetch(url)).json()) as string[];
    const line = lineBytes();
    const result: Stages = new Map();
    for (const stage of names) {
      const seconds = WAITING.has(stage) ? WAITING_SECONDS : RUN_SECONDS;
      const costs: number[] = [];
      // The first is to compile.
      for (let round = 0; round <= ROUNDS; round++) {
        const cpuUs = workerd.cpuUs();
        const query = new URLSearchParams({ stage, seconds: String(seconds) });
        const response = await fetch(`${url}?${query}`, { method: 'POST', body: line });
        if ((await response.text()) !== 'done') throw new Error(`${stage}: ${response.status}`);
        if (round > 0) costs.push((workerd.cpuUs() - cpuUs) / seconds);
      }
      // What disturbs a run makes it dearer.
      result.set(stage, Math.min(...costs));
    }
    return result;
  } finally {
    await workerd.stop();
    backEnds.stop();
  }
}

/** A sentence and as much silence, as the line brings it. */
function lineBytes(): Uint8Array<ArrayBuffer> {
  const speech = wavToSamples(readFileSync(kennedy().path), 8_000);
  const line = new Int16Array(2 * speech.length);
  line.set(speech);
  line.set(quiet(8_000, (speech.length * 1_000) / 8_000), speech.length);
  return new Uint8Array(encodeMulaw(line));
}

function ownShares(stages: Stages): Stages {
  return new Map(
    [...stages].map(([stage, us]) => {
      const inner = NESTED[stage];
      return [stage.split(', ').at(-1) ?? stage, inner === undefined ? us : us - (stages.get(inner) ?? 0)];
    }),
  );
}

/** CPU of a frame, in microseconds. */
async function paced(system: System): Promise<number> {
  console.error(`${system.name}: ${CALLS} calls`);
  const backEnds: BackEnds = await startBackEnds();
  const calls = await PacedCalls.start(system, 'talking', backEnds);
  try {
    await calls.callsAre(CALLS);
    const { usPerFrame, lost, roundTrips } = await calls.measure(PACED_SECONDS, WARM_UP_MS);
    if (lost > 0) throw new Error(`${system.name} lost ${lost} calls`);
    console.error(
      `${usPerFrame.toFixed(1)} µs a frame; round trip p50 ${quantile(roundTrips, 0.5).toFixed(1)} ms`,
    );
    return usPerFrame;
  } finally {
    await calls.stop();
    backEnds.stop();
  }
}

function print(stages: Stages, before: Stages | null, wholeUs: number): void {
  const rows = [['µs of a second of call', ...(before === null ? [] : ['before']), 'now', 'of the whole']];
  let known = 0;
  for (const [stage, us] of stages) {
    const isAgents = AGENTS.has(stage);
    if (!isAgents) known += us;
    const share = isAgents ? '–' : `${((100 * us) / wholeUs).toFixed(1)} %`;
    const earlier = before?.get(stage);
    rows.push([
      stage,
      ...(before === null ? [] : [earlier === undefined ? '' : earlier.toFixed(1)]),
      us.toFixed(1),
      share,
    ]);
  }
  const blank = before === null ? [] : [''];
  const rest = wholeUs - known;
  rows.push(['in no stage', ...blank, rest.toFixed(1), `${((100 * rest) / wholeUs).toFixed(1)} %`]);
  rows.push(['the whole, the agent silent', ...blank, wholeUs.toFixed(1), '100 %']);
  printTable(rows);
}
