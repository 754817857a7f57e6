import { join } from 'node:path';
import { median } from '../statistics.ts';
import { bundleWorker, serve, type Workerd } from '../workerd.ts';
import type { DialectWork, DialectWorkDone } from '../workers/dialects.ts';
import { messagesOf, type Wire } from './wires.ts';

export interface Direction {
  /** CPU of 20 ms of audio, in nanoseconds: the median of the rounds. */
  nsPerFrame: number;
  /** Of 20 ms of audio. */
  bytesPerFrame: number;
  /** While audio goes this way. */
  messagesPerSecond: number;
}

export interface InProcess {
  name: string;
  in: Direction;
  out: Direction;
}

const FRAME_MS = 20;
/** Seconds of the far end's audio that one leg takes. */
const SPEECH_SECONDS = 20;
/** CPU that one measurement is to take; the process' account of it goes by hundredths of a second. */
const MEASURED_US = 400_000;

/** What each way of speaking costs in the engine of the Worker, without a socket and without a call. Rounds in turn, so that what else the machine does meets all of them. */
export async function measureInProcess(wires: readonly Wire[], rounds: number): Promise<InProcess[]> {
  const modules = bundleWorker(join(import.meta.dirname, '..', 'workers', 'dialects.ts'));
  const workerd = await serve(modules, { objects: {} });
  try {
    const seen = wires.map((wire) => ({ wire, in: [] as Direction[], out: [] as Direction[] }));
    const sizes = new Map<string, number>();
    // What comes first meets code that is not compiled yet.
    for (const way of ['in', 'out'] as const) await measure(workerd, wires[0]!, way, sizes);
    for (let round = 0; round < rounds; round++) {
      for (const { wire, in: incoming, out } of seen) {
        incoming.push(await measure(workerd, wire, 'in', sizes));
        out.push(await measure(workerd, wire, 'out', sizes));
      }
    }
    return seen.map(({ wire, in: incoming, out }) => ({
      name: wire.name,
      in: middle(incoming),
      out: middle(out),
    }));
  } finally {
    await workerd.stop();
  }
}

async function measure(
  workerd: Workerd,
  wire: Wire,
  direction: 'in' | 'out',
  sizes: Map<string, number>,
): Promise<Direction> {
  const key = `${direction} ${wire.name}`;
  const work: DialectWork = {
    path: wire.path,
    query: { userId: 'bench', ...wire.query },
    start: wire.start('bench'),
    audio:
      direction === 'out'
        ? []
        : messagesOf(wire, 'voice', (SPEECH_SECONDS * 1_000) / wire.frameMs).map((message) =>
            typeof message === 'string' ? message : [...message],
          ),
    direction,
    rounds: sizes.get(key) ?? 10,
  };
  let { done, us } = await run(workerd, work);
  // At first it is not known how much there has to be of it.
  for (let tries = 0; us < MEASURED_US / 2 && tries < 6; tries++) {
    work.rounds = Math.ceil(work.rounds * Math.min(20, MEASURED_US / Math.max(us, 10_000)));
    ({ done, us } = await run(workerd, work));
  }
  sizes.set(key, work.rounds);
  if (done.errors > 0) throw new Error(`${wire.name}: ${done.errors} errors`);
  const frames = done.audioMs / FRAME_MS;
  return {
    nsPerFrame: (us * 1_000) / frames,
    bytesPerFrame: done.bytes / frames,
    messagesPerSecond: (done.messages * 1_000) / done.audioMs,
  };
}

async function run(workerd: Workerd, work: DialectWork): Promise<{ done: DialectWorkDone; us: number }> {
  const url = `http://127.0.0.1:${workerd.port}/`;
  const put = await fetch(url, { method: 'PUT', body: JSON.stringify(work) });
  await put.text();
  const before = workerd.cpuUs();
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${work.path}: ${await response.text()}`);
  const done = (await response.json()) as DialectWorkDone;
  return { done, us: workerd.cpuUs() - before };
}

function middle(directions: readonly Direction[]): Direction {
  return { ...directions[0]!, nsPerFrame: median(directions.map(({ nsPerFrame }) => nsPerFrame)) };
}
