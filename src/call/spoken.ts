import type { HeardSentence } from './past-call.ts';
import type { Segment } from './playout-segment.ts';

/** What of a reply went out, in the order in which it is heard, and what of that the caller has heard. */
export class Spoken {
  readonly #parts: { segment: Segment; response: number | null }[] = [];

  /** The first audio of a segment went out. @param response of a model that speaks; null: a text that was spoken. */
  add(segment: Segment, response: number | null): void {
    this.#parts.push({ segment, response });
  }

  /** Whether anything of this response was sent. */
  has(response: number): boolean {
    return this.#parts.some((part) => part.response === response);
  }

  /** What the agent was last heard to say, to compare with what the caller says over it. */
  get latest(): string {
    return this.#parts
      .slice(-2)
      .map(({ segment }) => segment.text)
      .join(' ');
  }

  /** What the caller has heard so far. */
  get heardText(): string {
    return this.#parts
      .map(({ segment }) => segment.heardText().trim())
      .filter((text) => text !== '')
      .join(' ');
  }

  /** When the caller heard it, in milliseconds of the clock; null if nothing was heard. */
  get heardSpan(): { from: number; until: number } | null {
    const spans = this.#parts.flatMap(({ segment }) => segment.heardSpan ?? []);
    const first = spans[0];
    const last = spans.at(-1);
    return first === undefined || last === undefined ? null : { from: first.from, until: last.until };
  }

  /** Both of them; null if no word was heard. */
  get heard(): HeardSentence | null {
    const { heardSpan: span, heardText: text } = this;
    return span === null || text === '' ? null : { text, ...span };
  }

  /** Whether any of it was sent. */
  get begun(): boolean {
    return this.#parts.length > 0;
  }

  /** Whether a model that speaks has spoken any of it: it cannot say that again. */
  get isModels(): boolean {
    return this.#parts.some(({ response }) => response !== null);
  }

  /** True where a part was not heard to its end. */
  get cutShort(): boolean {
    return this.#parts.some(({ segment }) => segment.heardText() !== segment.text);
  }

  /** Texts that were spoken beside a model that speaks, as far as they were heard. */
  get lines(): string[] {
    return this.#parts
      .filter(({ response }) => response === null)
      .map(({ segment }) => segment.heardText())
      .filter((text) => text !== '');
  }

  /** Responses of a model that speaks which were not heard to their end. */
  get cutResponses(): { response: number; heardMs: number; heardText: string }[] {
    return this.#parts.flatMap(({ segment, response }) =>
      response === null || segment.heardText() === segment.text
        ? []
        : [{ response, heardMs: segment.heardMs, heardText: segment.heardText() }],
    );
  }
}
