import type { CallersTask } from './callers.ts';
import type { TallyParts } from './tally.ts';

/** To a process that calls. */
export type ToClient =
  | { type: 'begin'; task: CallersTask }
  /** End all calls in order, within this time. */
  | { type: 'end'; spreadMs: number };

/** One second of a process that calls. */
export interface ClientSecond {
  /** Since it began. */
  atMs: number;
  open: number;
  tally: TallyParts;
  /** Share of one core. */
  cpuShare: number;
  memoryBytes: number;
}

/** From a process that calls. */
export type FromClient =
  | { type: 'ready' }
  | ({ type: 'second' } & ClientSecond)
  /** No call is left. */
  | { type: 'ended' };
