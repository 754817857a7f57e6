import { quantile } from '../statistics.ts';
import type { OverlapOutcome, TurnOutcome } from './play.ts';

/** How well turns were told apart. Shares are of 1, times milliseconds; NaN where there was nothing. */
export interface TurnScore {
  turns: number;
  /** The call had decided to answer before the caller had finished. */
  cutOff: number;
  /** The caller heard the agent before he had finished: with providers that take their time, not every cut-off is heard. */
  spokenOver: number;
  /** The call had decided too early, and took that back before the caller had heard a word. */
  takenBack: number;
  /** Nothing was understood, or no end was found. */
  unanswered: number;
  /** From the true end to the decision, of the turns that were answered and not cut off. */
  waitP50Ms: number;
  waitP95Ms: number;
  /** From the true end to the first audio of the answer, of the turns that were not spoken over. */
  audioP50Ms: number;
  audioP95Ms: number;
}

/** How well interruptions were told from other sounds. */
export interface OverlapScore {
  interruptions: number;
  others: number;
  /** Of the interruptions: the agent was not stopped by it. */
  missed: number;
  /** Of the other sounds: the agent was stopped. */
  falseOnes: number;
  /** Of the other sounds: it fell silent, and went on. */
  paused: number;
  /** From the interruption's first voiced sample. */
  silentP50Ms: number;
  judgedP50Ms: number;
}

export function scoreTurns(outcomes: readonly TurnOutcome[]): TurnScore {
  const waits = outcomes.flatMap(({ waitMs }) => (waitMs !== null && waitMs >= 0 ? [waitMs] : []));
  const audio = outcomes.flatMap(({ audioMs, spokenOver }) =>
    audioMs === null || spokenOver ? [] : [audioMs],
  );
  return {
    turns: outcomes.length,
    cutOff: share(outcomes, ({ waitMs }) => waitMs !== null && waitMs < 0),
    spokenOver: share(outcomes, ({ spokenOver }) => spokenOver),
    takenBack: share(outcomes, ({ takenBack }) => takenBack),
    unanswered: share(outcomes, ({ waitMs }) => waitMs === null),
    waitP50Ms: quantile(waits, 0.5),
    waitP95Ms: quantile(waits, 0.95),
    audioP50Ms: quantile(audio, 0.5),
    audioP95Ms: quantile(audio, 0.95),
  };
}

export function scoreOverlaps(outcomes: readonly OverlapOutcome[]): OverlapScore {
  const interruptions = outcomes.filter(({ scene }) => scene.kind === 'interruption');
  const others = outcomes.filter(({ scene }) => scene.kind !== 'interruption');
  const stopped = ({ interruptedAfterMs }: OverlapOutcome) => interruptedAfterMs !== null;
  // Stopped before it by the line's noise, it was not stopped by it.
  const byIt = ({ interruptedAfterMs }: OverlapOutcome) => (interruptedAfterMs ?? -1) >= 0;
  return {
    interruptions: interruptions.length,
    others: others.length,
    missed: share(interruptions, (outcome) => !byIt(outcome)),
    falseOnes: share(others, stopped),
    paused: share(others, (outcome) => !stopped(outcome) && outcome.silentAfterMs !== null),
    // What was silent before, for the line's noise, says nothing of the interruption.
    silentP50Ms: median(interruptions.map(({ silentAfterMs }) => silentAfterMs)),
    judgedP50Ms: median(interruptions.map(({ interruptedAfterMs }) => interruptedAfterMs)),
  };
}

function share<T>(all: readonly T[], holds: (one: T) => boolean): number {
  return all.length === 0 ? Number.NaN : all.filter(holds).length / all.length;
}

function median(times: readonly (number | null)[]): number {
  return quantile(
    times.flatMap((time) => (time !== null && time >= 0 ? [time] : [])),
    0.5,
  );
}
