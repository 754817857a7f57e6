import { CallCounter, type CallCounts } from '../call/call-counts.ts';
import { hasKeys } from '../call/dtmf.ts';
import type { CallEvent } from '../call/events.ts';
import type { HeardSentence, OwedAnswer } from '../call/past-call.ts';
import type { PendingTransfer } from '../call/transfer.ts';
import type { RecordedTransfer } from '../records/call-records.ts';
import type { Afterwards } from '../tools/afterwards.ts';

interface Progress {
  /** Of the agent's turn that is not over. */
  heard: HeardSentence[];
  unheard: string[];
  written: boolean;
  /** `heard` is all that was heard of a turn that a model speaks by itself. */
  partly: boolean;
  /** What the agent owes since an earlier restart. */
  owed: OwedAnswer | null;
  /** What the caller pressed and nobody has taken down yet. */
  keys: string;
  /** To be done once the agent's words were heard. */
  acts: readonly Afterwards[];
  /** The caller is being connected to somebody else. */
  transfer: PendingTransfer | null;
  /** That came to nothing, and the agent has not begun to say so. */
  untold: RecordedTransfer | null;
  counts: CallCounts | null;
  /** The number after the highest that a turn has had. */
  nextTurn: number;
}

/** What it needs of an object's `storage.kv`. */
export interface ValueStore {
  get<T>(key: string): T | undefined;
  put<T>(key: string, value: T): void;
  delete(key: string): boolean;
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
  readonly #kv: ValueStore;
  readonly #progress: Progress;
  readonly #counter: CallCounter;

  constructor(kv: ValueStore) {
    this.#kv = kv;
    const turn = { heard: [], unheard: [], written: true, partly: false };
    const none = { transfer: null, untold: null, counts: null, nextTurn: 0 };
    const empty = { ...turn, owed: null, acts: [], keys: '', ...none };
    // One that was written by an older version lacks the newer ones.
    this.#progress = { ...empty, ...kv.get<Progress>(KEY) };
    this.#counter = new CallCounter(this.#progress.counts);
  }

  read(): Progress {
    return this.#progress;
  }

  /** How the conversation has gone so far. */
  get counts(): CallCounts {
    return this.#counter.counts;
  }

  hear(event: CallEvent): void {
    this.#counter.hear(event);
    // Told of a turn that has begun. Kept with whatever is next: nothing is said of it that is not.
    if (event.type === 'transcript' && event.role === 'agent') {
      this.#progress.nextTurn = Math.max(this.#progress.nextTurn, event.turn + 1);
    }
    if (!this.#take(event)) return;
    this.#progress.counts = this.#counter.counts;
    this.#kv.put(KEY, this.#progress);
  }

  /** Whether anything is another now. */
  #take(event: CallEvent): boolean {
    switch (event.type) {
      case 'agent.sentence':
        return this.#takeSentence(event);
      case 'dtmf':
        this.#progress.keys = (this.#progress.keys + event.digit).slice(-MOST_KEYS);
        return true;
      case 'turn.recorded':
        if (event.turn.role === 'agent') return this.#turnOver();
        if (this.#progress.keys === '' || !hasKeys(event.turn.text)) return false;
        this.#progress.keys = '';
        return true;
      case 'agent.acts':
        this.#progress.acts = event.acts;
        return true;
      case 'transfer':
        this.#progress.transfer = event.state === 'over' ? null : event.transfer;
        this.#progress.untold = event.state === 'over' ? event.transfer : null;
        return true;
      case 'answer.judged':
        // It is among the counts. Whoever takes the call up talks to no machine.
        return true;
      case 'agent.owes':
        this.#progress.owed = event.owed;
        return true;
      default:
        return false;
    }
  }

  #takeSentence(event: Extract<CallEvent, { type: 'agent.sentence' }>): boolean {
    const progress = this.#progress;
    const { heard, unheard } = progress;
    // Whatever the agent says to a caller who is back says so.
    if (event.state === 'planned' || event.state === 'partly') progress.untold = null;
    switch (event.state) {
      case 'planned':
        if (unheard.length + heard.length === 0) progress.written = false;
        if (unheard.length + heard.length < MOST_SENTENCES) unheard.push(event.text);
        return true;
      case 'written':
        if (progress.written) return false;
        progress.written = true;
        return true;
      case 'heard': {
        const planned = unheard.indexOf(event.text);
        // What was planned before it was skipped: its speech has failed.
        if (planned >= 0) unheard.splice(0, planned + 1);
        // It is in there, or is with the next `partly`.
        if (progress.partly) return planned >= 0;
        heard.push({ text: event.text, from: event.from, until: event.until });
        return true;
      }
      case 'partly':
        heard.splice(0, heard.length, { text: event.text, from: event.from, until: event.until });
        progress.partly = true;
        progress.written = false;
        return true;
      case 'over':
        return this.#turnOver();
    }
  }

  #turnOver(): boolean {
    const { heard, unheard } = this.#progress;
    if (heard.length + unheard.length === 0) return false;
    heard.length = 0;
    unheard.length = 0;
    this.#progress.written = true;
    this.#progress.partly = false;
    return true;
  }

  /** The call has been delivered. */
  forget(): void {
    this.#kv.delete(KEY);
  }
}
