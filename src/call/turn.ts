import type { LatencyLedger } from './latency.ts';

/**
 * One party's turn to be answered, and the one handle on everything that is started for it: the provider
 * requests listen to `signal`, and playout accepts audio only of a turn that is still live. So late output of a
 * cancelled turn can be neither spoken nor stored.
 */
export interface Turn {
  /** Counts up from 0 in a call; the greeting is turn 0. */
  readonly id: number;
  /** Counts up with every attempt to speak; the highest one is the only live one. */
  readonly generation: number;
  readonly signal: AbortSignal;
  readonly ledger: LatencyLedger;
}

/** Hands out turns so that at most one is live. */
export class Turns {
  #nextId: number;
  #generation = 0;
  #controller: AbortController | null = null;

  /** @param first number of the first turn; of a call that is taken up again, the one after those it has had. */
  constructor(first = 0) {
    this.#nextId = first;
  }

  /** Number that the next caller's turn will have; transcripts carry it before the turn exists. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Cancels the live turn, if there is one, and begins the next. */
  begin(ledger: LatencyLedger): Turn {
    this.cancel('superseded by a later turn');
    this.#controller = new AbortController();
    return {
      id: this.#nextId++,
      generation: ++this.#generation,
      signal: this.#controller.signal,
      ledger,
    };
  }

  isLive(turn: Turn): boolean {
    return turn.generation === this.#generation && !turn.signal.aborted;
  }

  /** Ends whatever the live turn has running. Idempotent. */
  cancel(reason: string): void {
    this.#controller?.abort(new DOMException(reason, 'AbortError'));
    this.#controller = null;
  }
}
