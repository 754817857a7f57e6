import { quantile } from '../../bench/statistics.ts';
import { pooledWordErrors, wordErrors } from '../support/word-errors.ts';
import type { EndedCall, Said, Violation } from './facts.ts';
import { turnOf } from './judge-call.ts';

/** What is kept of each call for the judgement of the whole run. */
export interface CallFigures {
  beganAt: number;
  endedAt: number;
  kind: string;
  words: { errors: number; words: number };
  /** Answers that were waited for, and those that were right. */
  answers: { latencyMs: number; at: number }[];
  asked: number;
  right: number;
  /** Questions that were not answered rightly, and what was understood. */
  wrong: string[];
  /** Null: nobody wanted to interrupt. */
  interrupted: boolean | null;
}

/** What the machine says, every ten seconds. */
export interface Sample {
  atMs: number;
  residentBytes: number;
  sockets: number;
  /** Files of calls' objects that are open. */
  objects: number;
  otherFiles: number;
  /** CPU of the whole deployment and its callers, since they began. */
  cpuMs: number;
  openCalls: number;
  endedCalls: number;
}

/** The service's own counts, from `/metrics`. */
export interface Counters {
  started: number;
  ended: number;
  active: number;
  unaccounted: number;
  outboxWaiting: number;
}

export interface RunFacts {
  calls: readonly CallFigures[];
  /** Ids of the calls that have begun. */
  begun: readonly string[];
  /** `call_logs` as a whole, after the wait. */
  rows: readonly { callId: string; status: string }[];
  counters: Counters;
  samples: readonly Sample[];
  /** Before the first call, after one; and after the last. */
  before: Sample;
  after: Sample;
  /** The Worker's heap with all garbage collected: before the first call, from time to time, after the last. */
  heap: { before: number | null; during: number[]; after: number | null };
  /** Files of calls' objects that were looked into, and what is in them of a call after it was delivered and its id is free again. */
  objects: number;
  leftovers: readonly string[];
}

/** Bounds of a run. */
export const bounds = {
  /** Of the words that were said. The bench of the recogniser has less than half of it on such speech. */
  wordErrors: 0.25,
  rightAnswers: 0.85,
  /** Callers who spoke over a long answer, and whom the agent let speak. */
  interrupted: 0.85,
  /** From a caller's last voiced sample to the answer, 95 of 100, with the abusers about. */
  answerP95Ms: 3_000,
  /** Kept open between requests, as this run's own to `/metrics` are. */
  sockets: 10,
  otherFiles: 10,
  /** By how much memory may be more at the end of the second half than at its beginning, by its slope; and after the run than after warming up. */
  growthBytes: 60e6,
  /** What the heap may hold more after the run: caches that fill, and a little for each call. */
  heapBytes: 8e6,
  heapPerCallBytes: 20e3,
  /** Fewer calls than these in the second half, and the memory is told, and not judged: V8's own growing is more than theirs. */
  memoryCalls: 200,
  /** Part of the run in which caches fill and code is compiled. */
  warmUp: 0.25,
};

export function figuresOf({ plan, told, records }: EndedCall, kind: string): CallFigures {
  const transcript = records.rows[0]?.transcript ?? [];
  const waited = told.said.filter((said) => said.waited);
  const words = pooledWordErrors(
    waited.map((said) => wordErrors(said.text, turnOf(said, transcript)?.text ?? '')),
  );
  const agent = transcript.filter(({ role }) => role === 'agent');
  const isRight = ({ answer }: Said) => agent.some(({ text }) => answer.test(text));
  return {
    beganAt: told.beganAt,
    endedAt: told.endedAt,
    kind,
    words: { errors: words.errors, words: words.words },
    answers: told.said.flatMap(({ reply, endMs }) =>
      reply === null || reply.latencyMs === null
        ? []
        : [{ latencyMs: reply.latencyMs, at: told.beganAt + endMs }],
    ),
    asked: waited.length,
    right: waited.filter(isRight).length,
    wrong: waited
      .filter((said) => !isRight(said))
      .map((said) => `${said.text} – ${turnOf(said, transcript)?.text ?? ''}`),
    interrupted: plan.kind === 'interrupter' ? agent.some(({ interrupted }) => interrupted) : null,
  };
}

/** All that is wrong with a run as a whole. */
export function judgeRun(facts: RunFacts): Violation[] {
  const problems = [
    ...blindProblems(facts),
    ...rowProblems(facts),
    ...counterProblems(facts),
    ...conversationProblems(facts.calls),
    ...handleProblems(facts),
    ...memoryProblems(memoryOf(facts)),
    ...heapProblems(facts),
    ...facts.leftovers.map((what) => ['storage', `left in an object: ${what}`] as const),
  ];
  return problems.map(([kind, what]) => ({ callId: null, kind, what }));
}

type Problem = readonly [kind: string, what: string];

/** Where nothing was seen, nothing can be found wrong: a process, a file or a folder has another name than is looked for. */
function blindProblems({ before, samples, begun, objects }: RunFacts): Problem[] {
  if (begun.length === 0) return [['judgement', 'no call has begun']];
  const problems: Problem[] = [];
  if (before.residentBytes === 0) problems.push(['judgement', 'no process of the service was seen']);
  if (samples.length > 0 && samples.every((sample) => sample.objects === 0))
    problems.push(['judgement', "no call's object was ever seen open"]);
  if (objects === 0) problems.push(['judgement', "no call's object has a file"]);
  return problems;
}

function rowProblems({ rows, begun }: RunFacts): Problem[] {
  const known = new Set(begun);
  return rows.flatMap(({ callId, status }) => [
    ...(status === 'active' ? [['stuck', `${callId} is active`] as const] : []),
    ...(known.has(callId) ? [] : [['rows', `${callId} is nobody's call`] as const]),
  ]);
}

function counterProblems({ counters, begun }: RunFacts): Problem[] {
  const { started, ended, active, unaccounted, outboxWaiting } = counters;
  const problems: Problem[] = [];
  if (active !== 0) problems.push(['counters', `${active} calls are active`]);
  if (unaccounted !== 0) problems.push(['counters', `${unaccounted} calls are unaccounted for`]);
  if (outboxWaiting !== 0) problems.push(['counters', `${outboxWaiting} deliveries wait`]);
  if (started !== begun.length)
    problems.push(['counters', `${started} calls were counted as started, ${begun.length} began`]);
  if (ended !== started) problems.push(['counters', `${ended} of ${started} calls were counted as ended`]);
  return problems;
}

/** CPU of the deployment and the callers together, in cores. */
export function coresOf(samples: readonly Sample[]): number {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || first === last) return 0;
  return (last.cpuMs - first.cpuMs) / (last.atMs - first.atMs);
}

/** Figures of conversations, and whether abusers were about. */
export function conversationsOf(calls: readonly CallFigures[]) {
  const abuses = calls.filter(({ kind }) => kind.startsWith('abuser'));
  const answers = calls.flatMap((call) => call.answers);
  const beside = answers.filter(({ at }) =>
    abuses.some(({ beganAt, endedAt }) => beganAt <= at && at <= endedAt),
  );
  const latency = (of: readonly { latencyMs: number }[]) => ({
    answers: of.length,
    p50: quantile(
      of.map(({ latencyMs }) => latencyMs),
      0.5,
    ),
    p95: quantile(
      of.map(({ latencyMs }) => latencyMs),
      0.95,
    ),
  });
  const sum = (of: (call: CallFigures) => number) => calls.reduce((total, call) => total + of(call), 0);
  const interrupters = calls.filter(({ interrupted }) => interrupted !== null);
  return {
    wordErrorRate:
      sum(({ words }) => words.errors) /
      Math.max(
        1,
        sum(({ words }) => words.words),
      ),
    asked: sum(({ asked }) => asked),
    rightShare:
      sum(({ right }) => right) /
      Math.max(
        1,
        sum(({ asked }) => asked),
      ),
    interrupters: interrupters.length,
    interruptedShare:
      interrupters.filter(({ interrupted }) => interrupted).length / Math.max(1, interrupters.length),
    latency: latency(answers),
    besideAbusers: latency(beside),
    withoutAbusers: latency(answers.filter((answer) => !beside.includes(answer))),
  };
}

function conversationProblems(calls: readonly CallFigures[]): Problem[] {
  const found = conversationsOf(calls);
  const problems: Problem[] = [];
  if (found.wordErrorRate > bounds.wordErrors)
    problems.push(['transcripts', `${percent(found.wordErrorRate)} of the words are wrong`]);
  if (found.asked > 0 && found.rightShare < bounds.rightAnswers)
    problems.push(['answers', `${percent(found.rightShare)} of the answers are right`]);
  if (found.interrupters > 0 && found.interruptedShare < bounds.interrupted)
    problems.push(['interruptions', `${percent(found.interruptedShare)} of the interrupters were let speak`]);
  for (const [name, { p95 }] of [
    ['all', found.latency],
    ['those beside abusers', found.besideAbusers],
  ] as const) {
    if (p95 > bounds.answerP95Ms)
      problems.push(['answers', `of ${name} 95 of 100 came within ${Math.round(p95)} ms`]);
  }
  return problems;
}

function handleProblems({ before, after }: RunFacts): Problem[] {
  const problems: Problem[] = [];
  if (after.sockets > before.sockets + bounds.sockets)
    problems.push(['leak', `${after.sockets} sockets are open, ${before.sockets} before`]);
  if (after.otherFiles > before.otherFiles + bounds.otherFiles)
    problems.push(['leak', `${after.otherFiles} files are open, ${before.otherFiles} before`]);
  if (after.objects > 0) problems.push(['leak', `${after.objects} files of calls' objects are open`]);
  return problems;
}

export interface MemoryFigures {
  /** Calls that ended in the second half; after the warm-up. */
  calls: { secondHalf: number; afterWarmUp: number };
  /** By the slope of the second half, over its length. */
  growthBytes: number;
  /** After the end against the warm-up's end. */
  levelBytes: number;
  judged: boolean;
  /** The smallest leak that these bounds find in this run, bytes a call. */
  findsPerCall: number;
}

export function memoryOf({ samples, after }: Pick<RunFacts, 'samples' | 'after'>): MemoryFigures {
  const lastMs = samples.at(-1)?.atMs ?? 0;
  const secondHalf = samples.filter(({ atMs }) => atMs >= lastMs / 2);
  const warm = samples.filter(({ atMs }) => atMs >= lastMs * bounds.warmUp);
  const callsOf = (some: readonly Sample[]) => (some.at(-1)?.endedCalls ?? 0) - (some[0]?.endedCalls ?? 0);
  const calls = { secondHalf: callsOf(secondHalf), afterWarmUp: callsOf(warm) };
  const length = (secondHalf.at(-1)?.atMs ?? 0) - (secondHalf[0]?.atMs ?? 0);
  // Of ten samples, so that none decides alone.
  const level = quantile(
    warm.slice(0, 10).map(({ residentBytes }) => residentBytes),
    0.5,
  );
  return {
    calls,
    growthBytes: slopeOf(secondHalf) * length || 0,
    levelBytes: after.residentBytes - level || 0,
    judged: calls.secondHalf >= bounds.memoryCalls,
    findsPerCall: bounds.growthBytes / Math.max(1, calls.secondHalf, calls.afterWarmUp),
  };
}

function memoryProblems({ judged, growthBytes, levelBytes, calls }: MemoryFigures): Problem[] {
  if (!judged) return [];
  const problems: Problem[] = [];
  if (growthBytes > bounds.growthBytes)
    problems.push(['leak', `memory grew by ${megabytes(growthBytes)} in ${calls.secondHalf} calls`]);
  if (levelBytes > bounds.growthBytes)
    problems.push([
      'leak',
      `memory is ${megabytes(levelBytes)} above what it was ${calls.afterWarmUp} calls ago`,
    ]);
  return problems;
}

/** By how much the heap has grown, and by how much it may have. */
export function heapOf({ heap, begun }: Pick<RunFacts, 'heap' | 'begun'>) {
  const mostBytes = bounds.heapBytes + bounds.heapPerCallBytes * begun.length;
  return {
    grownBytes: heap.after === null || heap.before === null ? null : heap.after - heap.before,
    mostBytes,
    /** The smallest leak that is found in this run, bytes a call. */
    findsPerCall: mostBytes / Math.max(1, begun.length),
  };
}

function heapProblems(facts: RunFacts): Problem[] {
  const { grownBytes, mostBytes } = heapOf(facts);
  if (grownBytes === null) return [['leak', 'the heap could not be looked at']];
  if (grownBytes <= mostBytes) return [];
  return [['leak', `the heap holds ${megabytes(grownBytes)} more than before ${facts.begun.length} calls`]];
}

/** Bytes a millisecond: the median of the slopes between any two samples (Theil–Sen), which a few outliers do not move. */
function slopeOf(samples: readonly Sample[]): number {
  const slopes = samples.flatMap((a, i) =>
    samples.slice(i + 1).map((b) => (b.residentBytes - a.residentBytes) / (b.atMs - a.atMs)),
  );
  return slopes.length === 0 ? 0 : quantile(slopes, 0.5);
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
