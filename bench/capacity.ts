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

export const help = `npm run bench -- capacity [--seconds N] [--from N] [--rounds N]

Calls that one workerd holds at 50 frames a second before frames are late, callers talking half the time (a recorded sentence, then as
much silence), with voice activity, recording and journal; against an object that only counts the same frames, one that sends each
back as well, and ${PEER.name}, which here neither detects speech nor records; and, on Linux, against itself with its objects' storage in
memory, where no write waits for a disk. Calls are added (--from, 100) by a third, then more finely, until a
twentieth of the pings, one a second and call, wait longer than a frame of 20 ms, or a call is lost or not taken; each step lasts
--seconds (6). Where it is the client that is late, the table and \`endedBy\` say so: then the system may hold more.
Before that, what a frame costs in CPU with 100 calls: the median of --rounds (3), in each of which every system has its turn, since what else
the machine does, and its neighbours with its caches, comes and goes. Some 16 minutes; storage in memory takes some hundred MB of it.`;

/** Load at which a frame's CPU is compared: every system holds it. */
const COMPARED_CALLS = 100;
const COMPARED_SECONDS = 8;
/** Compiling, first tables, first rows. */
const WARM_UP_MS = 10_000;
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
  /** CPU that a frame takes with so many calls as all systems hold: of each round. */
  usPerFrame: number[];
  held: Measured;
  /** What ended it. */
  limit: string;
}

type Systems = Record<'bare' | 'echo' | 'ours', System> & Record<'peer' | 'noDisk', System | null>;
type Results = { [Name in keyof Systems]: Systems[Name] extends System ? Result : Result | null };

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '6' },
      from: { type: 'string', default: '100' },
      rounds: { type: 'string', default: '3' },
    },
  });
  const seconds = whole('--seconds', values.seconds, 2, 600);
  const from = whole('--from', values.from, 1, MOST_CALLS);
  const rounds = whole('--rounds', values.rounds, 1, 99);
  const ours = service(buildWorker());
  const theirs = bundlePeer('taking-peer.mjs');
  const systems: Systems = {
    bare: countingObject(),
    echo: echoingObject(),
    peer: theirs === null ? null : takingPeer(theirs),
    ours,
    noDisk: storages.includes('memory') ? storingInMemory(ours) : null,
  };
  const costs = new Map<System, number[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const system of Object.values(systems)) {
      if (system === null) continue;
      const cost = await costOfFrame(system);
      console.error(`round ${round}, ${system.name}: ${cost.toFixed(1)} µs a frame`);
      costs.set(system, [...(costs.get(system) ?? []), cost]);
    }
  }
  const results: Partial<Record<keyof Systems, Result | null>> = {};
  for (const [name, system] of Object.entries(systems) as [keyof Systems, System | null][]) {
    if (system === null) results[name] = null;
    else
      results[name] = {
        system,
        usPerFrame: costs.get(system) ?? [],
        ...(await mostCalls(system, from, seconds)),
      };
  }
  print(Object.values(results).filter((result) => result !== null));
  return summary(results as Results);
}

/** CPU that a frame takes, in microseconds. */
async function costOfFrame(system: System): Promise<number> {
  const backEnds = await startBackEnds();
  const paced = await PacedCalls.start(system, 'talking', backEnds);
  try {
    await paced.callsAre(COMPARED_CALLS);
    const { lost, usPerFrame } = await paced.measure(COMPARED_SECONDS, WARM_UP_MS);
    if (lost > 0) throw new Error(`${system.name} lost ${lost} of ${COMPARED_CALLS} calls`);
    return usPerFrame;
  } finally {
    await paced.stop();
    backEnds.stop();
  }
}

async function mostCalls(
  system: System,
  from: number,
  seconds: number,
): Promise<Pick<Result, 'held' | 'limit'>> {
  const backEnds = await startBackEnds();
  const paced = await PacedCalls.start(system, 'talking', backEnds);
  try {
    await paced.callsAre(from);
    await paced.measure(seconds, WARM_UP_MS);
    const coarse = await climb(paced, system, { from, by: COARSE, seconds });
    if (coarse.held === null) throw new Error(`${system.name} does not hold ${from} calls: ${coarse.limit}`);
    await paced.hangUp();
    // Beyond what was too many before, if that was a disturbance.
    const fine = await climb(paced, system, { from: Math.ceil(coarse.held.calls * FINE), by: FINE, seconds });
    return { held: fine.held ?? coarse.held, limit: fine.limit };
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
}

/** Adds calls, each time by a share, until there are too many. */
async function climb(
  paced: PacedCalls,
  system: System,
  { from, by, seconds }: { from: number; by: number; seconds: number },
): Promise<Climb> {
  let held: Measured | null = null;
  for (let calls = from; calls <= MOST_CALLS; calls = Math.ceil(calls * by)) {
    const { step, limit } = await heldWith(paced, calls, seconds);
    const p95 = step === null ? '' : `, round trip p95 ${quantile(step.roundTrips, 0.95).toFixed(1)} ms`;
    console.error(`${system.name}: ${calls} calls${p95}: ${limit ?? 'held'}`);
    if (limit !== null) return { held, limit };
    held = step;
  }
  throw new Error(`${system.name} holds ${MOST_CALLS} calls: the client ends first`);
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
  for (const { system, usPerFrame, held, limit } of results) {
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
      `${costOf({ usPerFrame }).toFixed(1)} (${Math.min(...usPerFrame).toFixed(1)} to ${Math.max(...usPerFrame).toFixed(1)})`,
      (costOf({ usPerFrame }) / costOf(bare!)).toFixed(2),
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

/** The median of the rounds. */
function costOf({ usPerFrame }: Pick<Result, 'usPerFrame'>): number {
  return quantile(usPerFrame, 0.5);
}

function summary({ bare, echo, peer, ours, noDisk }: Results) {
  const ratio = (other: Result | null, digits = 2) =>
    other === null ? null : rounded(ours.held.calls / other.held.calls, digits);
  const cpuRatio = (other: Result | null) =>
    other === null ? null : rounded(costOf(ours) / costOf(other), 2);
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
    usPerFrame: rounded(costOf(ours), 1),
    usPerFrameWithoutDisk: noDisk === null ? null : rounded(costOf(noDisk), 1),
    bareUsPerFrame: rounded(costOf(bare), 1),
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
