import type { Clock } from '../call/clock.ts';
import { families } from './call-report.ts';
import { addOne, type Sums } from './sums.ts';

/** How long an isolate collects refusals before it tells of them: a flood of them makes a request every so often. */
const COLLECT_MS = 2_000;
/** Longer than collecting and telling of two batches may take: who was to do it is gone. */
const GIVEN_UP_MS = 10_000;

/** What was refused: a call, or another request. */
export type RefusedThing = 'call' | 'request';

/** Takes an isolate's batch to the objects that count. Rejects where it did not arrive. */
export type SendRefusals = (isolate: string, batch: number, refusals: Sums) => Promise<void>;

/**
 * The refusals of one isolate. A batch is repeated under its number until it has arrived, so that it is counted once; with the isolate what it
 * has not told is lost, a few seconds' at most while the objects that count answer.
 */
export class RefusalTally {
  readonly #clock: Clock;
  readonly #isolate: string;
  #collected: Sums = {};
  #sending: { batch: number; sums: Sums } | null = null;
  #batches = 0;
  #busySince: number | null = null;

  constructor(clock: Clock, isolate: string) {
    this.#clock = clock;
    this.#isolate = isolate;
  }

  /** Counts one. What is returned, if anything, tells of it later, and is to be waited for in the background; it never rejects. */
  add(thing: RefusedThing, code: string, send: SendRefusals): Promise<void> | null {
    addOne(this.#collected, families.refusals, `${thing} ${code}`, 1);
    const now = this.#clock.now();
    if (this.#busySince !== null && now - this.#busySince < GIVEN_UP_MS) return null;
    this.#busySince = now;
    return this.#tell(send).finally(() => {
      this.#busySince = null;
    });
  }

  async #tell(send: SendRefusals): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#clock.after(COLLECT_MS, resolve);
    });
    // What did not arrive goes first, as it was: it may have arrived after all.
    for (let parts = 0; parts < 2; parts++) {
      if (this.#sending === null) {
        if (Object.keys(this.#collected).length === 0) return;
        this.#sending = { batch: ++this.#batches, sums: this.#collected };
        this.#collected = {};
      }
      const { batch, sums } = this.#sending;
      try {
        await send(this.#isolate, batch, sums);
      } catch {
        // The next refusal brings it along.
        return;
      }
      this.#sending = null;
    }
  }
}
