import { parseArgs } from 'node:util';
import { startBackEnds } from './back-ends.ts';
import { PacedCalls } from './paced-calls.ts';
import type { Line } from './paced-client.ts';
import { printTable, rounded } from './statistics.ts';
import { countingObject, type System, service } from './systems.ts';
import { buildWorker } from './workerd.ts';

const CALLS = 100;
const SECONDS = 15;
/** Compiling, first tables, first rows. */
const WARM_UP_MS = 10_000;

export const help = `npm run bench -- frame

CPU that an incoming frame costs the service (socket, decoding, voice activity, endpointing, speech to text's requests, recording,
journal), against an object that takes the same frames on the same kind of socket and only counts them, and against itself without
recording. All in plain \`workerd serve\`, one after the other, each with ${CALLS} calls of 50 binary μ-law frames a second.`;

export async function run(args: string[]): Promise<object> {
  // It has no options; one that is given is a mistake.
  parseArgs({ args, options: {} });
  console.error(`Building the Worker; then ${CALLS} calls for ${SECONDS + WARM_UP_MS / 1_000} s, six times.`);
  const ours = buildWorker();
  const systems = {
    bare: countingObject(),
    withoutRecording: service(ours, { RECORDING: 'false' }, 'without recording'),
    ours: service(ours),
  };
  const cost: Record<string, number> = {};
  const rows = [['system', 'line', 'frames', 'CPU µs/frame', 'ratio', 'transcriptions']];
  for (const line of ['quiet', 'talking'] as const) {
    for (const [key, system] of Object.entries(systems)) {
      const { usPerFrame, frames, transcriptions } = await costOf(system, line);
      cost[`${key} ${line}`] = usPerFrame;
      const ratio = usPerFrame / cost[`bare ${line}`]!;
      rows.push([
        system.name,
        line,
        String(frames),
        usPerFrame.toFixed(1),
        ratio.toFixed(2),
        String(transcriptions),
      ]);
    }
  }
  printTable(rows);
  const of = (system: keyof typeof systems, line: Line) => cost[`${system} ${line}`]!;
  return {
    bench: 'frame',
    calls: CALLS,
    ourUsPerFrame: rounded(of('ours', 'quiet'), 2),
    bareUsPerFrame: rounded(of('bare', 'quiet'), 2),
    ratio: rounded(of('ours', 'quiet') / of('bare', 'quiet'), 2),
    ourUsPerFrameTalking: rounded(of('ours', 'talking'), 2),
    bareUsPerFrameTalking: rounded(of('bare', 'talking'), 2),
    ratioTalking: rounded(of('ours', 'talking') / of('bare', 'talking'), 2),
    journalUsPerFrame: rounded(of('ours', 'quiet') - of('withoutRecording', 'quiet'), 2),
    journalUsPerFrameTalking: rounded(of('ours', 'talking') - of('withoutRecording', 'talking'), 2),
  };
}

async function costOf(system: System, line: Line) {
  const backEnds = await startBackEnds();
  const paced = await PacedCalls.start(system, line, backEnds);
  try {
    await paced.callsAre(CALLS);
    const before = backEnds.counts.transcriptions;
    const { usPerFrame, frames, lost, reasons } = await paced.measure(SECONDS, WARM_UP_MS);
    if (lost > 0) throw new Error(`${system.name} lost ${lost} calls: ${reasons.join('; ')}`);
    return { usPerFrame, frames, transcriptions: backEnds.counts.transcriptions - before };
  } finally {
    await paced.stop();
    backEnds.stop();
  }
}
