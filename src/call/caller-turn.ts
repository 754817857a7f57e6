import { joinTranscripts } from '../text/join.ts';
import type { Clock, Timer } from './clock.ts';
import type { Utterance } from './listener.ts';
import type { TurnEnd } from './turn-end.ts';

/** A caller's turn that is over: one utterance, or several with pauses between them. */
export interface FinishedTurn {
  text: string;
  /** Samples from the start of the recording. */
  startSample: number;
  endSample: number;
  /** Milliseconds since the epoch: the last voiced sample, and the decision that the turn is over. */
  lastVoicedAt: number;
  decidedAt: number;
  /** Until then the caller may go on: nothing of the answer is to be heard before. */
  speakFrom: number;
  /** What was said since a turn that was taken for over was opened again; null: it was not. */
  added: string | null;
}

/**
 * Gathers the caller's utterances into a turn, and decides by what was said how long to wait for more. A turn that breaks off
 * ("my number is oh seven…") stays open, and what the caller adds is one turn with it.
 */
export class CallerTurn {
  readonly #clock: Clock;
  readonly #end: TurnEnd;
  readonly #language: string | undefined;
  readonly #onFinished: (turn: FinishedTurn) => void;
  #utterances: { utterance: Utterance; text: string }[] = [];
  /** What the last turn was made of. */
  #finished: { utterance: Utterance; text: string }[] = [];
  /** So many of the utterances were taken for a whole turn already. */
  #reopened = 0;
  #timer: Timer | null = null;
  /** The caller speaks, or is still being understood: the turn cannot end. */
  #held = false;

  constructor(options: {
    clock: Clock;
    end: TurnEnd;
    language: string | null;
    onFinished(turn: FinishedTurn): void;
  }) {
    this.#clock = options.clock;
    this.#end = options.end;
    this.#language = options.language ?? undefined;
    this.#onFinished = options.onFinished;
  }

  /** True while something was said that has not become a finished turn. */
  get open(): boolean {
    return this.#utterances.length > 0;
  }

  /** The turn cannot end now: the caller has begun to speak, or the agent may not be interrupted. */
  hold(): void {
    this.#held = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Nothing stands in the way any more: the wait goes on from the last voiced sample. */
  release(): void {
    this.#held = false;
    this.#arm();
  }

  /** Adds what was understood of an utterance, not empty. */
  add(utterance: Utterance, text: string): void {
    const last = this.#utterances.at(-1)?.utterance;
    if (last !== undefined) {
      const pause = pauseBetween(last, utterance);
      // A longer one is none of the caller's, he waited for us; unless nothing was heard of us.
      const goesOn = this.#utterances.length === this.#reopened;
      if (goesOn || pause <= this.#end.waitMs(this.textWith(''))) this.#end.learnPause(pause);
    }
    this.#utterances.push({ utterance, text });
    this.#arm();
  }

  /** The last turn was not over, and is the beginning of this one. False: there is none. */
  reopen(): boolean {
    if (this.#finished.length === 0) return false;
    this.#reopened = this.#finished.length;
    this.#utterances.unshift(...this.#finished);
    this.#finished = [];
    return true;
  }

  /** The turn so far, with what is being said; empty where nothing was. */
  textWith(more: string): string {
    return this.#joined([...this.#utterances.map(({ text }) => text), more]);
  }

  #joined(texts: string[]): string {
    return joinTranscripts(
      texts.filter((text) => text !== ''),
      this.#language,
    );
  }

  /** Somebody who has heard more than the words judges that the turn is over with this utterance. */
  judgedOver(number: number): void {
    const last = this.#utterances.at(-1)?.utterance;
    if (last?.number !== number) return;
    last.endedBy = 'endOfTurn';
    this.#arm();
  }

  /** Nothing more is waited for. */
  finish(): void {
    this.#held = false;
    const turn = this.take();
    if (turn !== null) this.#onFinished(turn);
  }

  /** Takes what was said so far, without waiting; null if nothing was. */
  take(): FinishedTurn | null {
    this.#timer?.cancel();
    this.#timer = null;
    const first = this.#utterances[0]?.utterance;
    const last = this.#utterances.at(-1)?.utterance;
    if (first === undefined || last === undefined) return null;
    const text = this.textWith('');
    // When the wait was over; a transcript that came later than that is the provider's time.
    const waitMs = last.endedBy === 'endOfTurn' ? 0 : this.#end.waitMs(text);
    const waitedUntil = Math.min(this.#clock.now(), last.lastVoicedAt + waitMs);
    const speakFrom = last.endedBy === 'silence' ? last.lastVoicedAt + this.#end.speakMs(text) : waitedUntil;
    const added = this.#utterances.slice(this.#reopened).map((said) => said.text);
    const wentOn = this.#reopened > 0;
    this.#end.turnFinished();
    this.#finished = this.#utterances;
    this.#utterances = [];
    this.#reopened = 0;
    return {
      text,
      speakFrom,
      added: wentOn ? this.#joined(added) : null,
      startSample: first.startSample,
      endSample: last.endSample,
      lastVoicedAt: last.lastVoicedAt,
      decidedAt: Math.max(last.decidedAt, waitedUntil),
    };
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const last = this.#utterances.at(-1)?.utterance;
    if (this.#held || last === undefined) return;
    // A provider that listens for the end of the turn has heard more than the words.
    const waitMs = last.endedBy === 'endOfTurn' ? 0 : this.#end.waitMs(this.textWith(''));
    const wait = last.lastVoicedAt + waitMs - this.#clock.now();
    if (wait <= 0) this.finish();
    else this.#timer = this.#clock.after(wait, () => this.finish());
  }
}

/** Silence between two utterances, in milliseconds of the clock: the second began before it was decided to be one. */
function pauseBetween(first: Utterance, second: Utterance): number {
  return Math.max(0, second.startedAt - first.lastVoicedAt);
}

/** An entry of keys as an utterance. @param now milliseconds since the epoch. @param sample where in the recording that is. */
export function utteranceOfKeys(now: number, sample: number): Utterance {
  return {
    number: -1,
    startSample: sample,
    endSample: sample,
    startedAt: now,
    lastVoicedAt: now,
    decidedAt: now,
    endedBy: 'keys',
  };
}
