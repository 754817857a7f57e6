import type { ReceivedMessage } from './server-messages.ts';
import type { CallReport, Drop, Reply, Utterance } from './types.ts';

/** Of transcripts and errors, what a report keeps. */
const keptEntries = 10_000;

/** What is written down during a call, for its report. */
export class CallNotes {
  readonly utterances: Utterance[] = [];
  readonly #transcript: CallReport['transcript'][number][] = [];
  readonly #errors: CallReport['errors'][number][] = [];
  readonly #sent: Int16Array[] = [];
  readonly #drops: Drop[] = [];
  #greeting: Reply | null = null;
  #clears = 0;
  #received = 0;

  /** The service's last `error`. */
  get lastError(): { code: string; message: string } | null {
    return this.#errors.at(-1) ?? null;
  }

  message(message: ReceivedMessage, atMs: number): void {
    if (message.type === 'clear') {
      this.#clears += 1;
    } else if (message.type === 'transcript') {
      const { role, text, final } = message;
      if (this.#transcript.length < keptEntries) this.#transcript.push({ role, text, final, atMs });
      // A transcript does not say to which utterance it belongs: the service answers before the next begins.
      const utterance = this.utterances.at(-1);
      if (role === 'caller' && final && utterance !== undefined) {
        utterance.heardAs = [utterance.heardAs, text].filter(Boolean).join(' ');
      }
    } else if (message.type === 'error' && this.#errors.length < keptEntries) {
      this.#errors.push({ code: message.code, message: message.message, atMs });
    }
  }

  audioReceived(): void {
    this.#received += 1;
  }

  frameSent(samples: Int16Array): void {
    this.#sent.push(samples);
  }

  dropped(atMs: number, code: number, reason: string): void {
    this.#drops.push({ atMs, lastedMs: null, code, reason });
  }

  /** Returns how long the line was down. */
  resumed(atMs: number): number {
    const drop = this.#drops.at(-1);
    if (drop === undefined) return 0;
    drop.lastedMs = atMs - drop.atMs;
    return drop.lastedMs;
  }

  greeted(reply: Reply): void {
    this.#greeting = reply;
  }

  /** The part of the report that was noted. */
  summary() {
    return {
      greeting: this.#greeting,
      utterances: this.utterances,
      transcript: this.#transcript,
      errors: this.#errors,
      drops: this.#drops,
      clears: this.#clears,
      received: this.#received,
      sent: concatenate(this.#sent),
    };
  }
}

function concatenate(frames: readonly Int16Array[]): Int16Array {
  const all = new Int16Array(frames.reduce((sum, frame) => sum + frame.length, 0));
  let at = 0;
  for (const frame of frames) {
    all.set(frame, at);
    at += frame.length;
  }
  return all;
}
