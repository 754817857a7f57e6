/** A caller's turn as it stands in the record. */
export interface CallerSpan {
  text: string;
  /** Samples from the start of the recording. */
  startSample: number;
  endSample: number;
}

/** A turn cannot grow for ever: so many characters are some ten minutes. */
const MOST_CHARACTERS = 20_000;

/** What the caller has said since the last turn of the caller's was written down. */
export class CallerWords {
  #text = '';
  #startSample: number | null = null;
  #endSample = 0;

  get text(): string {
    return this.#text.trim();
  }

  /** The caller's voice was heard there. */
  voiced(from: number, until: number): void {
    this.#startSample ??= from;
    this.#endSample = Math.max(this.#endSample, until);
  }

  /** A piece of text with its own spaces. */
  add(text: string): void {
    if (this.#text.length < MOST_CHARACTERS) this.#text += text;
  }

  /** The last words were none of the caller's. */
  withdraw(text: string): void {
    if (this.#text.endsWith(text)) this.#text = this.#text.slice(0, this.#text.length - text.length);
  }

  /** Null if there were no words. */
  take(): CallerSpan | null {
    const { text } = this;
    const startSample = this.#startSample ?? this.#endSample;
    const endSample = Math.max(startSample, this.#endSample);
    this.#text = '';
    this.#startSample = null;
    return text === '' ? null : { text, startSample, endSample };
  }
}
