import type { CallEvents } from './events.ts';
import type { OwedAnswer, PastCall } from './past-call.ts';

/** What was lost with an object's memory of the answer to the caller's last turn. */
export function owedAfter(past: PastCall): OwedAnswer | null {
  const { history, heard, unheard, transfers } = past;
  const last = history.at(-1);
  const spoken = heard.length > 0 || unheard.length > 0;
  if (spoken && !past.written) return 'rest';
  const lastIsAgents = last !== undefined && 'turn' in last && last.turn.role === 'agent';
  // Whoever is being connected, or comes back from it, is told of that first.
  const transferred = transfers.pending !== null || transfers.untold !== null;
  const unanswered = !spoken && last !== undefined && !lastIsAgents && !transferred;
  return past.owed ?? (unanswered ? 'whole' : null);
}

/** The answer that is owed, until the agent begins with it. Written down: the object may be lost again before the caller hears of it. */
export class Owed {
  readonly #events: CallEvents;
  #answer: OwedAnswer | null = null;
  /** The current reply is that answer. */
  #given = false;

  constructor(events: CallEvents) {
    this.#events = events;
  }

  get answer(): OwedAnswer | null {
    return this.#answer;
  }

  /** Null: nothing is owed any more. */
  owe(answer: OwedAnswer | null): void {
    if (answer === this.#answer) return;
    this.#answer = answer;
    this.#events.emit({ type: 'agent.owes', owed: answer });
  }

  /** The reply that begins now is the answer. */
  give(): void {
    this.#given = true;
  }

  /** A sentence of the current reply is written down as one that is going to be said. */
  planned(): void {
    if (this.#given) this.owe(null);
  }

  /** The current reply is over, however it ended. */
  replyOver(): void {
    if (this.#given) this.owe(null);
    this.#given = false;
  }
}
