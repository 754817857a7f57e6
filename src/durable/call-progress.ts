import { CallCounter, type CallCounts } from '../call/call-counts.ts';
import { hasKeys } from '../call/dtmf.ts';
import type { CallEvent } from '../call/events.ts';
import type { HeardSentence } from '../call/past-call.ts';
import type { Afterwards } from '../tools/afterwards.ts';

interface Progress {
  /** Of the agent's turn that is not over. */
  heard: HeardSentence[];
  unheard: string[];
  written: boolean;
  /** What the caller pressed and nobody has taken down yet. */
  keys: string;
  /** To be done once the agent's words were heard. */
  acts: readonly Afterwards[];
  counts: CallCounts | null;
}

const KEY = 'progress';
/** Of one turn; a model that writes more has its later sentences lost with the object's memory. */
const MOST_SENTENCES = 200;
const MOST_KEYS = 64;

/**
 * Where the agent's turn stands, what is to follow it, and the caller's keys, in one entry of the object's storage: written with each
 * sentence and each key, so that a call that is taken up again says what was not heard, nothing twice, and asks for no key again.
 */
export class CallProgress {
  readonly #kv: SyncKvStorage;
  readonly #progress: Progress;
  readonly #counter: CallCounter;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
    const empty = { heard: [], unheard: [], written: true, acts: [], keys: '', counts: null };
    // One that was written by an older version lacks the newer ones.
    this.#progress = { ...empty, ...kv.get<Progress>(KEY) };
    this.#counter = new CallCounter(this.#progress.counts);
  }

  read(): Progress {
    return this.#progress;
  }

  hear(event: CallEvent): void {
    this.#counter.hear(event);
    const { heard, unheard } = this.#progress;
    if (event.type === 'agent.sentence') {
      if (event.state === 'planned') {
        if (unheard.length + heard.length === 0) this.#progress.written = false;
        if (unheard.length + heard.length < MOST_SENTENCES) unheard.push(event.text);
      } else if (event.state === 'written') {
        if (this.#progress.written) return;
        this.#progress.written = true;
      } else if (event.state === 'over') {
        if (heard.length + unheard.length === 0) return;
        heard.length = 0;
        unheard.length = 0;
        this.#progress.written = true;
      } else if (event.state === 'heard') {
        const { text, from, until } = event;
        const planned = unheard.indexOf(text);
        // What was planned before it was skipped: its speech has failed.
        if (planned >= 0) unheard.splice(0, planned + 1);
        heard.push({ text, from, until });
      }
    } else if (event.type === 'dtmf') {
      this.#progress.keys = (this.#progress.keys + event.digit).slice(-MOST_KEYS);
    } else if (event.type === 'turn.recorded' && event.turn.role === 'caller') {
      if (this.#progress.keys === '' || !hasKeys(event.turn.text)) return;
      this.#progress.keys = '';
    } else if (event.type === 'agent.acts') {
      this.#progress.acts = event.acts;
    } else {
      return;
    }
    this.#progress.counts = this.#counter.counts;
    this.#kv.put(KEY, this.#progress);
  }

  /** The call has been delivered. */
  forget(): void {
    this.#kv.delete(KEY);
  }
}
