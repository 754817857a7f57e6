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
  /** What V8 has more for each call, after a collection, than without any; in bytes. */
  heap: number;
  /** What of the process lies in RAM more for each call that has come since the row before; in bytes. */
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
    const without = await memoryOf(paced.workerd);
    let before = { calls: 0, resident: without.resident };
    const rows: Row[] = [];
    for (const times of TIMES) {
      await paced.callsAre(times * FIRST);
      const { cpuUs, calls, seconds: took, lost } = await paced.measure(seconds);
      const { heap, resident } = await memoryOf(paced.workerd);
      rows.push({
        ...{ calls, lost, cpuUs: cpuUs / (calls * took), heap: (heap - without.heap) / calls },
        resident: (resident - before.resident) / (calls - before.calls),
      });
      before = { calls, resident };
    }
    printTable([
      [
        'calls in workerd',
        'CPU of a second of a call',
        'ratio',
        'heap of a call',
        'ratio',
        'RAM of one more',
        'lost',
      ],
      ...rows.map((row) => [
        String(row.calls),
        `${(row.cpuUs / 1_000).toFixed(2)} ms`,
        (row.cpuUs / rows[0]!.cpuUs).toFixed(2),
        `${Math.round(row.heap / 1024)} KB`,
        (row.heap / rows[0]!.heap).toFixed(2),
        `${Math.round(row.resident / 1024)} KB`,
        String(row.lost),
      ]),
    ]);
    return {
      seconds,
      rows: rows.map((row) => ({
        ...{ calls: row.calls, lost: row.lost },
        cpuUsPerCallSecond: Math.round(row.cpuUs),
        cpuRatio: Math.round((100 * row.cpuUs) / rows[0]!.cpuUs) / 100,
        heapKbPerCall: Math.round(row.heap / 1024),
        heapRatio: Math.round((100 * row.heap) / rows[0]!.heap) / 100,
        residentKbPerCallMore: Math.round(row.resident / 1024),
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
