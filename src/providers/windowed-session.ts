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
) => Promise<{
  text: string;
  usage: Usage;
  /** BCP 47 tag of what was heard; null or absent: it was not told. */
  language?: string | null;
}>;

export interface WindowOptions {
  /** Provider and model, as in their usage. */
  provider: string;
  /**
   * Speech longer than this is transcribed while it goes on: its window is closed at the caller's next pause, at the
   * latest at three times this length, at its quietest place. 0 or Infinity: never; each utterance is one window.
   */
  bufferMs: number;
  /**
   * Whether a window is transcribed before it is closed: at each pause, since it may be the last one, and each `bufferMs` of
   * speech without a pause. Hides the transcriber's time behind the wait for the end of the turn; costs requests whose text
   * serves as interim text only.
   */
  runAhead: boolean;
  /** Windows being transcribed at once; the others wait. A Durable Object has six connections for everything. */
  maxInFlight: number;
}

/** A cut within speech costs words: of 100 words some 20 more are wrong in windows of 2 s cut at their quietest place. */
const longestInBuffers = 3;

/** Without windows, the longest that is kept as one: 19 MB at 16 kHz, under the 25 MB that OpenAI takes. */
const longestWindowMs = 600_000;

/** OpenAI refuses less than 100 ms of audio; what is shorter is filled up with silence. */
const shortestWindowMs = 200;

class Window {
  /** Null while it is being transcribed; empty if nothing was understood. */
  text: string | null = null;
  error: ProviderError | null = null;
  readonly abort = new AbortController();
  /** Samples of it. */
  readonly length: number;

  constructor(length: number) {
    this.length = length;
  }
}

class Utterance {
  readonly windows: Window[] = [];
  /** The open window as it stood at a pause, transcribed ahead of its end. */
  ahead: Window | null = null;
  discarded = false;
  ended = false;
  /** The caller has paused, and no audio has come since. */
  paused = false;
  interim = '';
  /** `interim` was told to hold everything up to the pause. */
  stable = false;

  abort(reason?: unknown): void {
    for (const window of [...this.windows, this.ahead]) window?.abort.abort(reason);
  }
}

/**
 * A speech-to-text session over a transcriber of whole files. Windows are sent as soon as they are closed, and their texts
 * are joined in the order of the audio. Utterances become final in the order in which they were spoken, whichever text
 * comes first.
 *
 * Where a window fails, the utterance is made of the others' text, if there is any: half a sentence is worth more to a
 * caller than none. Only without any text is it `failed`.
 */
export class WindowedSession implements SpeechToTextSession {
  readonly events: AsyncIterable<SpeechToTextEvent>;
  readonly #transcribe: Transcribe;
  readonly #options: SpeechToTextOptions;
  readonly #windows: WindowOptions;
  readonly #bufferSamples: number;
  readonly #longestSamples: number;
  readonly #queue = new AsyncQueue<{ event: SpeechToTextEvent; utterance: Utterance }>();
  /** The open window: audio of the current utterance that is in no closed one. */
  #open: Int16Array;
  #filled = 0;
  /** Not yet final, the oldest first; the last is being spoken. */
  #utterances: Utterance[] = [new Utterance()];
  /** Number of the oldest of them. */
  #oldest = 0;
  #waiting: { utterance: Utterance; window: Window; samples: Int16Array }[] = [];
  #inFlight = 0;
  /** The one that was told last. */
  #language: string | null = null;
  /** Its signal has fired. Asking a signal costs more than the rest of what is done with a frame. */
  #closed = false;

  constructor(transcribe: Transcribe, options: SpeechToTextOptions, windows: WindowOptions) {
    this.#transcribe = transcribe;
    this.#options = options;
    this.#windows = windows;
    const longest = (options.sampleRate * longestWindowMs) / 1000;
    const buffer = windows.bufferMs > 0 ? (options.sampleRate * windows.bufferMs) / 1000 : longest;
    this.#bufferSamples = Math.min(Math.round(buffer), longest);
    this.#longestSamples = Math.min(this.#bufferSamples * longestInBuffers, longest);
    this.#open = new Int16Array(Math.min(this.#longestSamples, 2 * options.sampleRate));
    this.events = this.#iterate();
    if (options.signal.aborted) this.#close();
    else options.signal.addEventListener('abort', () => this.#close(), { once: true });
  }

  push(samples: Int16Array): void {
    if (this.#closed) return;
    this.#current.paused = false;
    this.#current.stable = false;
    for (let taken = 0; taken < samples.length; ) {
      if (this.#filled === this.#longestSamples) this.#closeAtQuietest();
      const untilBuffer = this.#bufferSamples - (this.#filled % this.#bufferSamples);
      const part = Math.min(samples.length - taken, untilBuffer);
      this.#reserve(this.#filled + part);
      const whole = part === samples.length;
      this.#open.set(whole ? samples : samples.subarray(taken, taken + part), this.#filled);
      this.#filled += part;
      taken += part;
      if (part === untilBuffer && this.#filled < this.#longestSamples) this.#lookAhead();
    }
  }

  pause(): void {
    if (this.#options.signal.aborted || this.#filled === 0) return;
    this.#current.paused = true;
    if (this.#filled >= this.#bufferSamples) this.#closeWindow();
    else this.#lookAhead();
    this.#settle();
  }

  endUtterance(): number {
    const number = this.#oldest + this.#utterances.length - 1;
    const utterance = this.#current;
    if (this.#filled > 0) this.#closeWindow();
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
    utterance.discarded = true;
    utterance.abort();
  }

  get #current(): Utterance {
    return this.#utterances.at(-1)!;
  }

  #reserve(samples: number): void {
    if (samples <= this.#open.length) return;
    const larger = new Int16Array(Math.min(this.#longestSamples, Math.max(samples, 2 * this.#open.length)));
    larger.set(this.#open.subarray(0, this.#filled));
    this.#open = larger;
  }

  /** Transcribes the open window as it stands. Its text is kept if the window is closed without more audio. */
  #lookAhead(): void {
    const utterance = this.#current;
    if (!this.#windows.runAhead || utterance.ahead?.length === this.#filled) return;
    this.#dropAhead(utterance);
    utterance.ahead = this.#send(utterance, this.#open.slice(0, this.#filled));
  }

  /** The open window is complete. */
  #closeWindow(): void {
    const utterance = this.#current;
    if (utterance.ahead?.length === this.#filled) {
      utterance.windows.push(utterance.ahead);
      utterance.ahead = null;
    } else {
      this.#dropAhead(utterance);
      utterance.windows.push(this.#send(utterance, this.#open.slice(0, this.#filled)));
    }
    this.#filled = 0;
    this.#settle();
  }

  /** Closes the open window at its quietest place; what stands behind it begins the next one. */
  #closeAtQuietest(): void {
    const cut = quietestCut(this.#open.subarray(0, this.#filled), this.#options.sampleRate);
    const rest = this.#open.slice(cut, this.#filled);
    this.#filled = cut;
    this.#closeWindow();
    this.#open.set(rest);
    this.#filled = rest.length;
  }

  #dropAhead(utterance: Utterance): void {
    const { ahead } = utterance;
    if (ahead === null) return;
    utterance.ahead = null;
    this.#waiting = this.#waiting.filter((job) => job.window !== ahead);
    ahead.abort.abort();
  }

  #send(utterance: Utterance, samples: Int16Array): Window {
    const window = new Window(samples.length);
    if (isSilent(samples, this.#options.sampleRate)) {
      window.text = '';
      return window;
    }
    const shortest = (this.#options.sampleRate * shortestWindowMs) / 1000;
    this.#waiting.push({ utterance, window, samples: padded(samples, shortest) });
    this.#startWaiting();
    return window;
  }

  #startWaiting(): void {
    while (this.#inFlight < this.#windows.maxInFlight) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      this.#inFlight++;
      void this.#run(job.utterance, job.window, job.samples);
    }
  }

  async #run(utterance: Utterance, window: Window, samples: Int16Array): Promise<void> {
    try {
      const { text, usage, language = null } = await this.#transcribe(samples, window.abort.signal);
      window.text = text;
      this.#queue.push({ event: { type: 'usage', usage }, utterance });
      this.#tellLanguage(utterance, language);
    } catch (error) {
      window.text = '';
      window.error = error as ProviderError;
      const late = window.abort.signal.aborted || window.error.failure === 'timeout';
      // It was sent, and nobody waited for the answer: the transcriber works, and charges, all the same.
      if (late) this.#queue.push({ event: { type: 'usage', usage: this.#guess(samples) }, utterance });
    }
    this.#inFlight--;
    this.#startWaiting();
    this.#settle();
  }

  #guess(samples: Int16Array): Usage {
    const audioSeconds = samples.length / this.#options.sampleRate;
    return { provider: this.#windows.provider, audioSeconds, estimated: true };
  }

  #tellLanguage(utterance: Utterance, language: string | null): void {
    if (language === null || language === this.#language || utterance.discarded) return;
    // One that was given is not to be guessed.
    if (this.#options.language !== undefined) return;
    this.#language = language;
    this.#queue.push({ event: { type: 'language', language }, utterance });
  }

  /** Emits what has become certain. */
  #settle(): void {
    for (;;) {
      const utterance = this.#utterances[0]!;
      const understood = joinTranscripts(textsOf(utterance), this.#options.language);
      const complete = utterance.ended && utterance.windows.every((window) => window.text !== null);
      if (!complete) {
        const stable = this.#isStable(utterance);
        if (understood === '' || (understood === utterance.interim && stable === utterance.stable)) return;
        utterance.interim = understood;
        utterance.stable = stable;
        const interim = { type: 'interim' as const, utterance: this.#oldest, text: understood };
        this.#emit(utterance, stable ? { ...interim, stable } : interim);
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

  /** Everything up to the caller's pause is in the texts. */
  #isStable({ paused, windows, ahead, ended }: Utterance): boolean {
    // Without running ahead, what has no closed window is not understood.
    if (!paused || ended || (this.#filled > 0 && ahead?.length !== this.#filled)) return false;
    return [...windows, ...(ahead === null ? [] : [ahead])].every(
      (window) => window.text !== null && window.error === null,
    );
  }

  #emit(utterance: Utterance, event: SpeechToTextEvent): void {
    this.#queue.push({ event, utterance });
  }

  async *#iterate(): AsyncGenerator<SpeechToTextEvent, void, void> {
    for await (const { event, utterance } of this.#queue) {
      if (this.#options.signal.aborted) return;
      // It was no speech: what has been understood of it, but not read, must not be shown any more.
      if (event.type === 'interim' && utterance.discarded) continue;
      yield event;
      if (this.#options.signal.aborted) return;
    }
  }

  #close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#filled = 0;
    for (const utterance of this.#utterances) utterance.abort(this.#options.signal.reason);
    this.#queue.end();
  }
}

function padded(samples: Int16Array, length: number): Int16Array {
  if (samples.length >= length) return samples;
  const longer = new Int16Array(length);
  longer.set(samples);
  return longer;
}

/** Texts up to the first window that is still being transcribed; last, what was transcribed ahead. */
function textsOf({ windows, ahead }: Utterance): string[] {
  const texts: string[] = [];
  for (const { text } of ahead === null ? windows : [...windows, ahead]) {
    if (text === null) break;
    texts.push(text);
  }
  return texts;
}
