import type { Duplex, DuplexEvent, DuplexOptions, DuplexSession } from '../providers/duplex.ts';
import { ProviderError } from '../providers/ports.ts';
import type { Clock } from './clock.ts';
import { internalNote } from './duplex-prompts.ts';

export interface DuplexModelOptions {
  clock: Clock;
  duplex: Duplex;
  session: Omit<DuplexOptions, 'signal'>;
  /** The line is down, or the call over: the model is told to go on later, or never. */
  mayGoOn(): boolean;
  onEvent(event: DuplexEvent): void;
  /** The model is lost for good. */
  onGone(error: ProviderError): void;
}

/** What a model is told whose conversation was broken off: told nothing, it would wait for the caller. */
const GO_ON =
  'The connection was broken for a moment. Go on with the conversation where it stopped: if the caller waits for an answer, give ' +
  'it now; else wait for the caller.';

/** The conversation with the model, from the call's side: whether it stands, and what the model has still to be told. */
export class DuplexModel {
  readonly #options: DuplexModelOptions;
  readonly #abort = new AbortController();
  #session: DuplexSession | null = null;
  /** The session's events have ended. */
  #over: Promise<void> = Promise.resolve();
  /** The model does not know that the conversation was broken off. */
  #hasToGoOn = false;
  #connected = false;
  #ended = false;

  constructor(options: DuplexModelOptions) {
    this.#options = options;
  }

  /** The model has a session. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Fires when the conversation is at its end. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** @param again the conversation was broken off, and is taken up. */
  open(again: boolean): void {
    const { duplex, session } = this.#options;
    this.#hasToGoOn = again;
    duplex.warm?.();
    this.#session = duplex.open({ ...session, signal: this.#abort.signal });
    this.#over = this.#listen(this.#session);
  }

  push(samples: Int16Array): void {
    this.#session?.push(samples);
  }

  /** Something to know and not to say. */
  note(text: string): void {
    this.#session?.note(internalNote(text));
  }

  /** Something to act upon now. */
  instruct(text: string): void {
    this.#session?.instruct(text);
  }

  answer(delegation: string, text: string): void {
    this.#session?.answer(delegation, text);
  }

  /** Tells the model to go on, if it has to be told and can be. */
  goOn(): void {
    if (!this.#hasToGoOn || !this.#connected || this.#ended || !this.#options.mayGoOn()) return;
    this.#hasToGoOn = false;
    this.#session?.instruct(GO_ON);
  }

  /** Ends the conversation, and waits for words that are still to come. */
  async end(timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    this.#ended = true;
    this.#session?.end();
    await new Promise<void>((resolve) => {
      const timer = clock.after(timeoutMs, resolve);
      void this.#over.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  close(): void {
    this.#ended = true;
    this.#abort.abort();
  }

  async #listen(session: DuplexSession): Promise<void> {
    try {
      for await (const event of session.events) this.#take(event);
      this.#gone(new ProviderError('duplex', 'unavailable', 'The session ended'));
    } catch (error) {
      this.#gone(
        error instanceof ProviderError
          ? error
          : new ProviderError('duplex', 'malformed', 'The session failed', { cause: error }),
      );
    }
  }

  #gone(error: ProviderError): void {
    if (!this.#ended) this.#options.onGone(error);
  }

  #take(event: DuplexEvent): void {
    if (event.type === 'begun') {
      this.#connected = true;
    } else if (event.type === 'lost') {
      this.#connected = false;
      this.#hasToGoOn = true;
    }
    this.#options.onEvent(event);
    if (event.type === 'begun') this.goOn();
  }
}
