import type { Clock, Timer } from '../../call/clock.ts';

/** A line that has sent nothing for so long sends silence: "supply a continuous microphone stream". */
const gapMs = 200;
/** Further ahead of real time than this, silence is left out: the model hears at the pace of a telephone, and would answer late. */
const mostAheadMs = 200;
/** Samples below it are silence: some −46 dB of full scale, less than the noise of most lines. */
const quietBelow = 160;

export interface InputOptions {
  clock: Clock;
  sampleRate: 8000 | 16000;
  /** Audio that is kept while there is no session, in milliseconds; the oldest goes first. */
  keepMs: number;
  send(samples: Int16Array): void;
}

/**
 * The caller's audio on its way to the model, whose time goes by with it: text that is appended while none comes is not read, and
 * after some 30 s the session is ended (https://developers.openai.com/api/docs/guides/live-conversations, "Understand when
 * context reaches the model"). So there is neither a gap in it nor, for long, more of it than time has gone by.
 */
export class LiveInput {
  readonly #options: InputOptions;
  readonly #samplesPerMs: number;
  #kept: Int16Array[] = [];
  #keptSamples = 0;
  /** When the session began; null: there is none. */
  #since: number | null = null;
  #sentMs = 0;
  #timer: Timer | null = null;

  constructor(options: InputOptions) {
    this.#options = options;
    this.#samplesPerMs = options.sampleRate / 1000;
  }

  /** A session begins. */
  open(): void {
    this.close();
    this.#since = this.#options.clock.now();
    this.#sentMs = 0;
    const kept = this.#kept;
    this.#kept = [];
    this.#keptSamples = 0;
    for (const samples of kept) this.#send(samples);
    this.#watch();
  }

  /** It is over. Idempotent. */
  close(): void {
    this.#since = null;
    this.#timer?.cancel();
    this.#timer = null;
  }

  push(samples: Int16Array): void {
    if (samples.length === 0) return;
    if (this.#since === null) this.#keep(samples);
    else if (this.#aheadMs(this.#since) < mostAheadMs || !isQuiet(samples)) this.#send(samples);
  }

  #keep(samples: Int16Array): void {
    this.#kept.push(samples.slice());
    this.#keptSamples += samples.length;
    while (this.#keptSamples > this.#options.keepMs * this.#samplesPerMs) {
      this.#keptSamples -= this.#kept.shift()!.length;
    }
  }

  #send(samples: Int16Array): void {
    this.#sentMs += samples.length / this.#samplesPerMs;
    this.#options.send(samples);
  }

  #aheadMs(since: number): number {
    return this.#sentMs - (this.#options.clock.now() - since);
  }

  #watch(): void {
    const since = this.#since;
    if (since === null) return;
    const behindMs = -this.#aheadMs(since);
    if (behindMs >= gapMs) this.#send(new Int16Array(Math.round(behindMs * this.#samplesPerMs)));
    const waitMs = gapMs + this.#aheadMs(since);
    this.#timer = this.#options.clock.after(Math.ceil(waitMs), () => this.#watch());
  }
}

function isQuiet(samples: Int16Array): boolean {
  return samples.every((sample) => sample < quietBelow && sample > -quietBelow);
}
