/** A queue that is filled at once and read by one `for await`, which ends after `end` and the last item. */
export class AsyncQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #ended = false;
  #wake: (() => void) | null = null;
  readonly #onPush: ((item: T) => void) | undefined;

  /** @param onPush told of each item when it comes, before anybody reads it. */
  constructor(onPush?: (item: T) => void) {
    this.#onPush = onPush;
  }

  /** Without effect after `end`. */
  push(item: T): void {
    if (this.#ended) return;
    this.#onPush?.(item);
    this.#items.push(item);
    this.#wake?.();
  }

  /** No more items follow. Idempotent. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (;;) {
      if (this.#items.length > 0) yield this.#items.shift() as T;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = null;
      }
    }
  }
}
