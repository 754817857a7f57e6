import type { CallReport } from '../../tools/caller/types.ts';
import { type CheckedCall, checkCall } from './call-check.ts';
import { placeCountingCall } from './counting-call.ts';
import type { MortalService } from './mortal-service.ts';
import { mostNumber } from './voice.ts';

export interface RoundOptions {
  calls: number;
  /** Sentences of each caller. */
  sentences: number;
  seed: number;
  /** After the last call has begun, the kill comes within so many milliseconds. */
  killWithinMs: number;
  log: (line: string) => void;
}

export interface RoundResult {
  /** By call. */
  checks: (CheckedCall & { callId: string })[];
  killedAfterMs: number;
  workerds: number;
  /** Longest time without a line, in milliseconds. */
  longestDropMs: number;
}

/** Between the beginnings of two calls. */
const APART_MS = 60;
const BEGIN_MS = 60_000;
/** For the records of all calls to reach the database and the bucket. */
const DELIVERED_MS = 30_000;

/** Calls in progress, the Worker killed at a random moment and started again: what became of each call. */
export async function killRound(service: MortalService, options: RoundOptions): Promise<RoundResult> {
  const { calls, sentences, seed, killWithinMs, log } = options;
  const random = seeded(seed);
  const abort = new AbortController();
  let begun = 0;
  let allBegun: () => void = () => {};
  const begin = new Promise<void>((resolve) => {
    allBegun = resolve;
  });
  const placed = Array.from({ length: calls }, async (_, i) => {
    await pause(i * APART_MS);
    const callId = `kill-${seed}-${i}-end`;
    const first = (i * sentences) % (mostNumber - sentences);
    const numbers = Array.from({ length: sentences }, (__, n) => first + n);
    const report = await placeCountingCall({
      url: service.url,
      callId,
      numbers,
      signal: abort.signal,
      onBegun: () => ++begun === calls && allBegun(),
    }).then(
      (value) => value,
      (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
    );
    return { callId, numbers, report };
  });
  await Promise.race([begin, pause(BEGIN_MS), Promise.all(placed)]);
  const killedAfterMs = Math.round(random() * killWithinMs);
  await pause(killedAfterMs);
  const workerds = await service.kill();
  log(`${begun} calls in progress; ${workerds} workerd processes killed ${killedAfterMs} ms later`);
  await service.restart();
  const results = await Promise.all(placed);
  const checks: RoundResult['checks'] = [];
  let longestDropMs = 0;
  const until = performance.now() + DELIVERED_MS;
  for (const { callId, numbers, report } of results) {
    if (report instanceof Error) {
      const problems = [report.message];
      checks.push({ callId, problems, lostMs: { caller: 0, agent: 0 }, shiftMs: 0 });
      continue;
    }
    longestDropMs = Math.max(longestDropMs, ...report.drops.map(({ lastedMs }) => lastedMs ?? 0));
    checks.push({ callId, ...(await checkOne(service, callId, numbers, report, until)) });
  }
  return { checks, killedAfterMs, workerds, longestDropMs };
}

async function checkOne(
  service: MortalService,
  callId: string,
  numbers: readonly number[],
  report: CallReport,
  until: number,
): Promise<CheckedCall> {
  const left = () => Math.max(1_000, until - performance.now());
  const rows = await service.rowsOf(callId, left());
  const key = rows[0]?.recording ?? null;
  const recording = key === null ? null : await service.recordingOf(key, left());
  const checked = checkCall(numbers, report, rows, recording);
  if (checked.problems.length > 0) {
    const drops = report.drops.map(
      ({ atMs, lastedMs }) => `${Math.round(atMs)}+${Math.round(lastedMs ?? 0)}`,
    );
    const turns = rows[0]?.transcript.map(({ role, text }) => `${role}: ${text}`).join(' / ');
    const said = report.utterances.map((u) => `${u.label}@${Math.round(u.startMs)}`).join(' ');
    checked.problems.push(`(line down at ${drops.join(', ')} ms; said ${said}; transcript: ${turns})`);
  }
  return checked;
}

/** Mulberry32: the same numbers, 0 to 1, for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
