import type { LatencyParts } from '../dialects/native-messages.ts';

/** The moments of a turn that latency is made of, in milliseconds since the epoch. */
export type LatencyMark =
  /** The caller's last voiced sample arrived. */
  | 'lastVoiced'
  /** The turn was decided to be over. */
  | 'decided'
  /** The last request for a transcript was answered. */
  | 'transcript'
  | 'modelRequested'
  | 'firstToken'
  /** The first whole sentence of the reply was there. */
  | 'firstSentence'
  | 'speechRequested'
  | 'firstAudio'
  /** The first piece of audio went out to the leg. */
  | 'firstSent';

/** Collects the marks of one turn. The first setting of a mark counts: a second sentence is no first one. */
export class LatencyLedger {
  readonly #marks = new Map<LatencyMark, number>();

  mark(name: LatencyMark, at: number): void {
    if (!this.#marks.has(name)) this.#marks.set(name, at);
  }

  at(name: LatencyMark): number | undefined {
    return this.#marks.get(name);
  }

  /**
   * The three parts, which add up to the total; null before the first piece was sent, and for a turn that
   * answers nobody (the greeting). Waiting for vendors is: decision → transcript, request → first sentence (the
   * model's tokens up to a speakable sentence), request → first audio.
   */
  parts(): LatencyParts | null {
    const lastVoiced = this.at('lastVoiced');
    const decided = this.at('decided');
    const firstSent = this.at('firstSent');
    if (lastVoiced === undefined || decided === undefined || firstSent === undefined) return null;
    const providerMs =
      this.#between('decided', 'transcript') +
      this.#between('modelRequested', 'firstSentence') +
      this.#between('speechRequested', 'firstAudio');
    const totalMs = Math.max(0, firstSent - lastVoiced);
    const endpointWaitMs = Math.max(0, decided - lastVoiced);
    return {
      endpointWaitMs,
      processingMs: Math.max(0, totalMs - endpointWaitMs - providerMs),
      providerMs,
      totalMs,
    };
  }

  #between(from: LatencyMark, to: LatencyMark): number {
    const start = this.at(from);
    const end = this.at(to);
    return start === undefined || end === undefined ? 0 : Math.max(0, end - start);
  }
}
