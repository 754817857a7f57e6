import type { TurnLatency } from '../../src/dialects/native-messages.ts';
import type { Reply } from './types.ts';

/**
 * Decides what belongs to a reply. The contract brackets it: `status: processing` when the service has heard the
 * caller out, audio, `status: ready`. Audio that still comes of an earlier reply, before `processing`, is none of it.
 */
export class ReplyTracker {
  readonly #bracketed: boolean;
  /** Null: no reply is awaited that `processing` has announced. */
  #sentences: { text: string; startMs: number }[] = [];
  #announced = true;
  #processing = false;
  #firstAudioAt: number | null = null;
  #startMs = 0;
  #endMs = 0;
  #lastVoicedAt: number | null = null;
  #service: TurnLatency | null = null;
  /** Grows with everything that shows a reply that goes on. */
  activity = 0;

  /** @param bracketed false: a dialect without `status`. A reply is what is heard once the caller has finished, until it falls silent. */
  constructor(bracketed = true) {
    this.#bracketed = bracketed;
  }

  /** The agent has begun to speak without having been spoken to. */
  get greetingBegun(): boolean {
    return this.#firstAudioAt !== null;
  }

  /** All of a reply was sent, so far as the service has told. */
  get complete(): boolean {
    return this.#firstAudioAt !== null && !this.#processing;
  }

  /** The caller begins to speak: what comes is a reply to it from the next `processing` on. */
  utteranceBegins(): void {
    this.#reset();
    this.#announced = false;
    this.#lastVoicedAt = null;
  }

  /** The caller's last voiced sample was sent at `at` (the clock's time). */
  lastVoiced(at: number): void {
    this.#lastVoicedAt = at;
    if (!this.#bracketed) this.#announced = true;
  }

  status(status: 'ready' | 'processing' | 'error'): void {
    this.activity += 1;
    this.#processing = status === 'processing';
    if (status === 'processing') this.#announced = true;
  }

  /**
   * A piece of audio; `text` on the first of a sentence.
   *
   * @param arrivedAt the clock's time; `startMs`, `endMs`: where it will be heard in the call.
   */
  audio(text: string | null, arrivedAt: number, startMs: number, endMs: number): void {
    this.activity += 1;
    if (!this.#announced) return;
    if (this.#firstAudioAt === null) {
      this.#firstAudioAt = arrivedAt;
      this.#startMs = startMs;
    }
    this.#endMs = endMs;
    if (text !== null) this.#sentences.push({ text, startMs });
  }

  /** The service takes back what was not heard: an answer so far is none, and a new one will be announced. */
  cleared(): void {
    this.activity += 1;
  }

  /** The line is back: what the service does next tells whether more of a reply comes, its first `ready` does not. */
  lineReturned(): void {
    this.activity += 1;
  }

  latency(parts: TurnLatency): void {
    if (!this.#announced) return;
    const { endpointWaitMs, processingMs, providerMs, totalMs, moments, providers } = parts;
    this.#service = { endpointWaitMs, processingMs, providerMs, totalMs, moments, providers };
  }

  /** The reply, and forgets it; null if no audio came. */
  take(cutShort: boolean): Reply | null {
    if (this.#firstAudioAt === null) return null;
    const reply: Reply = {
      text: this.#sentences.map((sentence) => sentence.text.trim()).join(' '),
      sentences: this.#sentences,
      latencyMs: this.#lastVoicedAt === null ? null : this.#firstAudioAt - this.#lastVoicedAt,
      service: this.#service,
      startMs: this.#startMs,
      endMs: this.#endMs,
      cutShort,
    };
    this.#reset();
    return reply;
  }

  #reset(): void {
    this.#sentences = [];
    this.#firstAudioAt = null;
    this.#service = null;
  }
}
