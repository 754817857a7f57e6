import type { Timer } from '../call/clock.ts';
import type { Member } from './chain-members.ts';
import type { CircuitAttempt } from './circuit-breaker.ts';
import type { ProviderError, SpeechToText, SpeechToTextSession } from './ports.ts';

/** Pauses of one utterance that are remembered: with more, the oldest is forgotten. */
const MOST_PAUSES = 500;

/** One utterance of a chain's session until its text is told: what has been done with it, so that it can be done once more. */
export class KeptUtterance {
  readonly number: number;
  /** Members that have had it and failed. */
  readonly tried = new Set<Member<SpeechToText>>();
  /** With the member that has it now. */
  circuit: CircuitAttempt | null = null;
  deadline: Timer | null = null;
  ended = false;
  /** It was no speech: nothing of it is told any more. */
  discarded = false;
  /** Why a part of it could not be given to the member that has it now. */
  lost: ProviderError | null = null;
  #samples = new Int16Array(0);
  /** Samples of it up to the first that is kept. */
  #start = 0;
  #end = 0;
  /** Positions of the caller's pauses, in samples from the start. */
  #pauses: number[] = [];

  constructor(number: number) {
    this.number = number;
  }

  /** Samples that were spoken. */
  get length(): number {
    return this.#end;
  }

  /** Samples that are kept. */
  get kept(): number {
    return this.#end - this.#start;
  }

  /** Whether its beginning is kept no more. */
  get cut(): boolean {
    return this.#start > 0;
  }

  push(samples: Int16Array): void {
    const needed = this.kept + samples.length;
    if (needed > this.#samples.length) {
      const larger = new Int16Array(Math.max(16_000, 2 * needed));
      larger.set(this.#samples.subarray(0, this.kept));
      this.#samples = larger;
    }
    this.#samples.set(samples, this.kept);
    this.#end += samples.length;
  }

  pause(): void {
    if (this.#pauses.at(-1) === this.#end) return;
    this.#pauses.push(this.#end);
    if (this.#pauses.length > MOST_PAUSES) this.#pauses.shift();
  }

  /** Forgets the oldest `samples` of what is kept. */
  forget(samples: number): void {
    this.#samples.copyWithin(0, samples, this.kept);
    this.#start += samples;
  }

  /** Lets go of the audio: it will not be needed again. */
  clear(): void {
    this.deadline?.cancel();
    this.deadline = null;
    this.#samples = new Int16Array(0);
    this.#start = this.#end;
    this.#pauses = [];
  }

  /** Speaks what is kept of it once more, with the caller's pauses where they were. */
  replay(session: SpeechToTextSession): void {
    let at = this.#start;
    const speakTo = (position: number): void => {
      if (position > at) session.push(this.#samples.slice(at - this.#start, position - this.#start));
      at = Math.max(at, position);
    };
    for (const position of this.#pauses) {
      if (position <= this.#start) continue;
      speakTo(position);
      session.pause();
    }
    speakTo(this.#end);
    if (this.ended) session.endUtterance();
  }
}
