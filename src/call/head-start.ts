import { AsyncQueue } from './async-queue.ts';

/**
 * A provider's answer that was asked for before it is certain to be wanted. It is gathered meanwhile; whoever takes it gets what
 * has come at once, and the rest as it comes.
 */
export class HeadStart<Event> {
  readonly #abort = new AbortController();
  readonly #events = new AsyncQueue<Event>();
  #error: unknown = null;
  #taken = false;

  /** @param observe sees each event as it comes. */
  constructor(start: (signal: AbortSignal) => AsyncIterable<Event>, observe: (event: Event) => void) {
    void this.#gather(start, observe);
  }

  /** It has come to nothing: better asked anew. */
  get failed(): boolean {
    return this.#error !== null;
  }

  /** Can be called once. Ends, or throws, as the provider does; `signal` ends the provider's work. */
  async *take(signal: AbortSignal): AsyncGenerator<Event, void, void> {
    this.#taken = true;
    const abort = () => this.discard();
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    try {
      for await (const event of this.#events) {
        if (signal.aborted) return;
        yield event;
      }
      if (this.#error !== null && !signal.aborted) throw this.#error;
    } finally {
      signal.removeEventListener('abort', abort);
      this.discard();
    }
  }

  get taken(): boolean {
    return this.#taken;
  }

  /** Nobody wants it any more. Idempotent. */
  discard(): void {
    this.#abort.abort(new DOMException('not wanted', 'AbortError'));
    this.#events.end();
  }

  async #gather(
    start: (signal: AbortSignal) => AsyncIterable<Event>,
    observe: (event: Event) => void,
  ): Promise<void> {
    const { signal } = this.#abort;
    try {
      for await (const event of start(signal)) {
        if (signal.aborted) return;
        observe(event);
        this.#events.push(event);
      }
    } catch (error) {
      if (!signal.aborted) this.#error = error;
    } finally {
      this.#events.end();
    }
  }
}
