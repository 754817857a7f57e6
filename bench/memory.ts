import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type BackEnds, startBackEnds } from './back-ends.ts';
import { Inspector } from './inspector.ts';
import { whole } from './options.ts';
import { PacedCalls } from './paced-calls.ts';
import { printTable, rounded } from './statistics.ts';
import { countingObject, type System, service, storingObject } from './systems.ts';
import { buildWorker } from './workerd.ts';

export const help = `npm run bench -- memory [--calls N] [--minutes N] [--sequence N]

Memory of a call, callers talking half the time: once connected, after --minutes (5) of talk, and after its end; --calls (200) at once. Then
--sequence (10,000) calls one after the other, 50 at a time: what each leaves behind. Beside the service an object that counts the same
frames, and one that also writes as many bytes into its SQLite as the recording of one side has: what SQLite takes for that is in no
JavaScript's hands. "Resident" is the process' memory in RAM, which an allocator gives back late if at all; "heap" is what V8 has in use
after all garbage was collected, buffers of audio with it: what of a call counts against an isolate's 128 MB.`;

/** Compiled code and first tables belong to no call. */
const WARM_UP_CALLS = 20;
const WARM_UP_SECONDS = 15;
/** An object without sockets is evicted after ten seconds. */
const EVICTED_MS = 15_000;
const BATCH = 50;
/** Batches follow each other faster than objects are evicted: else what grows is the number of calls that are not over yet. */
const EVICTED_EVERY = 500;
/** A few frames of each call of the sequence. */
const BRIEF_SECONDS = 0.2;
/** Of the sequence, before its growth counts: caches fill up. */
const FILLED_SHARE = 0.2;

/** In bytes. */
interface Memory {
  resident: number;
  heap: number;
}

interface Result {
  system: System;
  /** For each call. */
  connected: Memory;
  talked: Memory;
  ended: Memory;
}

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: {
      calls: { type: 'string', default: '200' },
      minutes: { type: 'string', default: '5' },
      sequence: { type: 'string', default: '10000' },
    },
  });
  const calls = whole('--calls', values.calls, 1, 1_000);
  const minutes = whole('--minutes', values.minutes, 1, 120);
  // Whole batches.
  const sequence = BATCH * Math.ceil(whole('--sequence', values.sequence, 10 * BATCH, 1_000_000) / BATCH);
  const ours = buildWorker();
  console.error(`${calls} calls for ${minutes} min on each of three systems at once`);
  const systems = [countingObject(), storingObject(), service(ours)];
  // All at once: memory does not depend on who has the processor.
  const results = await Promise.all(systems.map((system) => memoryOf(system, calls, minutes)));
  console.error(`${sequence} calls one after the other`);
  const left = await leftBy(service(ours), sequence);
  return report(results, left, { calls, minutes, sequence });
}

async function memoryOf(system: System, calls: number, minutes: number): Promise<Result> {
  return await observed(system, async (paced, memory) => {
    const before = await memory();
    const each = async (): Promise<Memory> => {
      const { resident, heap } = await memory();
      return { resident: (resident - before.resident) / calls, heap: (heap - before.heap) / calls };
    };
    await paced.callsAre(calls);
    const connected = await each();
    const { lost, reasons } = await paced.measure(minutes * 60, 0);
    if (lost > 0) throw new Error(`${system.name} lost ${lost} calls: ${reasons.join('; ')}`);
    const talked = await each();
    await paced.hangUp();
    await pause(EVICTED_MS);
    const result = { system, connected, talked, ended: await each() };
    console.error(`${system.name}: ${JSON.stringify({ connected, talked, ended: result.ended })}`);
    return result;
  });
}

/** What a call of the sequence leaves behind, once caches are full. */
async function leftBy(system: System, sequence: number): Promise<Memory> {
  return await observed(system, async (paced, memory) => {
    const filled = Math.ceil((sequence * FILLED_SHARE) / BATCH) * BATCH;
    let before: Memory | null = null;
    for (let done = 0; done < sequence; done += BATCH) {
      if (done > 0 && done % EVICTED_EVERY === 0) await pause(EVICTED_MS);
      if (done === filled) before = await settled(memory);
      await paced.callsAre(BATCH);
      const { lost, reasons } = await paced.measure(BRIEF_SECONDS, 0);
      if (lost > 0) throw new Error(`${lost} calls lost after ${done}: ${reasons.join('; ')}`);
      await paced.hangUp();
      if (done % 1_000 === 0) console.error(`${done} of ${sequence}`);
    }
    const after = await settled(memory);
    const counted = sequence - filled;
    return {
      resident: (after.resident - before!.resident) / counted,
      heap: (after.heap - before!.heap) / counted,
    };
  });
}

async function settled(memory: () => Promise<Memory>): Promise<Memory> {
  await pause(EVICTED_MS);
  return await memory();
}

/** A system that has compiled what there is to compile. */
async function observed<T>(
  system: System,
  watch: (paced: PacedCalls, memory: () => Promise<Memory>) => Promise<T>,
): Promise<T> {
  const backEnds: BackEnds = await startBackEnds();
  const options = { v8Flags: ['--expose-gc'], inspector: true };
  const paced = await PacedCalls.start(system, 'talking', backEnds, options);
  let inspector: Inspector | null = null;
  try {
    const looking = await Inspector.connect(paced.workerd.inspectorPort!);
    inspector = looking;
    const memory = async (): Promise<Memory> => {
      const { usedSize, backingStorageSize = 0 } = await looking.heapAfterCollection();
      return { resident: paced.workerd.residentBytes(), heap: usedSize + backingStorageSize };
    };
    await paced.callsAre(WARM_UP_CALLS);
    await paced.measure(WARM_UP_SECONDS, 0);
    await paced.hangUp();
    await pause(EVICTED_MS);
    return await watch(paced, memory);
  } finally {
    inspector?.close();
    await paced.stop();
    backEnds.stop();
  }
}

function report(
  results: readonly Result[],
  left: Memory,
  { calls, minutes, sequence }: { calls: number; minutes: number; sequence: number },
): object {
  const kb = (bytes: number) => (bytes / 1_000).toFixed(0);
  const columns = (memory: Memory) => [kb(memory.resident), kb(memory.heap)];
  printTable([
    [
      'kB a call',
      'connected: resident',
      'heap',
      `after ${minutes} min: resident`,
      'heap',
      'ended: resident',
      'heap',
    ],
    ...results.map(({ system, connected, talked, ended }) => [
      system.name,
      ...[connected, talked, ended].flatMap(columns),
    ]),
  ]);
  console.log(
    `\nEach of ${sequence} calls in sequence has left ${(left.resident / 1_000).toFixed(2)} kB resident and ${(left.heap / 1_000).toFixed(2)} kB of heap.`,
  );
  const [bare, storing, ours] = results as [Result, Result, Result];
  const inKb = (bytes: number) => rounded(bytes / 1_000, 1);
  return {
    bench: 'memory',
    calls,
    minutes,
    sequence,
    kbPerCall: inKb(ours.talked.resident),
    kbPerCallAboveBare: inKb(ours.talked.resident - bare.talked.resident),
    kbPerCallAboveStoring: inKb(ours.talked.resident - storing.talked.resident),
    heapKbPerCall: inKb(ours.talked.heap),
    heapKbPerCallAboveBare: inKb(ours.talked.heap - bare.talked.heap),
    connectedKbPerCall: inKb(ours.connected.resident),
    kbPerEndedCall: rounded(left.resident / 1_000, 2),
    heapKbPerEndedCall: rounded(left.heap / 1_000, 2),
  };
}
