import type { EndReason } from './events.ts';
import type { HeardSentence, PastCall } from './past-call.ts';

/**
 * What makes the conversation of a call: takes the caller's audio, produces turns and the agent's audio. Here the
 * pipeline of speech-to-text, language model and text-to-speech; a speech-to-speech model stands behind the same
 * port. An engine speaks only through the call's `Playout` and tells only through its `CallEvents`.
 */
export interface Engine {
  /** The call has started: the agent speaks first. */
  begin(): void;
  /**
   * The caller's audio; the first sample lies at `position` of the recording. Keeps no reference to `samples`.
   *
   * @param arrivedAt milliseconds since the epoch.
   */
  audio(samples: Int16Array, position: number, arrivedAt: number): void;
  /**
   * What the caller has heard so far of the speech under way, where a model speaks by itself and cannot be had to say it again; null
   * where there is none. Whatever else is being said is told sentence by sentence (`agent.sentence`).
   */
  readonly heardOfSpeech: HeardSentence | null;
  /** The caller pressed a key. */
  dtmf(digit: string): void;
  /** The agent is to be silent and to listen, where it may be interrupted at all. */
  interrupt(): void;
  /** Whoever is there is no person, or does not listen: from now on nothing is said and nothing answered, but what `leave` says. */
  hush(): void;
  /** It is a person after all: what was said last is answered, and the conversation goes on. */
  unhush(): void;
  /** Says a text to its end and hangs up, as the last thing in the call. */
  leave(text: string): void;
  /** In place of `begin`: the call goes on from what was written down of it, once `resume` says that somebody listens. */
  recall(past: PastCall): void;
  /**
   * The caller is back from a transfer that came to nothing: the agent speaks first. `resume` follows.
   *
   * @param fact what the model has to know of it.
   */
  transferFailed(fact: string): void;
  /** The line is down, or the caller is being connected to somebody else: nobody hears anything. What was not heard is kept, what is being thought goes on. */
  suspend(): void;
  /** The line is back: the conversation goes on where it stopped. */
  resume(): void;
  /**
   * The call is over. Stops speaking at once and records what was heard; then waits, at most `timeoutMs`, for
   * words of the caller that are still being transcribed.
   */
  finish(timeoutMs: number): Promise<void>;
}

/** What an engine does to the leg, beside the audio. */
export interface EngineLeg {
  /** Whether `clear` takes back audio that the leg has not played yet. */
  readonly canClear: boolean;
  clear(): void;
  /** Ends the call. */
  hangUp(reason: EndReason): void;
}
