import { Worker } from 'node:worker_threads';
import { Resampler } from '../../../src/audio/resample.ts';
import { wavToMono } from '../../../src/audio/wav.ts';
import type { FliteReply, FliteRequest } from './flite-worker.ts';
import { speakableSentences } from './speakable.ts';

/** flite's voices; `rms` is the clearest at telephone quality. */
export const fliteVoices = ['rms', 'slt', 'awb', 'kal', 'kal16'] as const;
export type FliteVoice = (typeof fliteVoices)[number];

/** A sentence takes about 0.1 s; after this the thread is taken for lost and replaced. */
const longestSentenceMs = 20_000;

/** What stands for a text without anything to pronounce. */
const nothingToSaySeconds = 0.2;

interface Job {
  request: FliteRequest;
  resolve: (wav: Uint8Array) => void;
  reject: (error: Error) => void;
}

/** flite in a thread of its own, since it blocks; one sentence at a time, in order. */
export class Flite {
  #worker: Worker | null = null;
  #current: { job: Job; timer: NodeJS.Timeout } | null = null;
  readonly #queue: Job[] = [];
  #nextId = 0;
  #closed = false;

  /**
   * Speaks a text, yielding each sentence's audio as it is done: 16-bit samples at `sampleRate`. A text without
   * anything pronounceable gives 0.2 s of silence.
   *
   * @param speed 0.25 to 4, as OpenAI's.
   * @throws the signal's reason, at the latest when the sentence in hand is done; an `Error` if flite fails.
   */
  async *speak(
    text: string,
    options: { voice: FliteVoice; speed: number; sampleRate: number },
    signal: AbortSignal,
  ): AsyncGenerator<Int16Array, void, undefined> {
    const sentences = speakableSentences(text);
    if (sentences.length === 0) {
      yield new Int16Array(Math.round(nothingToSaySeconds * options.sampleRate));
      return;
    }
    for (const sentence of sentences) {
      const wav = await this.#synthesise(sentence, options.voice, 1 / options.speed, signal);
      signal.throwIfAborted();
      const spoken = wavToMono(wav);
      const resampler = new Resampler(spoken.sampleRate, options.sampleRate);
      yield resampler.push(spoken.samples);
      yield resampler.flush();
    }
  }

  /** Ends the thread; what is still asked of it fails. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#failAll(new Error('speech synthesis was closed'));
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }

  #synthesise(text: string, voice: FliteVoice, stretch: number, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted();
    if (this.#closed) throw new Error('speech synthesis was closed');
    return new Promise<Uint8Array>((resolve, reject) => {
      const abort = () => {
        const at = this.#queue.indexOf(job);
        if (at >= 0) this.#queue.splice(at, 1);
        reject(signal.reason);
      };
      const settled = () => signal.removeEventListener('abort', abort);
      const job: Job = {
        request: { id: this.#nextId++, text, voice, stretch },
        resolve: (wav) => {
          settled();
          resolve(wav);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#queue.push(job);
      this.#next();
    });
  }

  #next(): void {
    if (this.#current !== null || this.#closed) return;
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#worker ??= this.#start();
    const timer = setTimeout(() => this.#lost(new Error('flite did not answer in time')), longestSentenceMs);
    this.#current = { job, timer };
    this.#worker.postMessage(job.request);
  }

  #start(): Worker {
    const worker = new Worker(new URL('./flite-worker.ts', import.meta.url), {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      resourceLimits: { maxOldGenerationSizeMb: 256 },
    });
    worker.on('message', (reply: FliteReply) => this.#answered(reply));
    worker.on('error', (error) => {
      if (worker === this.#worker) this.#lost(error instanceof Error ? error : new Error(String(error)));
    });
    worker.on('exit', (code) => {
      if (worker === this.#worker) this.#lost(new Error(`flite's thread ended with ${code}`));
    });
    return worker;
  }

  #answered(reply: FliteReply): void {
    const current = this.#current;
    if (current === null || current.job.request.id !== reply.id) return;
    clearTimeout(current.timer);
    this.#current = null;
    if ('wav' in reply) current.job.resolve(reply.wav);
    else current.job.reject(new Error(reply.error));
    this.#next();
  }

  /** The thread is gone or hangs: its sentence fails, the next one gets a new thread. */
  #lost(error: Error): void {
    const worker = this.#worker;
    this.#worker = null;
    void worker?.terminate();
    const current = this.#current;
    this.#current = null;
    if (current !== null) {
      clearTimeout(current.timer);
      current.job.reject(error);
    }
    this.#next();
  }

  #failAll(error: Error): void {
    const current = this.#current;
    this.#current = null;
    if (current !== null) {
      clearTimeout(current.timer);
      current.job.reject(error);
    }
    for (const job of this.#queue.splice(0)) job.reject(error);
  }
}
