import type { Usage } from '../providers/ports.ts';
import type { RecordedFailure, RecordedTransfer, RecordedTurn } from '../records/call-records.ts';
import type { ToolRun } from '../tools/tool.ts';
import type { CallCounts } from './call-counts.ts';
import type { EndReason, StartedCallFacts } from './events.ts';

/**
 * The call's durable facts, append-only: what a restarted object, the outbox and the recording are made from.
 * Appending does not wait. No method is called on the path of a frame.
 */
export interface Journal {
  append(...facts: CallFact[]): void;
  /**
   * Stores one chunk of the recording. The same chunk again replaces it. `written`: the chunk's arrays are the caller's again; `kept`: until
   * the storage takes it, they are not; `lost`: there is no room for it.
   */
  appendAudio(chunk: AudioChunk): 'written' | 'kept' | 'lost';
}

export type CallFact =
  | { type: 'started'; call: StartedCallFacts; resumeToken: string }
  | { type: 'turn'; turn: RecordedTurn }
  | { type: 'failure'; failure: Omit<RecordedFailure, 'position'> }
  /** The call's id names another call in the database; this one is recorded there under `rowId`. */
  | { type: 'renamed'; rowId: string }
  /** The caller speaks this language from now on: a BCP 47 tag. */
  | { type: 'language'; language: string }
  /** `turn` is missing in what an older version has written. */
  | { type: 'usage'; usage: Usage; turn?: number | null }
  | { type: 'tool'; run: ToolRun }
  | { type: 'transfer'; transfer: RecordedTransfer }
  | { type: 'counted'; counts: CallCounts }
  | { type: 'ended'; reason: EndReason; status: 'ended' | 'failed'; endTime: number };

/** What one turn has used of one provider; `turn` null: the call as a whole. */
export interface TurnUsage extends Usage {
  turn: number | null;
}

/** A call, read back from its facts. */
export interface JournaledCall {
  call: StartedCallFacts;
  /** The call's id in the database. */
  rowId: string;
  resumeToken: string;
  turns: RecordedTurn[];
  failures: RecordedFailure[];
  /** Summed per turn and provider, guesses apart, in the order in which they were told of first. */
  usage: TurnUsage[];
  /** The number after the highest of a turn that was charged for. */
  nextTurn: number;
  /** How many answers each provider has charged for. */
  answers: Record<string, number>;
  tools: ToolRun[];
  /** In order; one that is being tried is not among them. */
  transfers: RecordedTransfer[];
  /** Turns and tools' runs, in order. */
  history: ({ turn: RecordedTurn } | { run: ToolRun })[];
  /** The language that the caller was last heard to speak. */
  language: string | null;
  counts: CallCounts | null;
  end: Extract<CallFact, { type: 'ended' }> | null;
}

/** A stretch of the recording: both sides from the same sample on. */
export interface AudioChunk {
  /** Place in the recording: the chunk starts at sample `index × chunkSamples`. */
  index: number;
  /** Samples of it that lie within the call; all chunks but the last are full. */
  length: number;
  /** 16-bit PCM at the leg's rate, `length` samples; null for silence throughout. */
  caller: Int16Array | null;
  agent: Int16Array | null;
}
