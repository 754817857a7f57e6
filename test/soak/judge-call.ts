import { defaultSilence } from '../../src/call/agent-config.ts';
import { wordErrors } from '../support/word-errors.ts';
import { expectedOfAbuse } from './abusers.ts';
import type { EndedCall, Expected, Heard, Recording, Row, Said, Turn, Violation } from './facts.ts';
import type { CallPlan } from './plan.ts';
import { lengthMs, loudMs } from './recording.ts';

/** What the judgement allows. Milliseconds. */
export const tolerances = {
  /** Between the recording's length and the call's as it was logged: a frame at each end, jitter. What the caller sent late makes it longer. */
  recordingMs: 250,
  /** Between the caller's account of the call's length and the service's: the way of its first and of its last message. */
  durationMs: 2_000,
  /** By how much a turn may lie elsewhere than where its words were said. */
  turnMs: 1_500,
  /** By how much sound may lie later in the recording than it was said: a line that was lost, a burst on a new one. */
  shiftMs: 1_000,
  /** Of what the caller said, so much is loud in the recording. */
  loudShare: 0.7,
  /** The least that has to be heard of an answer. */
  answerMs: 200,
  /** Sound on the side of a caller who says nothing. */
  silentMs: 100,
};

/** How a call has to end, by its plan. */
export function expectedOf(plan: CallPlan): Expected {
  if (plan.kind === 'abuser') return expectedOfAbuse(plan.abuse);
  const errors = { must: [], may: [] };
  if (plan.kind === 'silent' && plan.asks === null)
    return { logged: true, reason: 'caller silent', errors, close: 1000 };
  if (plan.kind === 'dropper' && !plan.returns)
    // The socket is broken by the caller: RFC 6455's code for a close without a word.
    return { logged: true, reason: 'disconnected', errors, close: 1006 };
  return { logged: true, reason: 'hangup', errors, close: 1000 };
}

/** Everything that is wrong with a call that is over and its records; nothing: it is whole. */
export function judgeCall(ended: EndedCall): Violation[] {
  const { plan, told, records } = ended;
  const expected = expectedOf(plan);
  const problems: string[] = [];
  if (told.failure !== null) problems.push(`the caller: ${told.failure}`);
  problems.push(...endProblems(ended, expected));
  const [row] = records.rows;
  if (records.rows.length !== (expected.logged ? 1 : 0))
    problems.push(`${records.rows.length} rows in call_logs`);
  if (expected.logged && row !== undefined) {
    problems.push(...rowProblems(row, ended, expected));
    problems.push(...transcriptProblems(row, ended));
    problems.push(...recordingProblems(row, ended));
  }
  const kind = kindOf(plan);
  return problems.map((what) => ({ callId: told.callId, kind, what }));
}

export function kindOf(plan: CallPlan): string {
  return plan.kind === 'abuser' ? `abuser: ${plan.abuse}` : plan.kind;
}

/** The first half of it. */
function beginningOf(text: string): string {
  return text.slice(0, Math.ceil(text.length / 2));
}

function endProblems({ told }: EndedCall, { errors, close, logged }: Expected): string[] {
  const problems: string[] = [];
  if (told.begun !== logged) problems.push(`start_call was ${told.begun ? '' : 'not '}accepted`);
  if (told.close !== close) problems.push(`closed with ${told.close}, not ${close}`);
  for (const code of errors.must) {
    if (!told.errors.includes(code)) problems.push(`the error ${code} did not come`);
  }
  const known = [...errors.must, ...errors.may];
  for (const code of new Set(told.errors)) {
    if (!known.includes(code)) problems.push(`the error ${code} came`);
  }
  for (const { expected, errors: came, close: code } of told.knocks) {
    if (code !== expected.close)
      problems.push(`a stranger's socket was closed with ${code}, not ${expected.close}`);
    if (expected.error !== null && !came.includes(expected.error))
      problems.push(`a stranger's socket was told ${came.join(', ') || 'nothing'}, not ${expected.error}`);
  }
  return problems;
}

function rowProblems(row: Row, { plan, told, records }: EndedCall, expected: Expected): string[] {
  const problems: string[] = [];
  if (row.status === 'active') problems.push('stuck: its row is still active');
  else if (row.status !== 'ended') problems.push(`status ${row.status}`);
  if (row.reason !== expected.reason) problems.push(`ended for ${row.reason}, not ${expected.reason}`);
  if (row.durationMs === null) problems.push('its row has no end');
  else if (Math.abs(row.durationMs - told.durationMs) > tolerances.durationMs)
    problems.push(`${row.durationMs} ms are logged, the caller counted ${Math.round(told.durationMs)} ms`);
  if (plan.kind === 'dropper' && told.resumes !== (plan.returns ? 1 : 0))
    problems.push(`the caller came back ${told.resumes} times`);
  if (row.transcript.some(({ position }, i) => position !== i))
    problems.push(`turns are numbered ${row.transcript.map(({ position }) => position).join(' ')}`);
  // The line to hold is said while it is not yet known what the caller has said: it is written down before.
  const inOrder = row.transcript.filter(({ text }) => !defaultSilence.holdLine.startsWith(text));
  if (inOrder.some(({ startMs }, i) => startMs < (inOrder[i - 1]?.startMs ?? 0)))
    problems.push(`turns begin at ${row.transcript.map(({ startMs }) => startMs).join(' ')} ms`);
  if (records.turns !== row.transcript.length)
    problems.push(`${records.turns} rows in call_turns, ${row.transcript.length} turns in the transcript`);
  return problems;
}

function transcriptProblems({ transcript, durationMs }: Row, { plan, told }: EndedCall): string[] {
  const problems: string[] = [];
  const agents = transcript.filter(({ role }) => role === 'agent');
  const agentText = simple(agents.map(({ text }) => text).join(' '));
  const isThere = ({ startMs, endMs, sentences }: Heard) => {
    // What was sent and cannot have been heard when the call ended is in no transcript: of the last sentence the beginning is.
    const cut = durationMs !== null && durationMs - endMs < tolerances.turnMs;
    const last = sentences.length - 1;
    return sentences.length > 0
      ? sentences.every((sentence, i) =>
          agentText.includes(cut && i === last ? beginningOf(simple(sentence)) : simple(sentence)),
        )
      : agents.some((turn) => overlaps(turn, startMs, endMs));
  };
  if (told.greeting === null) problems.push('no greeting was heard');
  else if (!isThere(told.greeting)) problems.push('the greeting is not in the transcript');
  for (const said of told.said) {
    const where = `at ${Math.round(said.startMs)} ms`;
    // Whoever drops the line in the middle of a word, or right after it, may not have been heard.
    const sure = said.waited || plan.kind === 'interrupter';
    if (sure && turnOf(said, transcript) === null)
      problems.push(`what the caller said ${where} (${said.text}) is in no turn`);
    if (said.waited && said.reply === null) problems.push(`no answer to ${said.text}, ${where}`);
    if (said.reply !== null && !isThere(said.reply))
      problems.push(`the answer to ${said.text}, ${where}, is not in the transcript`);
  }
  if (plan.kind === 'silent' && plan.asks === null && agents.length < 3)
    problems.push(`the agent asked and said goodbye in ${agents.length - 1} turns`);
  return problems;
}

/** The caller's turn in which something was said. */
export function turnOf(said: Said, transcript: readonly Turn[]): Turn | null {
  const candidates = transcript.filter(
    (turn) => turn.role === 'caller' && turn.text.trim() !== '' && overlaps(turn, said.startMs, said.endMs),
  );
  const errorsOf = ({ text }: Turn) => wordErrors(said.text, text).errors;
  return candidates.toSorted((a, b) => errorsOf(a) - errorsOf(b))[0] ?? null;
}

function overlaps({ startMs, endMs }: Turn, fromMs: number, toMs: number): boolean {
  return startMs < toMs + tolerances.turnMs && endMs > fromMs - tolerances.turnMs;
}

function simple(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, ' ')
    .trim();
}

function recordingProblems(row: Row, { plan, told, records: { recording } }: EndedCall): string[] {
  if (row.recording === null) return ['its row names no recording'];
  if (recording === null) return ['its recording is missing'];
  if (typeof recording === 'string') return [`its recording cannot be played: ${recording}`];
  const problems: string[] = [];
  const ms = lengthMs(recording);
  const wanted = row.durationMs ?? told.durationMs;
  // Audio that came faster than time is recorded, too.
  const most =
    plan.kind === 'abuser' ? Number.POSITIVE_INFINITY : Math.max(wanted, told.sentMs) + told.lateMs;
  if (ms < wanted - tolerances.recordingMs || ms > most + tolerances.recordingMs)
    problems.push(`its recording has ${Math.round(ms)} ms, the call ${Math.round(wanted)} ms`);
  problems.push(...soundProblems(recording, plan, told.said, told.greeting));
  return problems;
}

function soundProblems(
  { caller, agent, sampleRate }: Recording,
  plan: CallPlan,
  said: readonly Said[],
  greeting: Heard | null,
): string[] {
  const problems: string[] = [];
  for (const { text, startMs, endMs, loudMs: own, reply } of said) {
    const loud = loudMs(caller, sampleRate, startMs - tolerances.recordingMs, endMs + tolerances.shiftMs);
    if (loud < own * tolerances.loudShare)
      problems.push(`of ${own} ms of ${text} at ${Math.round(startMs)} ms ${loud} ms are recorded`);
    if (reply !== null && !isHeard(agent, sampleRate, reply))
      problems.push(`the answer to ${text} is not recorded`);
  }
  if (greeting !== null && !isHeard(agent, sampleRate, greeting))
    problems.push('the greeting is not recorded');
  if (plan.kind === 'silent' && plan.asks === null) {
    const loud = loudMs(caller, sampleRate);
    if (loud > tolerances.silentMs) problems.push(`${loud} ms of sound on the side of a silent caller`);
  }
  return problems;
}

function isHeard(agent: Int16Array, sampleRate: number, { startMs, endMs }: Heard): boolean {
  const loud = loudMs(agent, sampleRate, startMs - tolerances.recordingMs, endMs + tolerances.recordingMs);
  return loud >= tolerances.answerMs;
}
