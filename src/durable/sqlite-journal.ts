import type { CallCounts } from '../call/call-counts.ts';
import type { StartedCallFacts } from '../call/events.ts';
import type { AudioChunk, CallFact, Journal } from '../call/journal.ts';
import type { Usage } from '../providers/ports.ts';
import type { RecordedFailure, RecordedTurn } from '../records/call-records.ts';
import type { ToolRun } from '../tools/tool.ts';

/** A call, read back from its facts. */
export interface JournaledCall {
  call: StartedCallFacts;
  /** The call's id in the database. */
  rowId: string;
  resumeToken: string;
  turns: RecordedTurn[];
  failures: RecordedFailure[];
  /** Summed per provider. */
  usage: Usage[];
  tools: ToolRun[];
  /** Turns and tools' runs, in order. */
  history: ({ turn: RecordedTurn } | { run: ToolRun })[];
  /** The language that the caller was last heard to speak. */
  language: string | null;
  counts: CallCounts | null;
  end: Extract<CallFact, { type: 'ended' }> | null;
}

/** The journal in the object's SQLite. Writes are synchronous and coalesced by the runtime; nothing waits. */
export class SqliteJournal implements Journal {
  readonly #sql: SqlStorage;

  /** The tables must exist (`migrate`). */
  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  append(fact: CallFact): void {
    this.#sql.exec('INSERT INTO facts (type, data) VALUES (?, ?)', fact.type, JSON.stringify(fact));
  }

  appendAudio(chunk: AudioChunk): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO audio VALUES (?, ?, ?, ?)',
      chunk.index,
      chunk.length,
      bytesOf(chunk.caller),
      bytesOf(chunk.agent),
    );
  }

  /** The call so far, or null before its start. */
  read(): JournaledCall | null {
    let result: JournaledCall | null = null;
    const usage = new Map<string, Usage>();
    for (const row of this.#sql.exec<{ data: string }>('SELECT data FROM facts ORDER BY seq')) {
      const fact = JSON.parse(row.data) as CallFact;
      if (fact.type === 'started') {
        result = {
          call: fact.call,
          rowId: fact.call.callId,
          resumeToken: fact.resumeToken,
          turns: [],
          failures: [],
          usage: [],
          tools: [],
          history: [],
          language: null,
          counts: null,
          end: null,
        };
      } else if (fact.type === 'turn') {
        result?.turns.push(fact.turn);
        result?.history.push({ turn: fact.turn });
      } else if (fact.type === 'failure')
        result?.failures.push({ ...fact.failure, position: result.failures.length });
      else if (fact.type === 'renamed' && result !== null) result.rowId = fact.rowId;
      else if (fact.type === 'tool') {
        result?.tools.push(fact.run);
        result?.history.push({ run: fact.run });
      } else if (fact.type === 'counted' && result !== null) result.counts = fact.counts;
      else if (fact.type === 'language' && result !== null) result.language = fact.language;
      else if (fact.type === 'usage') addUsage(usage, fact.usage);
      else if (fact.type === 'ended' && result !== null) result.end = fact;
    }
    if (result !== null) result.usage = [...usage.values()];
    return result;
  }

  /** Number of chunks, and samples from the first to the end of the last one. */
  audioExtent(chunkSamples: number): { chunks: number; samples: number } {
    const last = this.#sql
      .exec<{ chunk: number; length: number }>('SELECT chunk, length FROM audio ORDER BY chunk DESC LIMIT 1')
      .toArray()[0];
    return last === undefined
      ? { chunks: 0, samples: 0 }
      : { chunks: last.chunk + 1, samples: last.chunk * chunkSamples + last.length };
  }

  /** One chunk; null where a crash left none. */
  audioChunk(index: number): AudioChunk | null {
    const row = this.#sql
      .exec<{ length: number; caller: ArrayBuffer | null; agent: ArrayBuffer | null }>(
        'SELECT length, caller, agent FROM audio WHERE chunk = ?',
        index,
      )
      .toArray()[0];
    if (row === undefined) return null;
    return { index, length: row.length, caller: samplesOf(row.caller), agent: samplesOf(row.agent) };
  }
}

/** Workers and the machines that tests run on are little-endian; the spool never leaves the object. */
function bytesOf(samples: Int16Array | null): Uint8Array | null {
  return samples && new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

function samplesOf(bytes: ArrayBuffer | null): Int16Array | null {
  return bytes && new Int16Array(bytes);
}

function addUsage(sums: Map<string, Usage>, usage: Usage): void {
  const sum = sums.get(usage.provider) ?? { provider: usage.provider };
  for (const unit of ['audioSeconds', 'inputTokens', 'outputTokens', 'characters'] as const) {
    if (usage[unit] !== undefined) sum[unit] = (sum[unit] ?? 0) + usage[unit];
  }
  sums.set(usage.provider, sum);
}
