import { isEchoOfEnd, overlapKind } from './overlap.ts';

/** How long after the agent's last word its echo may still come. */
const LATE_ECHO_MS = 500;

/** What the agent said last, and until when: to know its echo, which may be understood only afterwards. */
export class LastWords {
  #text = '';
  #until = Number.NEGATIVE_INFINITY;

  /** @param until when the last of it was heard, in milliseconds since the epoch. */
  were(text: string, until: number): void {
    this.#text = text;
    this.#until = until;
  }

  /** Whether what began at `startedAt` are the agent's own words, come back. */
  areEchoedBy(text: string, startedAt: number): boolean {
    if (startedAt >= this.#until + LATE_ECHO_MS) return false;
    return startedAt < this.#until ? overlapKind(text, this.#text) === 'echo' : isEchoOfEnd(text, this.#text);
  }
}
