import { AsyncQueue } from '../../call/async-queue.ts';
import type { ProviderError, SpeechToTextEvent, SpeechToTextOptions } from '../ports.ts';
import type { Utterance } from './utterance.ts';

/** What a session tells the call. */
export class ListenEvents {
  readonly #options: SpeechToTextOptions;
  readonly #queue = new AsyncQueue<{ event: SpeechToTextEvent; utterance: Utterance | null }>();
  #language: string | null = null;

  constructor(options: SpeechToTextOptions) {
    this.#options = options;
  }

  /** The text so far, where it has changed. */
  interim(utterance: Utterance): void {
    const text = utterance.text(this.#options.language);
    if (text === '' || text === utterance.shown) return;
    utterance.shown = text;
    this.#emit({ type: 'interim', utterance: utterance.number, text }, utterance);
  }

  /** Everything up to the caller's pause is in the text. */
  stable(utterance: Utterance): void {
    const text = utterance.text(this.#options.language);
    if (text === '') return;
    utterance.shown = text;
    this.#emit({ type: 'interim', utterance: utterance.number, text, stable: true }, utterance);
  }

  endOfTurn(utterance: Utterance): void {
    if (utterance.text(this.#options.language) === '') return;
    this.#emit({ type: 'endOfTurn', utterance: utterance.number }, utterance);
  }

  /** @param languages the most frequent first. */
  languages(languages: readonly string[] | null | undefined): void {
    const language = languages?.[0];
    if (this.#options.language !== undefined || language === undefined || language === this.#language) return;
    this.#language = language;
    this.#emit({ type: 'language', language });
  }

  usage(provider: string, audioSeconds: number): void {
    this.#emit({ type: 'usage', usage: { provider, audioSeconds } });
  }

  /** @param lost why a part of it, or all, is missing. */
  finished(utterance: Utterance, lost: ProviderError | null): void {
    if (utterance.discarded) return;
    const { number } = utterance;
    const text = utterance.text(this.#options.language);
    if (lost === null) this.#emit({ type: 'final', utterance: number, text });
    else if (text !== '') this.#emit({ type: 'final', utterance: number, text, lost });
    else this.#emit({ type: 'failed', utterance: number, error: lost });
  }

  end(): void {
    this.#queue.end();
  }

  async *iterate(): AsyncGenerator<SpeechToTextEvent, void, void> {
    const { signal } = this.#options;
    for await (const { event, utterance } of this.#queue) {
      if (signal.aborted) return;
      // It was no speech: what has been understood of it, but not read, must not be shown any more.
      if (utterance?.discarded) continue;
      yield event;
      if (signal.aborted) return;
    }
  }

  #emit(event: SpeechToTextEvent, utterance: Utterance | null = null): void {
    this.#queue.push({ event, utterance });
  }
}
