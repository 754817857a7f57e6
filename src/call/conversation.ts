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

  /** The system prompt and the last `most` turns. */
  messages(prompt: string, most: number): Message[] {
    const recent = most > 0 ? this.#turns.slice(-most) : [];
    return [
      { role: 'system', content: prompt },
      ...recent.map(
        (turn): Message => ({ role: turn.role === 'caller' ? 'user' : 'assistant', content: turn.text }),
      ),
    ];
  }
}
