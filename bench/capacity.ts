import { parseArgs } from 'node:util';
import { startBackEnds } from './back-ends.ts';
import { whole } from './options.ts';
import { CallRefusedError, type Measured, PacedCalls } from './paced-calls.ts';
import { bundlePeer, PEER } from './peer.ts';
import { printTable, quantile, rounded } from './statistics.ts';
import {
  countingObject,
  echoingObject,
  type System,
  service,
  storingInMemory,
  takingPeer,
} from './systems.ts';
import { buildWorker, storages } from './workerd.ts';

export const help = `npm run bench -- capacity [--seconds N] [--from N]

Calls that one workerd holds at 50 frames a second before frames are late, callers talking half the time (a recorded sentence, then as
much silence), with voice activity, recording and journal; against an object that only counts the same frames, one that sends each
back as well, and ${PEER.name}, which here neither detects speech nor records; and, on Linux, against itself with its objects' storage in
memory, where no write waits for a disk. Calls are added (--from, 100) by a third, then more finely, until a
twentieth of the pings, one a second and call, wait longer than a frame of 20 ms, or a call is lost or not taken; each step lasts
--seconds (6). Where it is the client that is late, the table and \`endedBy\` say so: then the system may hold more.
Before that, what a frame costs in CPU with 100 calls, which a busy machine disturbs less.`;

/** Load at which a frame's CPU is compared: every system holds it. */
const COMPARED_CALLS = 100;
const COMPARED_SECONDS = 15;
/** Compiling, first tables, first rows. */
const WARM_UP_MS = 15_000;
/** A frame that has to wait for longer than the next one takes to come is late. */
const LATE_MS = 20;
/** In which steps calls are added: first until there are too many, then once more from the last number that was held. */
const COARSE = 1.3;
const FINE = 1.08;
const SETTLE_MS = 3_000;
/** A machine is disturbed by others now and then: only what is late so many times in a row counts. */
const TRIES = 3;
const MOST_CALLS = 3_000;
/** What document 001 says of "10,000 concurrent calls", under "Load Testing Results". */
const CLAIM = { averageMs: 23, p95Ms: 67, errorRate: 0.0003 };

interface Result {
  system: System;
  compared: Measured;
  held: Measured;
  /** What ended it. */
  limit: string;
}

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: '6' }, from: { type: 'string', default: '100' } },
  });
  const seconds = whole('--seconds', values.seconds, 2, 600);
  const from = whole('--from', values.from, 1, MOST_CALLS);
  const ours = buildWorker();
  const theirs = bundlePeer('taking-peer.mjs');
  const results = {
    bare: await measured(countingObject(), from, seconds),
    echo: await measured(echoingObject(), from, seconds),
    peer: theirs === null ? null : await measured(takingPeer(theirs), from, seconds),
    ours: await measured(service(ours), from, seconds),
    noDisk: storages.includes('memory')
      ? await measured(storingInMemory(service(ours)), from, seconds)
      : null,
  };
  print(Object.values(results).filter((result) => result !== null));
  return summary(results);
}

async function measured(system: System, from: number, seconds: number): Promise<Result> {
  const backEnds = await startBackEnds();
  const paced = await PacedCalls.start(system, 'talking', backEnds);
  try {
    console.error(`${system.name}: ${COMPARED_CALLS} calls, for the cost of a frame`);
    await paced.callsAre(COMPARED_CALLS);
    const compared = await paced.measure(COMPARED_SECONDS, WARM_UP_MS);
    if (compared.lost > 0) throw new Error(`${system.name} lost ${compared.lost} of ${COMPARED_CALLS} calls`);
    await paced.hangUp();
    const coarse = await climb(paced, system, { from, most: MOST_CALLS, by: COARSE, seconds });
    if (coarse.limit === null)
      throw new Error(`${system.name} holds ${MOST_CALLS} calls: the client ends first`);
    if (coarse.held === null) throw new Error(`${system.name} does not hold ${from} calls: ${coarse.limit}`);
    await paced.hangUp();
    const fine = {
      from: Math.ceil(coarse.held.calls * FINE),
      most: coarse.limitedAt - 1,
      by: FINE,
      seconds,
    };
    const { held, limit } = await climb(paced, system, fine);
    return { system, compared, held: held ?? coarse.held, limit: limit ?? coarse.limit };
  } finally {
    await paced.stop();
    backEnds.stop();
  }
}

/** How far calls were added. */
interface Climb {
  /** The most that were held; null: not even the fewest. */
  held: Measured | null;
  /** Why no more. */
  limit: string;
  /** With so many. */
  limitedAt: number;
}

/** Adds calls, each time by a share, until there are too many or `most`. */
async function climb(
  paced: PacedCalls,
  system: System,
  { from, most, by, seconds }: { from: number; most: number; by: number; seconds: number },
): Promise<Climb | { held: Measured | null; limit: null }> {
  let held: Measured | null = null;
  for (let calls = from; calls <= most; calls = Math.ceil(calls * by)) {
    const { step, limit } = await heldWith(paced, calls, seconds);
    const p95 = step === null ? '' : `, round trip p95 ${quantile(step.roundTrips, 0.95).toFixed(1)} ms`;
    console.error(`${system.name}: ${calls} calls${p95}: ${limit ?? 'held'}`);
    if (limit !== null) return { held, limit, limitedAt: calls };
    held = step;
  }
  return { held, limit: null };
}

/** `limit`: why so many calls are too many; null: they are not. `step`: null where not all of them were taken. */
async function heldWith(
  paced: PacedCalls,
  calls: number,
  seconds: number,
): Promise<{ step: Measured; limit: null } | { step: Measured | null; limit: string }> {
  try {
    await paced.callsAre(calls);
  } catch (error) {
    if (!(error instanceof CallRefusedError)) throw error;
    return { step: null, limit: `not taken: ${error.message}` };
  }
  for (let attempt = 1; ; attempt++) {
    const step = await paced.measure(seconds, SETTLE_MS);
    const limit = limitOf(step);
    if (limit === null || step.lost > 0 || attempt === TRIES) return { step, limit };
  }
}

function limitOf({ lost, reasons, roundTrips, sendDelayP99Ms }: Measured): string | null {
  if (lost > 0) return `${lost} calls lost (${reasons.join('; ')})`;
  // The client's own lateness is no fault of the system's, and no merit.
  if (sendDelayP99Ms > LATE_MS) return `the client was late itself, by ${sendDelayP99Ms.toFixed(0)} ms`;
  return quantile(roundTrips, 0.95) > LATE_MS ? 'late' : null;
}

function print(results: readonly Result[]): void {
  const [bare] = results;
  const rows = [
    [
      'system',
      'calls held',
      'over',
      'ended by',
      'round trip avg',
      'p50',
      'p95 ms',
      'errors',
      'CPU of a core',
      `µs a frame (${COMPARED_CALLS} calls)`,
      'of counting',
    ],
  ];
  for (const { system, compared, held, limit } of results) {
    const ours = held.calls / bare!.held.calls;
    rows.push([
      system.name,
      String(held.calls),
      ours.toFixed(2),
      limit,
      mean(held.roundTrips).toFixed(1),
      quantile(held.roundTrips, 0.5).toFixed(1),
      quantile(held.roundTrips, 0.95).toFixed(1),
      `${((100 * held.lost) / held.calls).toFixed(2)} %`,
      `${((held.cpuUs / held.seconds / 1e6) * 100).toFixed(0)} %`,
      compared.usPerFrame.toFixed(1),
      (compared.usPerFrame / bare!.compared.usPerFrame).toFixed(2),
    ]);
  }
  const percent = CLAIM.errorRate * 100;
  rows.push([
    'document 001 claims',
    '10,000',
    '',
    '',
    CLAIM.averageMs.toFixed(1),
    '',
    CLAIM.p95Ms.toFixed(1),
    `${percent} %`,
    '',
    '',
    '',
  ]);
  printTable(rows);
  console.log('\nWhether the client was fast enough for what it measured, at the calls held:');
  printTable([
    [
      'system',
      'client CPU of a core',
      'its loop late p99 ms',
      'its frames late p99 ms',
      'frames sent of due',
    ],
    ...results.map(({ system, held }) => [
      system.name,
      `${(100 * held.load.cpuShare).toFixed(0)} %`,
      held.load.loopDelayP99Ms.toFixed(1),
      held.sendDelayP99Ms.toFixed(1),
      `${((100 * held.frames) / (held.calls * 50 * held.seconds)).toFixed(1)} %`,
    ]),
  ]);
}

function summary({
  bare,
  echo,
  peer,
  ours,
  noDisk,
}: Record<'bare' | 'echo' | 'ours', Result> & Record<'peer' | 'noDisk', Result | null>) {
  const ratio = (other: Result | null, digits = 2) =>
    other === null ? null : rounded(ours.held.calls / other.held.calls, digits);
  const cpuRatio = (other: Result | null) =>
    other === null ? null : rounded(ours.compared.usPerFrame / other.compared.usPerFrame, 2);
  return {
    bench: 'capacity',
    calls: ours.held.calls,
    ratioToBare: ratio(bare),
    ratioToEcho: ratio(echo),
    ratioToPeer: ratio(peer),
    callsWithoutDisk: noDisk?.held.calls ?? null,
    peer: peer === null ? null : PEER.name,
    cpuRatioToBare: cpuRatio(bare),
    cpuRatioToEcho: cpuRatio(echo),
    cpuRatioToPeer: cpuRatio(peer),
    usPerFrame: rounded(ours.compared.usPerFrame, 1),
    usPerFrameWithoutDisk: noDisk === null ? null : rounded(noDisk.compared.usPerFrame, 1),
    bareUsPerFrame: rounded(bare.compared.usPerFrame, 1),
    roundTripP50Ms: rounded(quantile(ours.held.roundTrips, 0.5), 1),
    roundTripP95Ms: rounded(quantile(ours.held.roundTrips, 0.95), 1),
    errorRate: rounded(ours.held.lost / ours.held.calls, 4),
    clientCpuShare: rounded(ours.held.load.cpuShare, 2),
    clientFramesLateP99Ms: rounded(ours.held.sendDelayP99Ms, 1),
    endedBy: {
      bare: bare.limit,
      echo: echo.limit,
      peer: peer?.limit ?? null,
      ours: ours.limit,
      noDisk: noDisk?.limit ?? null,
    },
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
