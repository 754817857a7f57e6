import { printTable, quantile } from '../statistics.ts';
import { type DayOutcome, simulateDay } from './day.ts';
import { type DialOutcome, simulateDialling } from './dialling.ts';
import type { ObjectLoads } from './loads.ts';
import { CALLS, dayOf, diallingOf, fullOf, STEADY, TOO_MANY } from './scenes.ts';

/**
 * What one object is said to take in a second where it writes: 200 to 500, where it parses JSON 500 to 750, and never more than 1,000
 * (https://developers.cloudflare.com/durable-objects/platform/limits/ has the last as a soft limit). All of these write.
 */
const HOLDS = 500;

interface Row {
  object: string;
  objects: number;
  mean: number;
  p99: number;
  most: number;
  /** When that was. */
  when: string;
  /** Of what one object holds. */
  ratio: number;
  /** Objects with which the most would be within it; null: there is one for each user, however many calls he has. */
  needs: number | null;
  keeps: string;
}

/** Simulates a deployment of 200,000 calls, or a part of it, and prints what the objects that its calls share are asked. */
export async function measureSharedObjects(scale: number): Promise<object> {
  const day = await simulateDay(dayOf(scale));
  const { kept, firstShard } = day;
  // The rules of counting, run over a whole day: what was told is what is counted.
  if (firstShard.started !== firstShard.toldStarted) throw new Error('the shard has lost calls');
  if (firstShard.started - firstShard.ended !== firstShard.active) throw new Error('the shard has lost ends');
  const rows = [
    row('MetricsDO (METRICS_SHARDS)', day.metrics, `${kept.metricsLeases} calls`),
    row('PermitsDO (PERMIT_SHARDS)', day.permits, `${kept.permitGrants} isolates`),
    row('UserCallsDO, all users', day.userCalls, '', false),
    row('UserCallsDO, the largest', day.largestUser, `${kept.userLeases} calls`, false),
  ];
  console.log(
    `${format(scale * CALLS)} calls at once; ${format(day.calls)} in 22 minutes, ${format(day.mostLive)} at once at most`,
  );
  const dialled = [1, 4, 16].map((shards) => ({
    shards,
    outcome: simulateDialling(diallingOf(scale, shards)),
  }));
  for (const { shards, outcome } of dialled) {
    rows.push(row(`DialQueueDO, DIAL_SHARDS=${shards}`, outcome.loads, `${outcome.mostRows} calls`));
  }
  printRows(rows);
  console.log();
  const ceilings = [];
  for (const callsPerIsolate of [100, 20]) {
    ceilings.push({
      callsPerIsolate,
      ...ceilingOf(await simulateDay(fullOf(scale, callsPerIsolate)), scale),
    });
  }
  printTable([
    [
      'ceiling reached',
      'most',
      'mean when full',
      'first refused at',
      'refused when full',
      'PermitsDO most',
      'ratio',
    ],
    ...ceilings.map((full) => [
      `${full.callsPerIsolate} calls an isolate`,
      ...[percent(full.mostOfCeiling), percent(full.meanOfCeiling)],
      full.firstRefusedAt === null ? 'never' : percent(full.firstRefusedAt),
      `${percent(full.refusedWhenFull)} (by an exact count ${percent(1 - 1 / TOO_MANY)})`,
      ...[String(full.permitsMost), (full.permitsMost / HOLDS).toFixed(2)],
    ]),
  ]);
  return {
    calls: scale * CALLS,
    callsInAll: day.calls,
    mostLive: day.mostLive,
    holds: HOLDS,
    objects: rows,
    ceilings,
    dialling: dialled.map(({ shards, outcome }) => ({ shards, ...waitsOf(outcome) })),
  };
}

function row(object: string, loads: ObjectLoads, keeps: string, sharded = true): Row {
  const steady = loads.of(STEADY);
  const all = loads.of();
  // A queue has one phase.
  const { mean, p99 } = steady.max === 0 ? all : steady;
  return {
    ...{ object, objects: all.objects, mean: Math.round(100 * mean) / 100, p99, most: all.max },
    ...{ when: loads.busiest, ratio: Math.round((100 * all.max) / HOLDS) / 100 },
    ...{ needs: sharded ? Math.ceil((all.objects * all.max) / HOLDS) : null, keeps },
  };
}

/** Parts of the ceiling. */
function ceilingOf(outcome: DayOutcome, scale: number) {
  const ceiling = scale * CALLS;
  const { mostLive, last, refused, fewestAtRefusal } = outcome;
  return {
    ...{ mostOfCeiling: mostLive / ceiling, meanOfCeiling: last.meanLive / ceiling },
    firstRefusedAt: fewestAtRefusal === null ? null : fewestAtRefusal / ceiling,
    ...{ refused, refusedWhenFull: last.refused },
    ...{ permitsMost: outcome.permits.of().max, metricsMost: outcome.metrics.of().max },
  };
}

function waitsOf({ asked, begun, left, waitedMs }: DialOutcome) {
  return { asked, begun, left, waitP50Ms: quantile(waitedMs, 0.5), waitP99Ms: quantile(waitedMs, 0.99) };
}

function printRows(rows: readonly Row[]): void {
  printTable([
    ['requests a second', 'objects', 'mean', 'p99', 'most', 'when', 'holds', 'ratio', 'needs', 'keeps'],
    ...rows.map((of) => [
      ...[of.object, format(of.objects), of.mean.toFixed(1), String(of.p99), String(of.most), of.when],
      ...[String(HOLDS), of.ratio.toFixed(2), of.needs === null ? 'one a user' : String(of.needs), of.keeps],
    ]),
  ]);
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`;
}

function format(count: number): string {
  return count.toLocaleString('en-US');
}
