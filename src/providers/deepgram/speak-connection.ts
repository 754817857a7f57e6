import { AsyncQueue } from '../../call/async-queue.ts';
import type { Clock, Timer } from '../../call/clock.ts';
import type { ProviderError } from '../ports.ts';
import { VendorSocket } from '../vendor-socket.ts';
import { parseMessage, speakMessageSchema } from './messages.ts';
import {
  type DeepgramSettings,
  deepgramHeaders,
  defaultConnectMs,
  failed,
  toProviderError,
} from './settings.ts';

/** https://developers.deepgram.com/docs/tts-ws-flush ("Limits"): 20 in 60 s; one is left for the vendor's own clock. */
const MOST_FLUSHES = 19;
const FLUSH_WINDOW_MS = 60_000;
/** The vendor ends a connection after an hour (livekit/agents, its Deepgram plugin). */
const LONGEST_LIFE_MS = 55 * 60_000;
/** An interrupted sentence is given up with its connection where the vendor does not say in time that it has stopped. */
const CLEAR_MS = 1_000;
/** Aura-2 says longer texts badly (deepgram/content#228, "Understanding Character Limits"). */
const LONGEST_TEXT = 1_000;
/** The longest text takes some five minutes to say: more comes from a broken server. In bytes at 16 kHz. */
const LONGEST_AUDIO = 600 * 16_000 * 2;

/** One text that is being said. */
export class SpeakJob {
  readonly text: string;
  /** Ends after the last piece, when the job is cancelled, and when it has failed. */
  readonly audio = new AsyncQueue<Uint8Array>();
  /** Why it ended before its end. */
  error: ProviderError | null = null;
  bytes = 0;
  /** The connection had been open before, and may have been lost unnoticed. */
  readonly reused: boolean;

  constructor(text: string, reused: boolean) {
    this.text = text;
    this.reused = reused;
  }
}

export interface SpeakConnectionOptions {
  provider: string;
  url: string;
  settings: DeepgramSettings;
  clock: Clock;
  /** The longest wait for the first audio of a text, in milliseconds. */
  answerMs: number;
  /** Told once. `idle`: nobody was waiting for anything. */
  lost: (idle: boolean) => void;
}

/**
 * One connection to `/v1/speak`, which says one text after the other. Connects at once. The audio of a text that is cancelled
 * cannot come out in the next one: that is not sent before the vendor has confirmed that its buffers are clear.
 */
export class SpeakConnection {
  readonly #options: SpeakConnectionOptions;
  readonly #abort = new AbortController();
  readonly #openedAt: number;
  #socket: VendorSocket | null = null;
  #current: SpeakJob | null = null;
  #waiting: SpeakJob[] = [];
  #clearing = false;
  /** Texts were cancelled: a late confirmation of one may still come. */
  #cleared = false;
  #timer: Timer | null = null;
  #flushes: number[] = [];
  #served = 0;
  #retired = false;
  #over = false;

  constructor(options: SpeakConnectionOptions) {
    this.#options = options;
    this.#openedAt = options.clock.now();
    void this.#run();
  }

  /** Texts that were said to their end. */
  get served(): number {
    return this.#served;
  }

  /** Whether it can take another text. */
  get usable(): boolean {
    const now = this.#options.clock.now();
    const flushes = this.#flushes.filter((at) => now - at < FLUSH_WINDOW_MS).length + this.#waiting.length;
    const young = now - this.#openedAt < LONGEST_LIFE_MS;
    return !this.#over && !this.#retired && young && flushes < MOST_FLUSHES;
  }

  speak(text: string): SpeakJob {
    const job = new SpeakJob(text, this.#socket !== null);
    this.#waiting.push(job);
    this.#startNext();
    return job;
  }

  /** Nothing more of it comes. Without effect on one that is over. */
  cancel(job: SpeakJob): void {
    job.audio.end();
    this.#waiting = this.#waiting.filter((each) => each !== job);
    if (this.#current !== job) return;
    this.#current = null;
    this.#clearing = true;
    this.#cleared = true;
    this.#send({ type: 'Clear' });
    this.#expect(CLEAR_MS, 'Clear was not confirmed');
  }

  /** Takes no more texts, and closes after the ones it has. */
  retire(): void {
    this.#retired = true;
    this.#startNext();
  }

  close(): void {
    if (this.#over) return;
    // https://developers.deepgram.com/docs/tts-ws-close
    this.#send({ type: 'Close' });
    this.#socket?.close();
    this.#abort.abort();
    this.#lose(failed(this.#options.provider, 'unavailable', 'the call is over'));
  }

  async #run(): Promise<void> {
    const { provider, url, settings, clock } = this.#options;
    let error: ProviderError;
    try {
      this.#socket = await VendorSocket.open({
        provider,
        url,
        headers: deepgramHeaders(settings),
        clock,
        connectMs: settings.connectMs ?? defaultConnectMs,
        signal: this.#abort.signal,
        ...(settings.dial === undefined ? {} : { dial: settings.dial }),
      });
      this.#startNext();
      for await (const message of this.#socket.messages) {
        if (this.#over) break;
        if (typeof message === 'string') this.#takeText(message);
        else this.#takeAudio(message);
      }
      error = failed(provider, 'unavailable', 'the connection was closed');
    } catch (thrown) {
      error = toProviderError(provider, thrown);
    }
    this.#lose(error);
  }

  #startNext(): void {
    if (this.#socket === null || this.#over || this.#clearing || this.#current !== null) return;
    const job = this.#waiting.shift();
    if (job === undefined) {
      if (this.#retired) this.close();
      return;
    }
    this.#current = job;
    // https://developers.deepgram.com/docs/streaming-text-to-speech ("Sending Text and Retrieving Audio")
    for (const text of piecesOf(job.text)) this.#send({ type: 'Speak', text });
    this.#send({ type: 'Flush' });
    const now = this.#options.clock.now();
    this.#flushes = [...this.#flushes.filter((at) => now - at < FLUSH_WINDOW_MS), now];
    this.#expect(this.#options.answerMs, `no audio within ${this.#options.answerMs} ms`);
  }

  #takeAudio(bytes: Uint8Array): void {
    const job = this.#current;
    if (job === null || bytes.length === 0) return;
    this.#relax();
    job.bytes += bytes.length;
    if (job.bytes > LONGEST_AUDIO)
      throw failed(this.#options.provider, 'malformed', 'sent audio without end');
    job.audio.push(bytes);
  }

  #takeText(text: string): void {
    const { provider } = this.#options;
    const message = parseMessage(provider, speakMessageSchema, text);
    const job = this.#current;
    if (message?.type === 'Flushed' && job !== null) {
      // The confirmation of a text that was cancelled, and not of this one.
      if (job.bytes === 0 && this.#cleared) return;
      this.#relax();
      this.#current = null;
      if (job.bytes === 0) job.error = failed(provider, 'malformed', 'answered with empty audio');
      else this.#served++;
      job.audio.end();
      this.#startNext();
    } else if (message?.type === 'Cleared' && this.#clearing) {
      this.#relax();
      this.#clearing = false;
      this.#startNext();
    } else if (message?.type === 'Warning' || message?.type === 'Error') {
      const description = `${message.code ?? ''} ${message.description ?? ''}`.trim().slice(0, 200);
      // The page on Flush tells of the warning, and of neither its code nor its wording.
      if (/flush/i.test(description)) throw failed(provider, 'rate_limited', description);
      if (message.type === 'Error') throw failed(provider, 'unavailable', description);
    }
  }

  #send(message: { type: string; text?: string }): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #expect(withinMs: number, otherwise: string): void {
    this.#relax();
    this.#timer = this.#options.clock.after(withinMs, () => {
      this.#lose(failed(this.#options.provider, 'timeout', otherwise));
    });
  }

  #relax(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #lose(error: ProviderError): void {
    if (this.#over) return;
    this.#over = true;
    this.#relax();
    this.#abort.abort();
    const jobs = [...(this.#current === null ? [] : [this.#current]), ...this.#waiting];
    this.#current = null;
    this.#waiting = [];
    for (const job of jobs) {
      job.error = error;
      job.audio.end();
    }
    this.#options.lost(jobs.length === 0);
  }
}

function piecesOf(text: string): string[] {
  if (text.length <= LONGEST_TEXT) return [text];
  const space = text.lastIndexOf(' ', LONGEST_TEXT - 1);
  const end = space > 0 ? space + 1 : LONGEST_TEXT;
  return [text.slice(0, end), ...piecesOf(text.slice(end))];
}
