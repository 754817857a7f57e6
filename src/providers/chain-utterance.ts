import type { Timer } from '../call/clock.ts';
import type { Member } from './chain-members.ts';
import type { CircuitAttempt } from './circuit-breaker.ts';
import type { ProviderError, SpeechToText, SpeechToTextSession } from './ports.ts';

/** Audio is kept in blocks, so that a long utterance is neither copied as it grows nor has room to spare: a second at 8 kHz. */
const BLOCK_SAMPLES = 8_000;

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
  /** From the one on that holds sample `#start`. */
  #blocks: Int16Array[] = [];
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
    for (let taken = 0; taken < samples.length; ) {
      const filled = this.#end % BLOCK_SAMPLES;
      if (filled === 0 || this.#blocks.length === 0) this.#blocks.push(new Int16Array(BLOCK_SAMPLES));
      const part = Math.min(BLOCK_SAMPLES - filled, samples.length - taken);
      const whole = part === samples.length;
      this.#blocks.at(-1)!.set(whole ? samples : samples.subarray(taken, taken + part), filled);
      this.#end += part;
      taken += part;
    }
  }

  pause(): void {
    if (this.#pauses.at(-1) === this.#end) return;
    this.#pauses.push(this.#end);
    if (this.#pauses.length > MOST_PAUSES) this.#pauses.shift();
  }

  /** Forgets the oldest `samples` of what is kept. */
  forget(samples: number): void {
    const before = Math.floor(this.#start / BLOCK_SAMPLES);
    this.#start += samples;
    this.#blocks.splice(0, Math.floor(this.#start / BLOCK_SAMPLES) - before);
  }

  /** Lets go of the audio: it will not be needed again. */
  clear(): void {
    this.deadline?.cancel();
    this.deadline = null;
    this.#blocks = [];
    this.#start = this.#end;
    this.#pauses = [];
  }

  /** Speaks what is kept of it once more, with the caller's pauses where they were. */
  replay(session: SpeechToTextSession): void {
    let at = this.#start;
    const first = Math.floor(this.#start / BLOCK_SAMPLES);
    const speakTo = (position: number): void => {
      while (at < position) {
        const block = Math.floor(at / BLOCK_SAMPLES);
        const offset = at - block * BLOCK_SAMPLES;
        const part = Math.min(BLOCK_SAMPLES - offset, position - at);
        session.push(this.#blocks[block - first]!.subarray(offset, offset + part));
        at += part;
      }
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
