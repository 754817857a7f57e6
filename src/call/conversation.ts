import type { Message } from '../providers/ports.ts';
import type { RecordedTurn } from '../records/call-records.ts';

/** What was said by whom, in order: the language model's history and the transcript, from one source. */
export class Conversation {
  readonly #turns: RecordedTurn[] = [];

  get turns(): readonly RecordedTurn[] {
    return this.#turns;
  }

  /** Adds a turn at the end and numbers it. */
  add(turn: Omit<RecordedTurn, 'position'>): RecordedTurn {
    const numbered = { ...turn, position: this.#turns.length };
    this.#turns.push(numbered);
    return numbered;
  }

  /**
   * The system prompt and the last `most` turns.
   *
   * @param next what the caller seems to be saying: as if it had been added already.
   */
  messages(prompt: string, most: number, next?: string): Message[] {
    const turns: readonly Pick<RecordedTurn, 'role' | 'text'>[] =
      next === undefined ? this.#turns : [...this.#turns, { role: 'caller', text: next }];
    const recent = most > 0 ? turns.slice(-most) : [];
    return [
      { role: 'system', content: prompt },
      ...recent.map(
        (turn): Message => ({ role: turn.role === 'caller' ? 'user' : 'assistant', content: turn.text }),
      ),
    ];
  }
}
