import type { CallReport } from '../../tools/caller/types.ts';
import { type CallRow, GREETING } from './mortal-service.ts';
import { checkSide } from './recording-check.ts';
import { answersIn, answersTo, cutsIn, numbersIn } from './vendor.ts';

/** What a kill may cost of the recording: the spool's default interval, and one frame. */
export const MOST_LOST_MS = 2_000 + 20;
/** Between a frame and the moment that the caller's side takes for it: the way, and timers of a busy machine. */
const SLACK_MS = 250;
/** What the timeline takes for jitter, and a frame. */
const JITTER_MS = 200 + 20;
/** The first frames on a new line come in one burst where the service is busy with all the others; the rest follows them. */
const MOST_SHIFT_MS = 1_000;
/** Frames that the caller's earpiece ran dry in, on a busy machine. */
const MOST_UNLIKE = 10;

export interface CheckedCall {
  problems: string[];
  /** Of the recording before the line broke, by side. */
  lostMs: { caller: number; agent: number };
  /** By how much the caller's side lies later in the recording after the drop than before it. */
  shiftMs: number;
}

/** What is wrong with the record of one call in which `numbers` were said; nothing: it is complete. */
export function checkCall(
  numbers: readonly number[],
  report: CallReport,
  rows: readonly CallRow[],
  recording: Int16Array | null,
): CheckedCall {
  const problems: string[] = [];
  const lostMs = { caller: 0, agent: 0 };
  const checked: CheckedCall = { problems, lostMs, shiftMs: 0 };
  const [row] = rows;
  if (rows.length !== 1) problems.push(`${rows.length} rows in call_logs`);
  if (row === undefined) return checked;
  if (row.status !== 'ended' || row.end_reason !== 'hangup')
    problems.push(`status ${row.status}, reason ${row.end_reason}`);
  if (report.drops.length === 0) problems.push('its line was never lost');
  problems.push(...transcriptProblems(numbers, row));
  if (recording === null) problems.push('no recording');
  else problems.push(...recordingProblems(report, recording, checked));
  return checked;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function transcriptProblems(numbers: readonly number[], row: CallRow): string[] {
  const problems: string[] = [];
  const textOf = (role: 'caller' | 'agent') =>
    row.transcript.flatMap((turn) => (turn.role === role ? [turn.text] : [])).join(' | ');
  const [caller, agent] = [textOf('caller'), textOf('agent')];
  problems.push(...notOnce('the caller’s', numbers.map(String), numbersIn(caller).map(String)));
  problems.push(...notOnce('the agent’s', numbers.flatMap(answersTo), answersIn(agent)));
  if (cutsIn(caller) > 1) problems.push(`${cutsIn(caller)} sentences of the caller’s are cut short`);
  const greetings = agent.split(GREETING).length - 1;
  if (greetings !== 1) problems.push(`the greeting stands ${greetings} times`);
  return problems;
}

function notOnce(whose: string, wanted: readonly string[], found: readonly string[]): string[] {
  const all = new Set([...wanted, ...found]);
  return [...all].flatMap((name) => {
    const times = found.filter((other) => other === name).length;
    const should = wanted.includes(name) ? 1 : 0;
    return times === should ? [] : [`${whose} sentence ${name} stands ${times} times`];
  });
}

function recordingProblems(report: CallReport, recording: Int16Array, checked: CheckedCall): string[] {
  const problems: string[] = [];
  const drops = report.drops.map(({ atMs, lastedMs }) => [atMs, atMs + (lastedMs ?? 0)] as const);
  // While the line was down nothing was on it: what the caller said then nobody heard, and the agent's was played from a buffer.
  const onLine = (ms: number) => drops.every(([from, to]) => ms < from - SLACK_MS / 2 || ms > to + SLACK_MS);
  for (const side of ['caller', 'agent'] as const) {
    const line = side === 'caller' ? report.sent : report.heard;
    const { frames, missingMs, unlikeMs, lags } = checkSide(line, recording, onLine);
    if (frames < 50) problems.push(`only ${frames} frames of the ${side}’s were on the line`);
    const isNearKill = (ms: number) =>
      drops.some(([from]) => ms <= from && ms >= from - MOST_LOST_MS - SLACK_MS);
    checked.lostMs[side] = missingMs.filter(isNearKill).length * 20;
    const elsewhere = missingMs.filter((ms) => !isNearKill(ms));
    if (elsewhere.length > 0)
      problems.push(
        `${elsewhere.length} frames of the ${side}’s are not recorded, at ${elsewhere.slice(0, 5)} ms of ${drops}`,
      );
    const lost = checked.lostMs[side];
    if (lost > MOST_LOST_MS) problems.push(`${lost} ms of the ${side}’s are not recorded`);
    if (unlikeMs.length > MOST_UNLIKE)
      problems.push(`${unlikeMs.length} frames of the ${side}’s are recorded wrongly`);
    const [from] = drops[0] ?? [0];
    const placesBefore = lags.filter(({ atMs }) => atMs < from);
    const placesAfter = lags.filter(({ atMs }) => atMs >= from);
    for (const places of [placesBefore, placesAfter]) {
      const some = places.map(({ lagMs }) => lagMs);
      const moved = Math.max(...some) - Math.min(...some);
      // A frame that this process sent late is late in the recording, too.
      if (moved > JITTER_MS + report.frames.latestMs) {
        const where = places.map(({ atMs, lagMs }) => `${Math.round(lagMs)}@${atMs}`).join(' ');
        problems.push(`the ${side}’s audio moves by ${moved} ms: ${where}`);
      }
    }
    const before = placesBefore.map(({ lagMs }) => lagMs);
    const after = placesAfter.map(({ lagMs }) => lagMs);
    if (side === 'caller' && before.length > 0 && after.length > 0) {
      checked.shiftMs = Math.round(median(after) - median(before));
      if (Math.abs(checked.shiftMs) > MOST_SHIFT_MS)
        problems.push(`after the drop the caller’s audio lies ${checked.shiftMs} ms later`);
    }
  }
  return problems;
}
