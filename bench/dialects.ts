import { parseArgs } from 'node:util';
import { type InProcess, measureInProcess } from './dialects/in-process.ts';
import { measureOnSockets, type OnSockets } from './dialects/on-sockets.ts';
import { BASELINE, onSockets, wires } from './dialects/wires.ts';
import { printTable } from './statistics.ts';

const CALLS = 20;

export const help = `npm run bench -- dialects [--dialect NAME] [--quick]

What a frame (20 ms of audio) costs in each dialect. First incoming and outgoing apart, CPU in the Worker's own engine (workerd), without a socket
and without a call; bytes and messages on the wire. Then CPU of the whole service for a frame that comes, ${CALLS} calls on quiet lines, recording on.
Ratios are to the native dialect's binary μ-law in the same run. Takes four minutes.

--dialect NAME  those whose name begins so (and the baseline): ${[...new Set(wires.map(({ name }) => name.split(/[ ,]/)[0]))].join(', ')}
--quick         one round in place of three, and shorter calls`;

export async function run(args: string[]): Promise<object> {
  const { values } = parseArgs({
    args,
    options: { dialect: { type: 'string', default: '' }, quick: { type: 'boolean', default: false } },
  });
  const chosen = wires.filter(({ name }) => name === BASELINE || name.startsWith(values.dialect));
  if (values.dialect !== '' && !wires.some(({ name }) => name.startsWith(values.dialect))) {
    throw new RangeError(`--dialect: there is no dialect ${values.dialect}`);
  }
  const seen = await measureInProcess(chosen, values.quick ? 1 : 3);
  const baseline = seen.find(({ name }) => name === BASELINE)!;
  printInProcess(seen, baseline);
  console.log();
  const load = { calls: CALLS, warmUpSeconds: values.quick ? 2 : 3, seconds: values.quick ? 3 : 5 };
  const served = await measureOnSockets(
    chosen.filter(({ name }) => onSockets.includes(name)),
    load,
  );
  const ratioOf = ({ usPerFrame }: OnSockets) => usPerFrame / served[0]!.usPerFrame;
  printTable([
    ['of 20 ms that come, the whole service', 'CPU µs', 'ratio'],
    ...served.map((row) => [row.name, row.usPerFrame.toFixed(1), ratioOf(row).toFixed(2)]),
  ]);
  return {
    bench: 'dialects',
    inProcess: seen.map((row) => summary(row, baseline)),
    ...{ calls: CALLS, seconds: load.seconds },
    onSockets: served.map((row) => ({
      name: row.name,
      usPerFrame: Math.round(10 * row.usPerFrame) / 10,
      ratio: Math.round(100 * ratioOf(row)) / 100,
    })),
  };
}

function printInProcess(rows: readonly InProcess[], baseline: InProcess): void {
  printTable([
    [
      'of 20 ms, without a socket',
      ...['in: ns', 'ratio', 'bytes', 'messages/s'],
      ...['out: ns', 'ratio', 'bytes', 'messages/s'],
    ],
    ...rows.map((row) => [
      row.name,
      ...(['in', 'out'] as const).flatMap((way) => [
        row[way].nsPerFrame.toFixed(0),
        (row[way].nsPerFrame / baseline[way].nsPerFrame).toFixed(1),
        row[way].bytesPerFrame.toFixed(0),
        row[way].messagesPerSecond.toFixed(row[way].messagesPerSecond < 10 ? 1 : 0),
      ]),
    ]),
  ]);
}

function summary(row: InProcess, baseline: InProcess) {
  const of = (way: 'in' | 'out') => ({
    nsPerFrame: Math.round(row[way].nsPerFrame),
    ratio: Math.round((10 * row[way].nsPerFrame) / baseline[way].nsPerFrame) / 10,
    bytesPerFrame: Math.round(row[way].bytesPerFrame),
    messagesPerSecond: Math.round(10 * row[way].messagesPerSecond) / 10,
  });
  return { name: row.name, in: of('in'), out: of('out') };
}
