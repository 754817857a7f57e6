import { printTable, quantile, rounded } from '../../bench/statistics.ts';
import { bounds, conversationsOf, coresOf, heapOf, megabytes, memoryOf } from './judge-run.ts';
import { callerKinds } from './plan.ts';
import type { SoakResult } from './soak.ts';

/** The figures of a run: the last line. */
export function resultOf(
  { facts, violations, kinds, loads, callersLate, calmAfterMs }: SoakResult,
  options: { minutes: number; callers: number; seed: number; cores: number },
) {
  const talk = conversationsOf(facts.calls);
  const memory = memoryOf(facts);
  const latency = ({ answers, p50, p95 }: typeof talk.latency) => ({
    answers,
    p50Ms: rounded(p50, 0),
    p95Ms: rounded(p95, 0),
  });
  return {
    soak: options,
    calls: Object.values(kinds).reduce((sum, { ended }) => sum + ended, 0),
    begun: facts.begun.length,
    violations: violations.length,
    wordErrorRate: rounded(talk.wordErrorRate, 4),
    rightAnswers: rounded(talk.rightShare, 4),
    interrupted: rounded(talk.interruptedShare, 4),
    latency: latency(talk.latency),
    besideAbusers: latency(talk.besideAbusers),
    withoutAbusers: latency(talk.withoutAbusers),
    memory: {
      ...memory,
      growthBytes: Math.round(memory.growthBytes),
      levelBytes: Math.round(memory.levelBytes),
      findsPerCall: Math.round(memory.findsPerCall),
      boundBytes: bounds.growthBytes,
    },
    heap: { ...facts.heap, ...heapOf(facts) },
    sockets: [facts.before.sockets, facts.after.sockets],
    files: [facts.before.otherFiles, facts.after.otherFiles],
    objects: facts.objects,
    leftovers: facts.leftovers.length,
    cores: rounded(coresOf(facts.samples), 2),
    load: { median: rounded(quantile(loads, 0.5), 2), most: rounded(Math.max(...loads), 2) },
    callersLate: { mostMs: Math.round(callersLate.mostMs), skipped: callersLate.skipped },
    calmAfterSeconds: rounded(calmAfterMs / 1000, 0),
  };
}

export function printResult(
  { kinds, violations, facts, memoryByPart }: SoakResult,
  figures: ReturnType<typeof resultOf>,
  log: (line: string) => void,
): void {
  const { latency, besideAbusers, withoutAbusers, memory, load } = figures;
  log('');
  printTable([
    ['callers', 'calls', 'begun', 'ended', 'judged', 'violations'],
    ...callerKinds.map((kind) => {
      const { planned, begun, ended, judged, violations: wrong } = kinds[kind];
      return [kind, ...[planned, begun, ended, judged, wrong].map(String)];
    }),
  ]);
  const ms = ({ answers, p50Ms, p95Ms }: typeof latency) => `${p50Ms} and ${p95Ms} ms of ${answers}`;
  const percent = (share: number | null) => `${((share ?? 0) * 100).toFixed(1)} %`;
  const { before, after } = facts;
  log('');
  log(
    `Answers, p50 and p95: ${ms(latency)}; beside abusers ${ms(besideAbusers)}; without ${ms(withoutAbusers)}`,
  );
  log(
    `Words wrong ${percent(figures.wordErrorRate)}; right answers ${percent(figures.rightAnswers)}; ` +
      `interrupters let speak ${percent(figures.interrupted)}`,
  );
  log(
    `workerd: ${megabytes(before.residentBytes)} before, ${megabytes(after.residentBytes)} after; by the slope of the second half ` +
      `${megabytes(memory.growthBytes)} in ${memory.calls.secondHalf} calls; against the end of the warm-up ` +
      `${megabytes(memory.levelBytes)} after ${memory.calls.afterWarmUp} calls; bound ${megabytes(memory.boundBytes)}` +
      `${memory.judged ? '' : ', not judged: too few calls'}; a leak of ${(memory.findsPerCall / 1e3).toFixed(0)} KB a call would be over it`,
  );
  const { heap } = figures;
  log(
    `Heap, all garbage collected: ${megabytes(heap.before ?? 0)} before, ${megabytes(heap.after ?? 0)} after, at most ` +
      `${megabytes(Math.max(0, ...heap.during))} between; may be ${megabytes(heap.mostBytes)} more: a leak of ` +
      `${(heap.findsPerCall / 1e3).toFixed(0)} KB a call would be`,
  );
  const [first, last] = [memoryByPart.at(0), memoryByPart.at(-1)];
  log(
    `Memory of all parts, first and last look: ${Object.keys(last ?? {})
      .map((part) => `${part} ${megabytes(first?.[part] ?? 0)}, ${megabytes(last?.[part] ?? 0)}`)
      .join('; ')}`,
  );
  log(
    `Open before and after: ${before.sockets} and ${after.sockets} sockets, ${before.otherFiles} and ${after.otherFiles} files, ` +
      `${after.objects} files of objects; of ${figures.objects} objects ${figures.leftovers} hold something; at rest ` +
      `${figures.calmAfterSeconds} s after the last call`,
  );
  log(
    `CPU of the service and its callers ${figures.cores} cores; load average ${load.median}, at most ${load.most}; the callers' own frames late by ${figures.callersLate.mostMs} ms at most, ` +
      `skipped in ${figures.callersLate.skipped} calls`,
  );
  for (const { callId, kind, what } of violations) log(`! ${callId ?? 'the run'} (${kind}): ${what}`);
  log(violations.length === 0 ? 'No violations.' : `${violations.length} violations.`);
}
