import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Clock, Random, Timer } from '../call/clock.ts';
import type { SendSpans } from './otlp-request.ts';

/** Spans of one call that wait to be sent. A turn has about eight; while a collector is away a call of five minutes has room for all its own. */
const MOST_WAITING = 512;
/** Spans of one request: some 60 KB, and a call may have that many twice before one is dropped. */
const MOST_AT_ONCE = 128;
/** Of one batch: what is refused so often is dropped. With the waits between them a collector may be away for half a minute. */
const MOST_ATTEMPTS = 5;
/** Before the second attempt; doubled for each further one. */
const FIRST_WAIT_MS = 1_000;
/** A collector that wants to be left alone for longer than this does without the batch. */
const LONGEST_WAIT_MS = 30_000;
/** An object whose call is over stays no longer for its spans: while it is in memory it costs what a call costs. */
const CLOSING_MS = 30_000;

export interface SpanExportOptions {
  send: SendSpans;
  clock: Clock;
  random: Random;
  /** How long spans wait for more. */
  delayMs: number;
  /** Work that the object stays alive for. */
  background(work: Promise<void>): void;
  /** The collector did not take spans: the first time, and with how many were lost at the end. */
  onTrouble(trouble: { why: string; lost: number } | { lost: number }): void;
}

/**
 * Takes the finished spans of one call and sends them, in batches and one request at a time, so that an object's six connections
 * stay the call's own. Nobody waits for it. What there is no room for, and what the collector refuses for good, is dropped and counted.
 */
export class SpanExport implements SpanProcessor {
  readonly #options: SpanExportOptions;
  #waiting: ReadableSpan[] = [];
  #timer: Timer | null = null;
  #running: Promise<void> | null = null;
  /** When nothing is tried any more; known once the call is over. */
  #deadline = Number.POSITIVE_INFINITY;
  #troubled = false;
  #lost = 0;

  constructor(options: SpanExportOptions) {
    this.#options = options;
  }

  /** Spans that no collector has. */
  get lost(): number {
    return this.#lost;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    // The oldest goes: the last of all is the call's own, below which the others stand.
    if (this.#waiting.length >= MOST_WAITING) {
      this.#waiting.shift();
      this.#lost++;
    }
    this.#waiting.push(span);
    if (this.#waiting.length >= MOST_AT_ONCE) this.#flushSoon();
    else this.#timer ??= this.#options.clock.after(this.#options.delayMs, () => this.#flushSoon());
  }

  /** Sends what is waiting. */
  forceFlush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** The call is over: the rest is sent, and what was lost is told. */
  async shutdown(): Promise<void> {
    this.#deadline = this.#options.clock.now() + CLOSING_MS;
    await this.forceFlush();
    // What came while the last of a run was under way.
    await this.forceFlush();
    if (this.#lost > 0) this.#options.onTrouble({ lost: this.#lost });
  }

  #flushSoon(): void {
    if (this.#running === null) this.#options.background(this.forceFlush());
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#sendBatch(this.#waiting.splice(0, MOST_AT_ONCE));
  }

  async #sendBatch(batch: readonly ReadableSpan[]): Promise<void> {
    const { send, random, clock } = this.#options;
    for (let attempt = 1; ; attempt++) {
      if (clock.now() >= this.#deadline) {
        this.#lose(batch.length, 'no time is left');
        return;
      }
      const sent = await send(batch);
      if (sent.outcome === 'taken') {
        if (sent.rejected > 0) this.#lose(Math.min(sent.rejected, batch.length), 'a part was rejected');
        return;
      }
      const backOff = FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.5 + random.fraction() / 2);
      const wait = sent.outcome === 'again' ? Math.max(sent.afterMs, backOff) : Number.POSITIVE_INFINITY;
      const over = clock.now() + wait > this.#deadline;
      if (attempt >= MOST_ATTEMPTS || wait > LONGEST_WAIT_MS || over) {
        this.#lose(batch.length, sent.why);
        return;
      }
      await this.#pause(wait);
    }
  }

  #lose(spans: number, why: string): void {
    this.#lost += spans;
    if (this.#troubled) return;
    this.#troubled = true;
    this.#options.onTrouble({ why, lost: spans });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.after(ms, resolve);
    });
  }
}
