import { printTable } from '../statistics.ts';
import type { OverlapOutcome, TurnOutcome } from './play.ts';
import { conditions, overlapKinds, turnKinds } from './scenes.ts';
import { type OverlapScore, scoreOverlaps, scoreTurns, type TurnScore } from './score.ts';

/** What became of all scenes of a group. */
export interface Outcomes {
  turns: readonly TurnOutcome[];
  overlaps: readonly OverlapOutcome[];
}

const percent = (share: number) => (Number.isNaN(share) ? '–' : `${(share * 100).toFixed(1)} %`);
const time = (ms: number) => (Number.isNaN(ms) ? '–' : ms.toFixed(0));

const turnColumns = [
  'turns',
  'cut off',
  'and heard',
  'taken back',
  'unanswered',
  'wait p50',
  'p95',
  'audio p50',
  'p95',
];
const turnCells = (score: TurnScore) => [
  String(score.turns),
  percent(score.cutOff),
  percent(score.spokenOver),
  percent(score.takenBack),
  percent(score.unanswered),
  time(score.waitP50Ms),
  time(score.waitP95Ms),
  time(score.audioP50Ms),
  time(score.audioP95Ms),
];

/** The turns of a group: by kind, by noise, by speaker, and all. */
export function printTurns(title: string, turns: readonly TurnOutcome[]): void {
  const row = (name: string, some: readonly TurnOutcome[]) =>
    some.length === 0 ? [] : [[name, ...turnCells(scoreTurns(some))]];
  printTable([
    [title, ...turnColumns],
    ...turnKinds.flatMap((kind) =>
      row(
        kind,
        turns.filter(({ scene }) => scene.kind === kind),
      ),
    ),
    ...conditions.flatMap((snr) =>
      row(
        snrName(snr),
        turns.filter(({ scene }) => scene.snr === snr),
      ),
    ),
    ...speakersOf(turns).flatMap((speaker) =>
      row(
        `by ${speaker}`,
        turns.filter(({ scene }) => scene.speaker === speaker),
      ),
    ),
    ...row('all', turns),
  ]);
  console.log('');
}

/** The sounds over the agent's speech, by kind and by noise. */
export function printOverlaps(title: string, overlaps: readonly OverlapOutcome[]): void {
  const row = (name: string, some: readonly OverlapOutcome[]) => {
    if (some.length === 0) return [];
    const score = scoreOverlaps(some);
    return [
      [
        name,
        String(some.length),
        percent(score.missed),
        percent(score.falseOnes),
        percent(score.paused),
        time(score.silentP50Ms),
        time(score.judgedP50Ms),
      ],
    ];
  };
  printTable([
    [title, 'sounds', 'missed', 'false', 'paused', 'silent p50', 'judged p50'],
    ...overlapKinds.flatMap((kind) =>
      row(
        kind,
        overlaps.filter(({ scene }) => scene.kind === kind),
      ),
    ),
    ...conditions.flatMap((snr) =>
      row(
        snrName(snr),
        overlaps.filter(({ scene }) => scene.snr === snr),
      ),
    ),
    ...row('all', overlaps),
  ]);
  console.log('');
}

/** What each setting buys and costs. */
export function printTradeOff(title: string, runs: readonly { name: string; outcomes: Outcomes }[]): void {
  printTable([
    [title, ...turnColumns, 'missed', 'false', 'paused'],
    ...runs.map(({ name, outcomes }) => {
      const overlap: OverlapScore = scoreOverlaps(outcomes.overlaps);
      return [
        name,
        ...turnCells(scoreTurns(outcomes.turns)),
        percent(overlap.missed),
        percent(overlap.falseOnes),
        percent(overlap.paused),
      ];
    }),
  ]);
  console.log('');
}

const snrName = (snr: number) => (Number.isFinite(snr) ? `noise at ${snr} dB` : 'idle line');

function speakersOf(turns: readonly TurnOutcome[]): string[] {
  return [...new Set(turns.map(({ scene }) => scene.speaker))];
}
