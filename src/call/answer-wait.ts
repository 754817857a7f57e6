import { LatencyLedger } from './latency.ts';

/**
 * How long the caller waits for an answer of a model that decides by itself when the caller's turn is over. Nobody else knows when it
 * did: up to the call's own end-of-turn silence, or the first audio where that came before, the wait counts as endpoint wait; the rest
 * is the provider's. All times are milliseconds since the epoch.
 */
export class AnswerWait {
  /** When the caller's turn was over by the silence after it; null while it goes on. */
  #decidedAt: number | null = null;
  /** When the caller said something that the agent has not answered. */
  #unanswered: number | null = null;

  /** When the caller's turn was over; null: it is not. */
  get decidedAt(): number | null {
    return this.#decidedAt;
  }

  callerSpeaks(): void {
    this.#decidedAt = null;
  }

  turnOver(at: number): void {
    this.#decidedAt = at;
  }

  /** The caller has said something that is to be answered. */
  said(at: number): void {
    this.#unanswered = at;
  }

  /** Keys are a whole turn. */
  pressed(at: number): void {
    this.#unanswered = at;
    this.#decidedAt = at;
  }

  /** The agent begins to speak: what is known of the wait for it; null where it answers nothing. */
  answered(now: number, lastVoicedAt: number): LatencyLedger | null {
    if (this.#unanswered === null) return null;
    const ledger = new LatencyLedger();
    const decided = Math.min(now, this.#decidedAt ?? now);
    ledger.mark('lastVoiced', Math.max(this.#unanswered, lastVoicedAt));
    ledger.mark('decided', decided);
    ledger.mark('modelRequested', decided);
    ledger.mark('firstSentence', now);
    ledger.mark('firstAudio', now);
    this.#unanswered = null;
    return ledger;
  }
}
