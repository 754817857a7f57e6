import type { AudioChunk, CallFact, Journal, JournaledCall, TurnUsage } from '../call/journal.ts';
import { addUnits } from '../cost/usage.ts';
import type { RecordedTurn } from '../records/call-records.ts';
import { type Writes, writeThrough } from './kept-writes.ts';
import { hasTables } from './storage.ts';

/**
 * Audio of a call that is kept in memory while the storage takes none: half a minute of both sides at 8 kHz. All calls of an isolate
 * share its 128 MB, and an outage comes to all of them at once.
 */
export const MOST_UNWRITTEN_BYTES = 1024 * 1024;

/** A fact, and what was appended with it. An older version, to which a deployment went back, reads the fact and passes over the others. */
type FactRow = CallFact & { with?: CallFact[] };

/**
 * The journal in the object's SQLite. Writes are synchronous and coalesced by the runtime; nothing waits. What the storage does not
 * take yet is read as if it had.
 */
export class SqliteJournal implements Journal {
  readonly #sql: SqlStorage;
  readonly #writes: Writes;
  readonly #unwrittenFacts = new Set<CallFact>();
  readonly #unwrittenAudio = new Map<number, AudioChunk>();
  #appended = 0;

  /** The tables must exist (`migrate`), or be what `writes` writes first. */
  constructor(sql: SqlStorage, writes: Writes = writeThrough) {
    this.#sql = sql;
    this.#writes = writes;
  }

  /** Facts that are appended together are one row, since rows written are what an object's storage costs. */
  append(...facts: CallFact[]): void {
    const [first, ...others] = facts;
    if (first === undefined) return;
    for (const fact of facts) this.#unwrittenFacts.add(fact);
    this.#writes.write(`call/fact/${this.#appended++}`, () => {
      const row: FactRow = others.length === 0 ? first : { ...first, with: others };
      const data = JSON.stringify(row);
      this.#sql.exec('INSERT INTO facts (type, data) VALUES (?, ?)', first.type, data);
      for (const fact of facts) this.#unwrittenFacts.delete(fact);
    });
  }

  appendAudio(chunk: AudioChunk): 'written' | 'kept' | 'lost' {
    const { index, length, caller, agent } = chunk;
    let bytes = 0;
    for (const other of this.#unwrittenAudio.values()) bytes += sizeOf(other);
    const room = bytes + sizeOf(chunk) <= MOST_UNWRITTEN_BYTES;
    if (room) this.#unwrittenAudio.set(index, chunk);
    let stored = false;
    const key = `call/audio/${index}/`;
    this.#writes.write(key, () => {
      const sides = [bytesOf(caller), bytesOf(agent)];
      this.#sql.exec('INSERT OR REPLACE INTO audio VALUES (?, ?, ?, ?)', index, length, ...sides);
      this.#unwrittenAudio.delete(index);
      stored = true;
    });
    if (stored) return 'written';
    if (room) return 'kept';
    this.#writes.forget(key);
    return 'lost';
  }

  /** The call so far, or null before its start. */
  read(): JournaledCall | null {
    let result: JournaledCall | null = null;
    const usage = new Map<string, TurnUsage>();
    const answers: Record<string, number> = {};
    for (const fact of this.#facts()) {
      if (fact.type === 'started') {
        result = {
          call: fact.call,
          rowId: fact.call.callId,
          resumeToken: fact.resumeToken,
          turns: [],
          failures: [],
          usage: [],
          nextTurn: 0,
          answers: {},
          tools: [],
          transfers: [],
          history: [],
          language: null,
          counts: null,
          end: null,
        };
      } else if (fact.type === 'turn') {
        if (result !== null) addTurn(result, fact.turn);
      } else if (fact.type === 'failure')
        result?.failures.push({ ...fact.failure, position: result.failures.length });
      else if (fact.type === 'renamed' && result !== null) result.rowId = fact.rowId;
      else if (fact.type === 'tool') {
        result?.tools.push(fact.run);
        result?.history.push({ run: fact.run });
      } else if (fact.type === 'transfer') result?.transfers.push(fact.transfer);
      else if (fact.type === 'counted' && result !== null) result.counts = fact.counts;
      else if (fact.type === 'language' && result !== null) result.language = fact.language;
      else if (fact.type === 'usage') {
        const { usage: used, turn = null } = fact;
        addUsage(usage, { ...used, turn });
        // Of a guess there was no answer, or none to its end.
        if (used.estimated !== true) answers[used.provider] = (answers[used.provider] ?? 0) + 1;
      } else if (fact.type === 'ended' && result !== null) result.end = fact;
    }
    if (result !== null) {
      result.usage = [...usage.values()];
      result.answers = answers;
      for (const { turn } of result.usage) {
        if (turn !== null) result.nextTurn = Math.max(result.nextTurn, turn + 1);
      }
    }
    return result;
  }

  *#facts(): Generator<CallFact> {
    if (hasTables(this.#sql)) {
      for (const { data } of this.#sql.exec<{ data: string }>('SELECT data FROM facts ORDER BY seq')) {
        const { with: others = [], ...fact } = JSON.parse(data) as FactRow;
        yield fact;
        yield* others;
      }
    }
    yield* this.#unwrittenFacts;
  }

  /** Number of chunks, and samples from the first to the end of the last one. */
  audioExtent(chunkSamples: number): { chunks: number; samples: number } {
    const ends = [...this.#unwrittenAudio.values(), ...this.#lastStored()];
    let last: (typeof ends)[number] | null = null;
    for (const end of ends) if (last === null || end.index > last.index) last = end;
    return last === null
      ? { chunks: 0, samples: 0 }
      : { chunks: last.index + 1, samples: last.index * chunkSamples + last.length };
  }

  #lastStored(): { index: number; length: number }[] {
    if (!hasTables(this.#sql)) return [];
    return this.#sql
      .exec<{ index: number; length: number }>(
        'SELECT chunk AS "index", length FROM audio ORDER BY chunk DESC LIMIT 1',
      )
      .toArray();
  }

  /** One chunk; null where a crash left none. */
  audioChunk(index: number): AudioChunk | null {
    const unwritten = this.#unwrittenAudio.get(index);
    if (unwritten !== undefined) return unwritten;
    if (!hasTables(this.#sql)) return null;
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

function sizeOf({ caller, agent }: AudioChunk): number {
  return (caller?.byteLength ?? 0) + (agent?.byteLength ?? 0);
}

/** Workers and the machines that tests run on are little-endian; the spool never leaves the object. */
function bytesOf(samples: Int16Array | null): Uint8Array | null {
  return samples && new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

function samplesOf(bytes: ArrayBuffer | null): Int16Array | null {
  return bytes && new Int16Array(bytes);
}

/** A turn that went on is written down once more, in the place of what it was. */
function addTurn({ turns, history }: JournaledCall, turn: RecordedTurn): void {
  const known = turns.findIndex(({ position }) => position === turn.position);
  if (known < 0) {
    turns.push(turn);
    history.push({ turn });
    return;
  }
  const entry = history.findIndex((said) => 'turn' in said && said.turn === turns[known]);
  turns[known] = turn;
  history[entry] = { turn };
}

function addUsage(sums: Map<string, TurnUsage>, usage: TurnUsage): void {
  const key = JSON.stringify([usage.turn, usage.provider, usage.estimated === true]);
  const known = sums.get(key);
  sums.set(key, known === undefined ? usage : { ...known, ...addUnits(known, usage) });
}
