import type { Clock, Timer } from './clock.ts';
import { PlayoutSegment, type Segment } from './playout-segment.ts';

/** How a dialect wants its audio. All times are milliseconds. */
export interface PlayoutOptions {
  clock: Clock;
  sampleRate: 8000 | 16000;
  /** Length of a piece: what goes out in one message. */
  pieceMs: number;
  /** How far ahead of the caller's ear audio may be sent. */
  leadMs: number;
  /** Puts a piece on the line; `text` is the sentence, on its first piece only. Keeps no reference to `samples`. */
  send(samples: Int16Array, text: string | null): void;
  /** A sentence was sent whole: nothing of it is kept back to fill a piece. */
  flush(): void;
  /** Asks the leg to tell when everything sent so far was played (`markPlayed`). False: this leg does not tell. */
  mark(name: string): boolean;
  /** Audio has reached the caller's ear: at this moment of the clock, in order, each sample once. */
  onHeard(samples: Int16Array, startedAt: number): void;
}

/** A leg that does not tell of a mark within this time, from when it was due, has lost it. In milliseconds. */
const MARK_GRACE_MS = 2_000;
/** So many lost in a row, and the leg is one that does not tell. */
const MOST_LOST_MARKS = 2;
/** A leg that is further behind is not measured any better by one more mark. In milliseconds. */
const MOST_LAG_MS = 2_000;
/** Clocks and timers are no better than this: a mark that comes earlier than it can have been played tells nothing. */
const MARK_TOLERANCE_MS = 60;

/** What was sent to the leg and not yet heard. */
interface Piece {
  samples: Int16Array;
  segment: PlayoutSegment;
  startedAt: number;
  /** The leg was asked to tell when it was played, and has not told. */
  mark: string | null;
}

/**
 * The only place that knows what was sent and what was heard. It sends audio in pieces against absolute
 * deadlines, so that pacing does not drift, and keeps what is not yet heard.
 */
export class Playout {
  readonly #options: PlayoutOptions;
  readonly #pieceSamples: number;
  readonly #samplesPerMs: number;
  #segments: PlayoutSegment[] = [];
  /** Pieces that were sent and not yet heard, in order. */
  #unheard: Piece[] = [];
  /** How far the leg's playing lies behind our clock, as its marks told: network, jitter buffer. */
  #lagMs = 0;
  #nextMark = 0;
  #lostMarks = 0;
  /** When the last sample that was sent will have been heard. */
  #sentUntil = 0;
  #held = false;
  #notBefore = 0;
  #timer: Timer | null = null;
  /** When it fires. */
  #timerAt = 0;
  #waiters: { test: () => boolean; resolve: () => void }[] = [];
  #closed = false;

  constructor(options: PlayoutOptions) {
    this.#options = options;
    this.#samplesPerMs = options.sampleRate / 1000;
    this.#pieceSamples = options.pieceMs * this.#samplesPerMs;
  }

  /**
   * Opens the next sentence; it is heard after those before it. `onFirstSent` is called with its first piece.
   *
   * @param interject heard before the sentences of which nothing was sent yet. @param onHeard the whole of it was heard.
   */
  begin(text: string, onFirstSent?: () => void, interject = false, onHeard?: () => void): Segment {
    const segment = new PlayoutSegment(text, this.#options.sampleRate, () => this.#pump(), onFirstSent);
    segment.onHeard = onHeard;
    if (this.#closed) segment.clear();
    else if (interject) {
      const next = this.#segments.findIndex((other) => !other.announced);
      this.#segments.splice(next < 0 ? this.#segments.length : next, 0, segment);
    } else this.#segments.push(segment);
    return segment;
  }

  /** Everything before this moment is accounted for; it lies in the past while a piece is being heard. */
  get heardUntil(): number {
    return this.#unheard[0]?.startedAt ?? Number.POSITIVE_INFINITY;
  }

  /** Milliseconds of audio that the caller has yet to hear. */
  get queuedMs(): number {
    const now = this.#options.clock.now();
    const unsent = this.#segments.reduce((sum, segment) => sum + segment.unsentSamples, 0);
    return Math.max(0, this.#sentUntil + this.#lagMs - now) + unsent / this.#samplesPerMs;
  }

  /** When everything that was sent will have been heard: from then on the line is silent. */
  get silentFrom(): number {
    return this.#sentUntil + this.#lagMs;
  }

  /** True while there is anything to hear, or a sentence is open. */
  get busy(): boolean {
    return this.#segments.length > 0 || this.#unheard.length > 0;
  }

  /** Resolves when at most `ms` of audio is left to hear (with 0: when all was heard), or at `clear`. */
  async waitUntilQueued(ms: number): Promise<void> {
    const test = () => (ms <= 0 ? !this.busy : this.queuedMs <= ms);
    if (this.#closed || test()) return;
    await new Promise<void>((resolve) => {
      this.#waiters.push({ test, resolve });
      this.#schedule();
    });
  }

  /** Brings the account of what was heard up to now. */
  settle(): void {
    const now = this.#options.clock.now();
    while (this.#unheard.length > 0) {
      const piece = this.#unheard[0]!;
      if (this.#dueToBeHeard(piece) > now) break;
      if (piece.mark !== null) this.#lostMarks++;
      this.#unheard.shift();
      this.#hear(piece.samples, piece);
    }
    const over = this.#segments.filter((segment) => segment.over);
    if (over.length === 0) return;
    this.#segments = this.#segments.filter((segment) => !segment.over);
    for (const segment of over) {
      // One whose end was told after its last sample was due.
      this.#flushEnd(segment);
      if (segment.heardWhole) segment.onHeard?.();
    }
  }

  /** The leg has played everything up to this mark. */
  markPlayed(name: string): void {
    const piece = this.#unheard.find((sent) => sent.mark === name);
    if (piece === undefined) return;
    piece.mark = null;
    const lag = this.#options.clock.now() - this.#endOf(piece);
    if (lag < -MARK_TOLERANCE_MS) return;
    this.#lostMarks = 0;
    this.#lagMs = Math.min(MOST_LAG_MS, Math.max(0, lag));
    this.#pump();
  }

  #endOf(piece: Piece): number {
    return piece.startedAt + piece.samples.length / this.#samplesPerMs;
  }

  /** When a piece counts as heard, unless the leg tells so earlier. */
  #dueToBeHeard(piece: Piece): number {
    return this.#endOf(piece) + this.#lagMs + (piece.mark === null ? 0 : MARK_GRACE_MS);
  }

  /**
   * Stops where the caller is hearing now, until `resume`. What was sent and is not yet heard is kept to be sent again, and the
   * leg has to forget it; where it cannot (`takenBack` false), it counts as heard in its time.
   */
  hold(takenBack: boolean): void {
    if (this.#held || this.#closed) return;
    this.#held = true;
    this.settle();
    if (takenBack) this.#takeBack();
    this.#schedule();
  }

  /** Goes on where `hold` stopped. Without effect where nothing is held. */
  resume(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#pump();
  }

  /** Nothing goes out before this moment of the clock; until the next call. */
  notBefore(at: number): void {
    this.#notBefore = at;
    this.#pump();
  }

  /** True between `hold` and `resume` or `clear`. */
  get held(): boolean {
    return this.#held;
  }

  /** Puts what was sent and not heard back in front of what is still to be sent. */
  #takeBack(): void {
    const now = this.#options.clock.now();
    this.#hearPlaying(now);
    for (const { samples, segment, mark } of this.#unheard.reverse()) {
      segment.putBack(samples);
      if (mark !== null) segment.marked = false;
    }
    this.#unheard = [];
    this.#sentUntil = now;
  }

  /** What is being heard is heard up to now; the rest stays unheard. A mark that is still out holds up nothing here. */
  #hearPlaying(now: number): void {
    for (const playing of [...this.#unheard]) {
      const heard = Math.floor((now - this.#lagMs - playing.startedAt) * this.#samplesPerMs);
      if (heard <= 0) return;
      this.#hear(playing.samples.subarray(0, heard), playing);
      playing.samples = playing.samples.subarray(heard);
      if (playing.samples.length > 0) return;
      this.#unheard.shift();
    }
  }

  /**
   * The caller is to hear nothing more: forgets what was not heard. What was heard of each segment stays known.
   *
   * @param takenBack false: the leg cannot forget what it was sent, so that counts as heard.
   */
  clear(takenBack = true): void {
    this.settle();
    const now = this.#options.clock.now();
    if (takenBack) this.#hearPlaying(now);
    else for (const piece of this.#unheard) this.#hear(piece.samples, piece);
    this.#held = false;
    for (const segment of this.#segments) segment.clear();
    this.#segments = [];
    this.#unheard = [];
    if (takenBack) this.#sentUntil = now;
    this.#timer?.cancel();
    this.#timer = null;
    this.#wake();
  }

  /** Clears and takes no more audio. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.clear();
    this.#closed = true;
    this.#wake();
  }

  #hear(samples: Int16Array, piece: Piece): void {
    if (samples.length === 0) return;
    piece.segment.hear(samples.length, piece.startedAt);
    this.#options.onHeard(samples, piece.startedAt);
  }

  /** Sends what is due and arranges to be called again. */
  #pump(): void {
    if (this.#closed) return;
    this.settle();
    const now = this.#options.clock.now();
    for (const segment of this.#segments) {
      let piece = this.#take(segment, now);
      while (piece !== null) {
        this.#sendPiece(piece, segment, now);
        piece = this.#take(segment, now);
      }
      this.#flushEnd(segment);
      this.#markEnd(segment);
      // Sentences are heard in order: what follows waits for this one's audio.
      if (!segment.ended || segment.unsentSamples > 0) break;
    }
    this.#wake();
    this.#schedule();
  }

  /** The next piece of `segment` that may go out now, or null. */
  #take(segment: PlayoutSegment, now: number): Int16Array | null {
    const aheadMs = this.#sentUntil - now;
    if (this.#held || now < this.#notBefore) return null;
    if (segment.unsentSamples === 0 || aheadMs > this.#options.leadMs) return null;
    // A short piece costs as much as a whole one: unless the line runs dry, or nothing follows, wait for the rest.
    const short = segment.unsentSamples < this.#pieceSamples;
    if (short && !segment.ended && aheadMs > this.#options.pieceMs) return null;
    return segment.take(Math.min(this.#pieceSamples, segment.unsentSamples));
  }

  #sendPiece(samples: Int16Array, segment: PlayoutSegment, now: number): void {
    // After a pause the line starts anew from now; otherwise each piece starts where the last one ends.
    const startedAt = Math.max(this.#sentUntil, now);
    this.#sentUntil = startedAt + samples.length / this.#samplesPerMs;
    this.#unheard.push({ samples, segment, startedAt, mark: null });
    const text = segment.announce();
    this.#options.send(samples, text);
  }

  #flushEnd(segment: PlayoutSegment): void {
    if (!segment.ended || !segment.announced || segment.unsentSamples > 0 || segment.flushed) return;
    segment.flushed = true;
    this.#options.flush();
  }

  /** Asks to be told when a sentence that was sent whole has been played. */
  #markEnd(segment: PlayoutSegment): void {
    const last = this.#unheard.at(-1);
    const whole = segment.ended && segment.unsentSamples === 0 && !segment.marked;
    if (!whole || last?.segment !== segment || this.#lostMarks >= MOST_LOST_MARKS) return;
    const name = `sentence-${this.#nextMark}`;
    if (!this.#options.mark(name)) return;
    this.#nextMark++;
    segment.marked = true;
    last.mark = name;
  }

  #schedule(): void {
    const due = this.#nextDue();
    // With each piece that the provider yields this is asked anew, and is mostly what it was.
    if (this.#timer !== null && this.#timerAt === due) return;
    this.#timer?.cancel();
    this.#timer = null;
    if (due === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#options;
    this.#timerAt = due;
    // Rounded up: a timer that fires early would find nothing to do and be set again for the rest of a millisecond.
    this.#timer = clock.after(Math.max(0, Math.ceil(due - clock.now())), () => {
      this.#timer = null;
      this.#pump();
    });
  }

  /** When there is something to do next; infinity: not before something else happens. */
  #nextDue(): number {
    if (this.#closed || (!this.busy && this.#waiters.length === 0)) return Number.POSITIVE_INFINITY;
    const first = this.#unheard[0];
    const dueToHear = first === undefined ? Number.POSITIVE_INFINITY : this.#dueToBeHeard(first);
    return Math.min(this.#nextSendAt(), dueToHear);
  }

  /** When the next piece may go out; infinity where nothing is there to send until more audio arrives. */
  #nextSendAt(): number {
    if (this.#held) return Number.POSITIVE_INFINITY;
    const speaking = this.#segments.find((segment) => !segment.ended || segment.unsentSamples > 0);
    if (speaking === undefined || speaking.unsentSamples === 0) return Number.POSITIVE_INFINITY;
    const waitsForRest = !speaking.ended && speaking.unsentSamples < this.#pieceSamples;
    const due = this.#sentUntil - (waitsForRest ? this.#options.pieceMs : this.#options.leadMs);
    return Math.max(due, this.#notBefore);
  }

  #wake(): void {
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (this.#closed || waiter.test()) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }
}
