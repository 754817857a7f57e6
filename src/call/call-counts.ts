import type { CallEvent } from './events.ts';

/** How the conversation went, in numbers. Kept with the call. */
export interface CallCounts {
  /** The caller's turns that were answered with audio. */
  answered: number;
  /** The caller's turns that were taken for over, and went on before anything of the answer was heard. */
  reopened: number;
  /** The caller spoke over the agent, who stopped for good. */
  interruptions: number;
  /** The agent fell silent for a noise, or for its own echo, and went on. */
  falseInterruptions: number;
  /** The agent fell silent for an "uh-huh" and went on. */
  backchannels: number;
  /** Sentences of the agent's that it had said before in the call. */
  repeats: number;
  /** Answers begun before the turn was over: used, and thrown away. */
  speculationsUsed: number;
  speculationsDiscarded: number;
  /** Characters that the model wrote in the ones thrown away. */
  discardedCharacters: number;
  /** Sentences that could have been ready audio, and those that were. */
  cacheLookups: number;
  cacheHits: number;
  /** The socket was lost, and the client came back. */
  drops: number;
  resumes: number;
  /** Failures of providers and of the service. */
  failures: number;
  /** Of a call that we placed, and where it was judged: who has answered, how sure that is, and after how many milliseconds. */
  answeredBy?: 'human' | 'machine' | 'unknown';
  answeredByConfidence?: number;
  answeredByMs?: number;
  /** Who has judged. */
  answeredByJudge?: 'service' | 'node';
}

export const noCounts: CallCounts = {
  answered: 0,
  reopened: 0,
  interruptions: 0,
  falseInterruptions: 0,
  backchannels: 0,
  repeats: 0,
  speculationsUsed: 0,
  speculationsDiscarded: 0,
  discardedCharacters: 0,
  cacheLookups: 0,
  cacheHits: 0,
  drops: 0,
  resumes: 0,
  failures: 0,
};

/** Sentences remembered to find repeats. */
const MOST_SENTENCES = 2_000;

/** Counts a call by its events. */
export class CallCounter {
  readonly counts: CallCounts;
  readonly #said = new Set<string>();

  /** @param before what was counted before the call's object lost its memory. */
  constructor(before: CallCounts | null = null) {
    this.counts = { ...noCounts, ...before };
  }

  hear(event: CallEvent): void {
    const { counts } = this;
    switch (event.type) {
      case 'latency':
        counts.answered++;
        return;
      case 'turn.reopened':
        counts.reopened++;
        return;
      case 'overlap':
        if (event.outcome === 'interrupted') counts.interruptions++;
        else if (event.because === 'backchannel') counts.backchannels++;
        else counts.falseInterruptions++;
        return;
      case 'speculation':
        if (event.used) {
          counts.speculationsUsed++;
        } else {
          counts.speculationsDiscarded++;
          counts.discardedCharacters += event.characters;
        }
        return;
      case 'cache':
        counts.cacheLookups++;
        if (event.hit) counts.cacheHits++;
        return;
      case 'leg.lost':
        counts.drops++;
        return;
      case 'leg.resumed':
        counts.resumes++;
        return;
      case 'failure':
        counts.failures++;
        return;
      case 'answer.judged':
        counts.answeredBy = event.verdict;
        counts.answeredByConfidence = Math.round(event.confidence * 100) / 100;
        counts.answeredByMs = event.afterMs;
        counts.answeredByJudge = event.by;
        return;
      case 'transcript':
        // A sentence is told as it begins to be heard.
        if (event.role === 'agent' && !event.final) this.#sentence(event.text);
        return;
    }
  }

  #sentence(text: string): void {
    if (this.#said.has(text)) this.counts.repeats++;
    else if (this.#said.size < MOST_SENTENCES) this.#said.add(text);
  }
}
