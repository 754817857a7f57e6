/** A sentence on its way to the caller's ear. */
export interface Segment {
  readonly text: string;
  /** More of the text: where speech comes before its words. */
  append(text: string): void;
  /** It was said in other words. */
  reword(text: string): void;
  /** Milliseconds of its audio that the caller has heard. */
  readonly heardMs: number;
  /** Adds audio as the provider yields it. Without effect once the segment was cleared. */
  push(samples: Int16Array): void;
  /** No more audio follows. `complete`: it is the whole sentence, and not what came of it before a failure. */
  end(complete: boolean): void;
  /** Takes the sentence back, if nothing of it was sent. */
  withdraw(): void;
  /** True once every sample of it was heard, or it was cleared. */
  readonly over: boolean;
  /** Part of the text that the caller heard: all of it, or cut in proportion at a word boundary. */
  heardText(): string;
  /** When its first heard sample began and its last one ended, in milliseconds of the clock; null if none was. */
  readonly heardSpan: { from: number; until: number } | null;
}

/** Speaking rate used to guess the length of a sentence whose audio is still arriving: some 15 characters a second. */
const SPOKEN_CHARACTERS_PER_SECOND = 15;

/** A segment as the playout sees it: where its samples are on their way. It knows no clock; the playout tells it what was heard. */
export class PlayoutSegment implements Segment {
  text: string;
  heardSamples = 0;
  ended = false;
  /** The leg was asked to tell when it was played to its end. */
  marked = false;
  /** The leg was told that it was sent to its end. */
  flushed = false;
  onHeard: (() => void) | undefined;
  unsentSamples = 0;
  readonly #sampleRate: number;
  readonly #onChange: () => void;
  readonly #onFirstSent: (() => void) | undefined;
  #chunks: Int16Array[] = [];
  #totalSamples = 0;
  #announced = false;
  #cleared = false;
  #complete = false;
  heardSpan: { from: number; until: number } | null = null;

  constructor(text: string, sampleRate: number, onChange: () => void, onFirstSent?: () => void) {
    this.text = text;
    this.#sampleRate = sampleRate;
    this.#onChange = onChange;
    this.#onFirstSent = onFirstSent;
  }

  append(text: string): void {
    this.text += text;
  }

  reword(text: string): void {
    this.text = text;
  }

  get heardMs(): number {
    return (this.heardSamples * 1000) / this.#sampleRate;
  }

  get over(): boolean {
    return this.#cleared || (this.ended && this.heardSamples >= this.#totalSamples);
  }

  get heardWhole(): boolean {
    return this.#complete && this.heardSamples > 0 && this.heardSamples >= this.#totalSamples;
  }

  push(samples: Int16Array): void {
    if (this.#cleared || this.ended || samples.length === 0) return;
    this.#chunks.push(samples);
    this.unsentSamples += samples.length;
    this.#totalSamples += samples.length;
    this.#onChange();
  }

  end(complete: boolean): void {
    if (this.#cleared || this.ended) return;
    this.ended = true;
    this.#complete = complete;
    this.#onChange();
  }

  withdraw(): void {
    if (this.#announced) return;
    this.clear();
    this.#onChange();
  }

  clear(): void {
    this.#cleared = true;
    this.#chunks = [];
    this.unsentSamples = 0;
  }

  /** Takes back samples that were taken last. */
  putBack(samples: Int16Array): void {
    if (this.#cleared || samples.length === 0) return;
    this.#chunks.unshift(samples);
    this.unsentSamples += samples.length;
    this.flushed = false;
  }

  hear(samples: number, startedAt: number): void {
    this.heardSamples += samples;
    const until = startedAt + (samples * 1000) / this.#sampleRate;
    this.heardSpan = { from: this.heardSpan?.from ?? startedAt, until };
  }

  /** True once a piece of it was sent. */
  get announced(): boolean {
    return this.#announced;
  }

  /** The text, with the first piece only. */
  announce(): string | null {
    if (this.#announced) return null;
    this.#announced = true;
    this.#onFirstSent?.();
    return this.text;
  }

  /** Removes the first `count` unsent samples; a view where they lie in one chunk. */
  take(count: number): Int16Array {
    this.unsentSamples -= count;
    const first = this.#chunks[0]!;
    if (first.length >= count) {
      if (first.length === count) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    const piece = new Int16Array(count);
    let filled = 0;
    while (filled < count) {
      const chunk = this.#chunks[0]!;
      const part = chunk.subarray(0, count - filled);
      piece.set(part, filled);
      filled += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    return piece;
  }

  heardText(): string {
    if (this.heardSamples === 0) return '';
    if (this.#complete && this.heardSamples >= this.#totalSamples) return this.text;
    const guessed = (this.text.length / SPOKEN_CHARACTERS_PER_SECOND) * this.#sampleRate;
    const total = this.#complete ? this.#totalSamples : Math.max(this.#totalSamples, guessed);
    return cutAtWord(this.text, this.heardSamples / total);
  }
}

/** The words of `text` that end within the first `share` (0 to 1) of its characters. */
export function cutAtWord(text: string, share: number): string {
  const limit = Math.floor(text.length * share);
  if (limit >= text.length) return text;
  let end = 0;
  for (const word of text.matchAll(/\S+/g)) {
    const wordEnd = word.index + word[0].length;
    if (wordEnd > limit) break;
    end = wordEnd;
  }
  return text.slice(0, end);
}
