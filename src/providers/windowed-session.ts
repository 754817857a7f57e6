import { AsyncQueue } from '../call/async-queue.ts';
import { joinTranscripts } from '../text/join.ts';
import type {
  ProviderError,
  SpeechToTextEvent,
  SpeechToTextOptions,
  SpeechToTextSession,
  Usage,
} from './ports.ts';
import { isSilent, quietestCut } from './window-cut.ts';

/** One window of audio to its text. Rejects with `ProviderError`, or with anything once the signal has fired. */
export type Transcribe = (
  samples: Int16Array,
  signal: AbortSignal,
) => Promise<{ text: string; usage: Usage }>;

export interface WindowOptions {
  /** Speech longer than this is transcribed while it goes on, in windows of at most this length; 0 or Infinity: never. */
  bufferMs: number;
  /** Windows being transcribed at once; the others wait. A Durable Object has six connections for everything. */
  maxInFlight: number;
}

/** Without windows, the longest that is kept as one: 19 MB at 16 kHz, under the 25 MB that OpenAI takes. */
const longestWindowMs = 600_000;

/** OpenAI refuses less than 100 ms of audio; what is shorter is filled up with silence. */
const shortestWindowMs = 200;

interface Window {
  /** Null while it is being transcribed; empty if nothing was understood. */
  text: string | null;
  error: ProviderError | null;
}

class Utterance {
  readonly windows: Window[] = [];
  readonly abort = new AbortController();
  ended = false;
  interim = '';
}

/**
 * A speech-to-text session over a transcriber of whole files. Windows are cut where the speech is quietest, are sent at
 * once, and their texts are joined in the order of the audio. Utterances become final in the order in which they were
 * spoken, whichever text comes first.
 *
 * Where a window fails, the utterance is made of the others' text, if there is any: half a sentence is worth more to a
 * caller than none. Only without any text is it `failed`.
 */
export class WindowedSession implements SpeechToTextSession {
  readonly events: AsyncIterable<SpeechToTextEvent>;
  readonly #transcribe: Transcribe;
  readonly #options: SpeechToTextOptions;
  readonly #maxInFlight: number;
  readonly #windowSamples: number;
  readonly #queue = new AsyncQueue<{ event: SpeechToTextEvent; utterance: Utterance }>();
  /** Audio of the current utterance that has not been sent. */
  #buffer: Int16Array;
  #filled = 0;
  /** Not yet final, the oldest first; the last is being spoken. */
  #utterances: Utterance[] = [new Utterance()];
  /** Number of the oldest of them. */
  #oldest = 0;
  #waiting: { utterance: Utterance; window: Window; samples: Int16Array }[] = [];
  #inFlight = 0;

  constructor(transcribe: Transcribe, options: SpeechToTextOptions, windows: WindowOptions) {
    this.#transcribe = transcribe;
    this.#options = options;
    this.#maxInFlight = windows.maxInFlight;
    const windowMs = windows.bufferMs > 0 ? Math.min(windows.bufferMs, longestWindowMs) : longestWindowMs;
    this.#windowSamples = Math.round((options.sampleRate * windowMs) / 1000);
    this.#buffer = new Int16Array(Math.min(this.#windowSamples, 2 * options.sampleRate));
    this.events = this.#iterate();
    if (options.signal.aborted) this.#close();
    else options.signal.addEventListener('abort', () => this.#close(), { once: true });
  }

  push(samples: Int16Array): void {
    if (this.#options.signal.aborted) return;
    for (let taken = 0; taken < samples.length; ) {
      if (this.#filled === this.#windowSamples) this.#sendWindow();
      const part = Math.min(samples.length - taken, this.#windowSamples - this.#filled);
      this.#reserve(this.#filled + part);
      this.#buffer.set(samples.subarray(taken, taken + part), this.#filled);
      this.#filled += part;
      taken += part;
    }
  }

  endUtterance(): number {
    const number = this.#oldest + this.#utterances.length - 1;
    const utterance = this.#current;
    if (this.#filled > 0) this.#send(utterance, this.#buffer.slice(0, this.#filled));
    this.#filled = 0;
    utterance.ended = true;
    this.#utterances.push(new Utterance());
    this.#settle();
    return number;
  }

  discardUtterance(): void {
    const utterance = this.#current;
    this.#filled = 0;
    this.#waiting = this.#waiting.filter((job) => job.utterance !== utterance);
    this.#utterances[this.#utterances.length - 1] = new Utterance();
    utterance.abort.abort();
  }

  get #current(): Utterance {
    return this.#utterances.at(-1)!;
  }

  #reserve(samples: number): void {
    if (samples <= this.#buffer.length) return;
    const larger = new Int16Array(Math.min(this.#windowSamples, Math.max(samples, 2 * this.#buffer.length)));
    larger.set(this.#buffer.subarray(0, this.#filled));
    this.#buffer = larger;
  }

  /** Sends the full buffer up to its quietest place; what stands behind it begins the next window. */
  #sendWindow(): void {
    const cut = quietestCut(this.#buffer.subarray(0, this.#filled), this.#options.sampleRate);
    this.#send(this.#current, this.#buffer.slice(0, cut));
    this.#buffer.copyWithin(0, cut, this.#filled);
    this.#filled -= cut;
  }

  #send(utterance: Utterance, samples: Int16Array): void {
    const silent = isSilent(samples, this.#options.sampleRate);
    const window: Window = { text: silent ? '' : null, error: null };
    utterance.windows.push(window);
    if (silent) return;
    const shortest = (this.#options.sampleRate * shortestWindowMs) / 1000;
    const padded = new Int16Array(Math.max(samples.length, shortest));
    padded.set(samples);
    this.#waiting.push({ utterance, window, samples: padded });
    this.#startWaiting();
  }

  #startWaiting(): void {
    while (this.#inFlight < this.#maxInFlight) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      this.#inFlight++;
      void this.#run(job.utterance, job.window, job.samples);
    }
  }

  async #run(utterance: Utterance, window: Window, samples: Int16Array): Promise<void> {
    try {
      const { text, usage } = await this.#transcribe(samples, utterance.abort.signal);
      window.text = text;
      this.#queue.push({ event: { type: 'usage', usage }, utterance });
    } catch (error) {
      window.text = '';
      window.error = error as ProviderError;
    }
    this.#inFlight--;
    this.#startWaiting();
    this.#settle();
  }

  /** Emits what has become certain. */
  #settle(): void {
    for (;;) {
      const utterance = this.#utterances[0]!;
      const understood = joinTranscripts(textsOf(utterance), this.#options.language);
      const complete = utterance.ended && utterance.windows.every((window) => window.text !== null);
      if (!complete) {
        if (understood === '' || understood === utterance.interim) return;
        utterance.interim = understood;
        this.#emit(utterance, { type: 'interim', utterance: this.#oldest, text: understood });
        return;
      }
      const error = utterance.windows.find((window) => window.error !== null)?.error ?? null;
      this.#emit(
        utterance,
        error !== null && understood === ''
          ? { type: 'failed', utterance: this.#oldest, error }
          : {
              type: 'final',
              utterance: this.#oldest,
              text: understood,
              ...(error === null ? {} : { lost: error }),
            },
      );
      this.#utterances.shift();
      this.#oldest++;
    }
  }

  #emit(utterance: Utterance, event: SpeechToTextEvent): void {
    this.#queue.push({ event, utterance });
  }

  async *#iterate(): AsyncGenerator<SpeechToTextEvent, void, void> {
    for await (const { event, utterance } of this.#queue) {
      if (this.#options.signal.aborted) return;
      // It was no speech: what has been understood of it, but not read, must not be shown any more.
      if (event.type === 'interim' && utterance.abort.signal.aborted) continue;
      yield event;
      if (this.#options.signal.aborted) return;
    }
  }

  #close(): void {
    this.#waiting = [];
    this.#filled = 0;
    for (const utterance of this.#utterances) utterance.abort.abort(this.#options.signal.reason);
    this.#queue.end();
  }
}

/** Texts of the windows up to the first that is still being transcribed. */
function textsOf(utterance: Utterance): string[] {
  const texts: string[] = [];
  for (const { text } of utterance.windows) {
    if (text === null) break;
    texts.push(text);
  }
  return texts;
}
