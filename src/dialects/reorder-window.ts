/**
 * Puts numbered frames back into their order. A frame that comes too early waits for those before it, until `depth` wait: then
 * what is missing counts as lost. One that comes after its turn, or twice, is dropped. Frames, not time, move the window: they
 * come 50 a second. Where nothing but such ones comes for ten times `depth`, the far end counts anew.
 */
export class ReorderWindow<T> {
  readonly #depth: number;
  readonly #deliver: (frame: T, lostBefore: number) => void;
  /** The number that is to come; null before the first. */
  #next: number | null = null;
  /** Frames in a row that came after their turn. */
  #late = 0;
  /** Sorted. */
  #waiting: { number: number; frame: T }[] = [];

  /** `deliver` is called in order; `lostBefore` frames are missing before this one. */
  constructor(depth: number, deliver: (frame: T, lostBefore: number) => void) {
    this.#depth = depth;
    this.#deliver = deliver;
  }

  push(number: number, frame: T): void {
    if (this.#next !== null && number < this.#next) {
      this.#late++;
      if (this.#late < 10 * this.#depth) return;
      this.#next = null;
      this.#waiting = [];
    }
    this.#late = 0;
    if (this.#next === null || number === this.#next) {
      this.#next = number + 1;
      this.#deliver(frame, 0);
      if (this.#waiting.length > 0) this.#deliverWaiting();
      return;
    }
    const at = this.#waiting.findIndex((other) => other.number >= number);
    if (this.#waiting[at]?.number === number) return;
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, { number, frame });
    if (this.#waiting.length >= this.#depth) this.#giveUp();
  }

  /** Nothing more comes: what waits is delivered. */
  flush(): void {
    while (this.#waiting.length > 0) this.#giveUp();
  }

  #deliverWaiting(): void {
    while (this.#waiting[0]?.number === this.#next) {
      const { number, frame } = this.#waiting.shift()!;
      this.#next = number + 1;
      this.#deliver(frame, 0);
    }
  }

  #giveUp(): void {
    const { number, frame } = this.#waiting.shift()!;
    const lost = number - this.#next!;
    this.#next = number + 1;
    this.#deliver(frame, lost);
    this.#deliverWaiting();
  }
}
