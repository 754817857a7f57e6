/** A gap no longer than this, in milliseconds, was the network's; a longer one is the agent's own pause. */
const JITTER_GAP_MS = 200;
/** After such a gap this much is gathered before playing goes on, so that one late piece is not followed by the next. */
const PREFILL_MS = 60;
/** A service that sends without measure is refused what comes beyond this. */
const CAPACITY_MS = 120_000;

/**
 * The agent's audio on its way to the ear, at the line's rate: taken out in real time, silence where nothing is left. It
 * forgets everything at `clear`, and tells of a mark when the sample before it was taken out.
 */
export class JitterBuffer {
  readonly #samplesPerMs: number;
  readonly #onMark: (name: string) => void;
  #chunks: Int16Array[] = [];
  #queued = 0;
  /** Counted from the beginning of the call, silence left out. */
  #taken = 0;
  #marks: { position: number; name: string }[] = [];
  /** Samples of silence given out since the last of audio; null before the first. */
  #drySince: number | null = null;
  /** Samples that are still waited for, at the longest, before playing goes on. */
  #waiting = 0;
  /** Times that the network was late. */
  underruns = 0;

  /** @param sampleRate in Hz. */
  constructor(sampleRate: number, onMark: (name: string) => void) {
    this.#samplesPerMs = sampleRate / 1000;
    this.#onMark = onMark;
  }

  get queuedMs(): number {
    return this.#queued / this.#samplesPerMs;
  }

  /** Takes a piece, of which it keeps the reference. False: too much is waiting already. */
  push(samples: Int16Array): boolean {
    if (this.queuedMs >= CAPACITY_MS) return false;
    const gap = this.#drySince;
    if (this.#queued === 0 && gap !== null && gap > 0 && gap <= JITTER_GAP_MS * this.#samplesPerMs) {
      this.underruns++;
      this.#waiting = PREFILL_MS * this.#samplesPerMs;
    }
    this.#chunks.push(samples);
    this.#queued += samples.length;
    return true;
  }

  /** Names the end of what was pushed so far. */
  mark(name: string): void {
    this.#marks.push({ position: this.#taken + this.#queued, name });
    this.#tellMarks();
  }

  /** Forgets what was not taken; the marks in it are never told, since nobody heard them. */
  clear(): void {
    this.#chunks = [];
    this.#queued = 0;
    this.#marks = [];
    this.#waiting = 0;
    this.#drySince = null;
  }

  /** Fills `out` with what comes next. */
  pull(out: Int16Array): void {
    let filled = 0;
    if (this.#waiting > 0) {
      if (this.#queued >= PREFILL_MS * this.#samplesPerMs) this.#waiting = 0;
      else this.#waiting = Math.max(0, this.#waiting - out.length);
    }
    while (this.#waiting === 0 && filled < out.length && this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      const part = chunk.subarray(0, out.length - filled);
      out.set(part, filled);
      filled += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    out.fill(0, filled);
    this.#queued -= filled;
    this.#taken += filled;
    if (filled > 0) this.#drySince = out.length - filled;
    else if (this.#drySince !== null) this.#drySince += out.length;
    this.#tellMarks();
  }

  #tellMarks(): void {
    while (this.#marks[0] !== undefined && this.#marks[0].position <= this.#taken) {
      this.#onMark(this.#marks.shift()!.name);
    }
  }
}
