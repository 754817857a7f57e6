import type { Message, ToolCall } from '../providers/ports.ts';
import type { RecordedTurn } from '../records/call-records.ts';
import type { ToolRun } from '../tools/tool.ts';

type Entry =
  | { turn: Pick<RecordedTurn, 'role' | 'text'> }
  | { run: Pick<ToolRun, 'id' | 'name' | 'arguments' | 'content'> }
  | { note: string };

/** What the model reads of a tool that it has asked for, until there is a result. */
const UNDER_WAY = 'It is under way and has not finished yet.';

/** What was said by whom, and what tools did, in order: the language model's history and the transcript, from one source. */
export class Conversation {
  readonly #entries: Entry[] = [];
  #turns = 0;

  /** Adds a turn at the end and numbers it. */
  add(turn: Omit<RecordedTurn, 'position'>): RecordedTurn {
    const numbered = { ...turn, position: this.#turns++ };
    this.#entries.push({ turn: numbered });
    return numbered;
  }

  /** The caller's turn at the end, where nothing has come after it: he may go on with it. */
  get lastIsCallers(): boolean {
    const last = this.#entries.at(-1);
    return last !== undefined && 'turn' in last && last.turn.role === 'caller';
  }

  /** The last turn, with more of it. */
  replaceLast(turn: Omit<RecordedTurn, 'position'>): RecordedTurn {
    const numbered = { ...turn, position: this.#turns - 1 };
    this.#entries[this.#entries.length - 1] = { turn: numbered };
    return numbered;
  }

  /** A tool was asked for. A turn that comes before its result knows that it is under way. */
  beginRun(call: ToolCall): void {
    this.#entries.push({ run: { ...call, content: UNDER_WAY } });
  }

  /** What a tool did: the model knows it from now on, whether the caller has heard of it or not. */
  addRun(run: ToolRun): void {
    // The newest of that id: not every vendor's ids are unique.
    const begun = this.#entries.findLastIndex((entry) => 'run' in entry && entry.run.id === run.id);
    if (begun < 0) this.#entries.push({ run });
    else this.#entries[begun] = { run };
  }

  addNote(note: string): void {
    this.#entries.push({ note });
  }

  /**
   * The system prompt and the last `most` entries.
   *
   * @param next what the caller seems to be saying: as if it had been added already.
   */
  messages(prompt: string, most: number, next?: string): Message[] {
    const entries: readonly Entry[] =
      next === undefined ? this.#entries : [...this.#entries, { turn: { role: 'caller', text: next } }];
    const recent = most > 0 ? entries.slice(-most) : [];
    return [{ role: 'system', content: prompt }, ...recent.flatMap(messagesOf)];
  }
}

function messagesOf(entry: Entry): Message[] {
  if ('turn' in entry) {
    const { role, text } = entry.turn;
    return [{ role: role === 'caller' ? 'user' : 'assistant', content: text }];
  }
  if ('note' in entry) return [{ role: 'system', content: entry.note }];
  const { id, name, arguments: args, content } = entry.run;
  return [
    { role: 'assistant', content: '', toolCalls: [{ id, name, arguments: args }] },
    { role: 'tool', toolCallId: id, content },
  ];
}
