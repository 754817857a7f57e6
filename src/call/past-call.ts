import type { RecordedTurn } from '../records/call-records.ts';
import type { Afterwards } from '../tools/afterwards.ts';
import type { ToolRun } from '../tools/tool.ts';
import type { CallCounts } from './call-counts.ts';
import type { StartedCallFacts } from './events.ts';
import type { PastTransfers } from './transfer.ts';

/** A sentence of the agent's that was heard to its end. Times are milliseconds since the epoch. */
export interface HeardSentence {
  text: string;
  from: number;
  until: number;
}

/** An answer that was lost with an object's memory: all of it, or what was to come after what the caller has heard. */
export type OwedAnswer = 'whole' | 'rest';

/** What was written down of a call whose object lost its memory of it. */
export interface PastCall {
  call: StartedCallFacts;
  /** What was said and what tools did, in order. */
  history: readonly ({ turn: RecordedTurn } | { run: ToolRun })[];
  /** Of a turn of the agent's that was not over: what was heard of it, and what was still to be said. */
  heard: readonly HeardSentence[];
  unheard: readonly string[];
  /** What tools want done once the agent's words were heard. */
  acts: readonly Afterwards[];
  transfers: PastTransfers;
  /** Whether that turn was written to its end; false: more of it was to come. */
  written: boolean;
  /** What an object before the one that was lost owed already, and the agent had not begun with. */
  owed: OwedAnswer | null;
  /** Keys that the caller pressed and that stand in no turn yet. */
  keys: string;
  /** The language that the caller was last heard to speak; null: none was told. */
  language: string | null;
  counts: CallCounts | null;
  /** The number of the turn that comes next. */
  nextTurn: number;
  /** Samples of the recording that are stored: all of it before this one. */
  spooledSamples: number;
  /** The caller's side of it from a sample on, in order. */
  callerAudio(fromSample: number): Iterable<{ samples: Int16Array; position: number }>;
  /** When the call was last known to live, in milliseconds since the epoch. */
  lostAt: number;
}

/** What the caller said, and nobody wrote down: it is in the recording. */
export function unrecordedAudio({
  call,
  history,
  callerAudio,
}: PastCall): ReturnType<PastCall['callerAudio']> {
  const known = history.flatMap((entry) =>
    'turn' in entry && entry.turn.role === 'caller' ? [entry.turn.endMs] : [],
  );
  return callerAudio(Math.round((Math.max(0, ...known) * call.sampleRate) / 1000));
}

/** What the caller has heard last of the agent; empty where it was the caller who spoke last. */
export function lastSaid({ heard, history }: PastCall): string {
  const last = history.at(-1);
  const lastTurn = last !== undefined && 'turn' in last && last.turn.role === 'agent' ? last.turn.text : '';
  return heard.at(-1)?.text ?? lastTurn;
}
