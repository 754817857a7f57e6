import { startBackEnds } from '../back-ends.ts';
import { Inspector } from '../inspector.ts';
import { PacedCalls } from '../paced-calls.ts';
import { printTable } from '../statistics.ts';
import { service } from '../systems.ts';
import { buildWorker, type Workerd } from '../workerd.ts';

const FIRST = 10;
const TIMES = [1, 2, 4, 8];
/** Until what is left of ended calls has been delivered, and their objects are gone. */
const DELIVERED_MS = 15_000;

interface Row {
  calls: number;
  /** CPU of a second of a call, in microseconds. */
  cpuUs: number;
  /** What V8 has after a collection, and what of the process lies in RAM; in bytes. */
  heap: number;
  resident: number;
  lost: number;
}

/**
 * The service in workerd with more and more calls, whose callers talk half of the time, recording on: what a second of a call costs, and what
 * memory a call has.
 */
export async function measureServiceCalls(seconds: number): Promise<object> {
  const backEnds = await startBackEnds();
  const paced = await PacedCalls.start(service(buildWorker()), 'talking', backEnds, {
    v8Flags: ['--expose-gc'],
    inspector: true,
  });
  try {
    // Compiling, first tables, first rows.
    await paced.callsAre(FIRST);
    await paced.measure(seconds);
    await paced.hangUp();
    await new Promise((resolve) => setTimeout(resolve, DELIVERED_MS));
    const rows: Row[] = [];
    for (const times of TIMES) {
      await paced.callsAre(times * FIRST);
      const { cpuUs, calls, seconds: took, lost } = await paced.measure(seconds);
      rows.push({ calls, lost, cpuUs: cpuUs / (calls * took), ...(await memoryOf(paced.workerd)) });
    }
    // Of the first calls it is not known what the process would have without any: it has had some already.
    const heapKb = rows.map((row, i) => {
      const before = rows[i - 1];
      return before && Math.round((row.heap - before.heap) / (row.calls - before.calls) / 1024);
    });
    printTable([
      ['calls in workerd', 'CPU of a second of a call', 'ratio', 'heap of one more', 'RAM, in all', 'lost'],
      ...rows.map((row, i) => [
        String(row.calls),
        `${(row.cpuUs / 1_000).toFixed(2)} ms`,
        (row.cpuUs / rows[0]!.cpuUs).toFixed(2),
        heapKb[i] === undefined ? '' : `${heapKb[i]} KB`,
        `${Math.round(row.resident / 1024 ** 2)} MB`,
        String(row.lost),
      ]),
    ]);
    return {
      seconds,
      rows: rows.map((row, i) => ({
        ...{ calls: row.calls, lost: row.lost },
        cpuUsPerCallSecond: Math.round(row.cpuUs),
        cpuRatio: Math.round((100 * row.cpuUs) / rows[0]!.cpuUs) / 100,
        heapKbOfOneMore: heapKb[i] ?? null,
        residentMb: Math.round(row.resident / 1024 ** 2),
      })),
    };
  } finally {
    await paced.stop();
    backEnds.stop();
  }
}

async function memoryOf(workerd: Workerd): Promise<{ heap: number; resident: number }> {
  const inspector = await Inspector.connect(workerd.inspectorPort!);
  try {
    const { usedSize, backingStorageSize = 0 } = await inspector.heapAfterCollection();
    return { heap: usedSize + backingStorageSize, resident: workerd.residentBytes() };
  } finally {
    inspector.close();
  }
}
