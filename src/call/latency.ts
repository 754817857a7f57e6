import { type LatencyMoment, latencyMoments, type TurnLatency } from '../dialects/native-messages.ts';

/** The moments of a turn that latency is made of, in milliseconds since the epoch. */
export type LatencyMark =
  /** The caller's last voiced sample arrived. */
  | 'lastVoiced'
  | LatencyMoment
  | 'modelRequested'
  | 'speechRequested'
  /** From here on the answer may be heard: until then the caller may go on. */
  | 'speakFrom';

/** Collects the marks of one turn. The first setting of a mark counts: a second sentence is no first one. */
export class LatencyLedger {
  readonly #providers = new Set<string>();
  readonly #marks = new Map<LatencyMark, number>();

  mark(name: LatencyMark, at: number): void {
    if (!this.#marks.has(name)) this.#marks.set(name, at);
  }

  /** A provider has had a part in the turn. */
  served(provider: string): void {
    this.#providers.add(provider);
  }

  at(name: LatencyMark): number | undefined {
    return this.#marks.get(name);
  }

  /**
   * The three parts, which add up to the total; null before the first piece was sent, and for a turn that
   * answers nobody (the greeting). Waiting for vendors is: decision → transcript, request → first sentence (the
   * model's tokens up to a speakable sentence), request → first audio.
   */
  parts(): TurnLatency | null {
    const lastVoiced = this.at('lastVoiced');
    const decided = this.at('decided');
    const firstSent = this.at('firstSent');
    if (lastVoiced === undefined || decided === undefined || firstSent === undefined) return null;
    const providerMs =
      this.#between('decided', 'transcript') +
      this.#between('modelRequested', 'firstSentence') +
      this.#between('speechRequested', 'firstAudio');
    const totalMs = Math.max(0, firstSent - lastVoiced);
    // An answer that was ready before it might be heard has waited for the caller, not for us.
    const heldFrom = Math.max(decided, this.at('firstAudio') ?? firstSent);
    const heldMs = Math.max(0, Math.min(this.at('speakFrom') ?? 0, firstSent) - heldFrom);
    const endpointWaitMs = Math.max(0, decided - lastVoiced) + heldMs;
    const moments: TurnLatency['moments'] = {};
    for (const name of latencyMoments) {
      const at = this.at(name);
      if (at !== undefined) moments[name] = Math.max(0, at - lastVoiced);
    }
    return {
      endpointWaitMs,
      processingMs: Math.max(0, totalMs - endpointWaitMs - providerMs),
      providerMs,
      totalMs,
      moments,
      providers: [...this.#providers],
    };
  }

  #between(from: LatencyMark, to: LatencyMark): number {
    const start = this.at(from);
    const end = this.at(to);
    return start === undefined || end === undefined ? 0 : Math.max(0, end - start);
  }
}
