import { encodeBase64 } from '../../audio/base64.ts';
import type { Clock, Timer } from '../../call/clock.ts';
import type { ProviderError, SpeechToTextEvent, Usage } from '../ports.ts';
import type { RealtimeConnection } from './connection.ts';
import { errorFrom, timedOut, unavailable } from './errors.ts';
import type { ServerEvent, ServerEventOf } from './events.ts';
import { Utterance } from './utterance.ts';
import { WireEncoder } from './wire-audio.ts';

export interface UtteranceInputOptions {
  sampleRate: 8000 | 16000;
  /** Of the transcription, for errors and usage. */
  provider: string;
  clock: Clock;
  /** The longest wait for the text of an utterance that is over, twice where `retry` is given. */
  finalMs: number;
  /** The text of a pause has settled when so long after the pause, and after the last change, nothing has changed. */
  settleMs: number;
  /** The most audio of an utterance that is kept, to be sent again. */
  keepMs: number;
  /** Whether the language that was heard is told. */
  tellLanguage: boolean;
  emit(event: SpeechToTextEvent): void;
  /** Brings another connection, on which everything unfinished is sent again. Absent: a text that is late has failed. */
  retry?: (error: ProviderError) => void;
}

/** Audio goes out in pieces of this length: 10 messages a second. */
const chunkMs = 100;
/** The server refuses to commit less than 100 ms (`input_audio_buffer_commit_empty`, "expected at least 100ms of audio"). */
const shortestMs = 120;

/**
 * The caller's audio on its way into a Realtime session that detects no turns by itself, and the texts that come back
 * (https://developers.openai.com/api/docs/guides/realtime-transcription). Every utterance is one committed item. The server
 * confirms commits in their order, so the n-th `committed` names the n-th utterance's item; deltas that come before are
 * the oldest unconfirmed utterance's. Texts may be completed in any order; they are told in the order of the audio.
 */
export class UtteranceInput {
  /** What is being spoken. */
  current = new Utterance(0);
  readonly #options: UtteranceInputOptions;
  readonly #encoder: WireEncoder;
  #connection: RealtimeConnection | null = null;
  /** Ended and not told yet, the oldest first. */
  #ended: Utterance[] = [];
  /** Committed on this connection; their item is not known for certain yet. */
  #unconfirmed: Utterance[] = [];
  /** Items of speech that was discarded, on this connection. */
  #ignored = new Set<string>();
  /** Discards that the server has not heard of yet: what is transcribed before it has is of the discarded speech. */
  #clearing = 0;
  #chunk: Uint8Array;
  #filled = 0;
  #settle: Timer | null = null;

  constructor(options: UtteranceInputOptions) {
    this.#options = options;
    this.#encoder = new WireEncoder(options.sampleRate);
    this.#chunk = new Uint8Array(this.#encoder.bytesPerMs * chunkMs);
  }

  /** Whether there is speech that has not become text. */
  get busy(): boolean {
    return this.#ended.length > 0 || this.spoken;
  }

  /** Whether the server's input buffer holds anything, or will. */
  get spoken(): boolean {
    return this.current.bytes > 0 || this.#filled > 0;
  }

  push(samples: Int16Array): void {
    this.#settle?.cancel();
    this.current.stable = false;
    this.current.shownStable = false;
    this.#take(this.#encoder.push(samples));
  }

  pause(): void {
    if (!this.spoken) return;
    this.#flushChunk();
    this.#awaitSettled();
  }

  /** Commits what was spoken, if anything was. */
  end(): Utterance {
    const utterance = this.current;
    utterance.stable = false;
    this.#settle?.cancel();
    this.#take(this.#encoder.flush());
    const length = utterance.bytes + this.#filled;
    const shortest = this.#encoder.bytesPerMs * shortestMs;
    if (length > 0 && length < shortest) this.#take(this.#encoder.silence(shortest - length));
    this.#flushChunk();
    this.current = new Utterance(utterance.number + 1);
    this.#ended.push(utterance);
    if (utterance.bytes === 0) {
      utterance.result = { text: '' };
      this.#tell();
    } else {
      this.#expectText(utterance);
      this.#commit(utterance);
    }
    return utterance;
  }

  discard(): void {
    const { current } = this;
    this.#settle?.cancel();
    this.#encoder.flush();
    this.#filled = 0;
    if (current.item !== null) this.#ignored.add(current.item);
    this.current = new Utterance(current.number);
    if (current.bytes === 0 || this.#connection === null) return;
    this.#clearing++;
    this.#connection.clearInput();
  }

  /** Another connection: nothing that was sent before counts. What is to be sent again is up to the caller. */
  attach(connection: RealtimeConnection | null): void {
    this.#connection = connection;
    this.#unconfirmed = [];
    this.#ignored.clear();
    this.#clearing = 0;
    for (const utterance of [...this.#ended, this.current]) {
      utterance.item = null;
      utterance.text = '';
    }
  }

  /** Sends everything unfinished again, in the order of the audio. */
  resend(): void {
    for (const utterance of this.#ended) this.resendEnded(utterance);
    this.resendCurrent();
  }

  /** Without effect on one whose text is known. */
  resendEnded(utterance: Utterance): void {
    if (utterance.result !== null) return;
    this.#append(utterance);
    this.#commit(utterance);
  }

  resendCurrent(): void {
    this.#append(this.current);
  }

  /** True if it was about the caller's audio. */
  take(event: ServerEvent): boolean {
    switch (event.type) {
      case 'input_audio_buffer.cleared':
        this.#clearing = Math.max(0, this.#clearing - 1);
        return true;
      case 'input_audio_buffer.committed':
        this.#confirm(event.item_id);
        return true;
      case 'conversation.item.input_audio_transcription.delta':
        this.#grow(event.item_id, event.delta ?? '');
        return true;
      case 'conversation.item.input_audio_transcription.completed':
        this.#complete(event);
        return true;
      case 'conversation.item.input_audio_transcription.failed':
        this.#finish(this.#endedBy(event.item_id), { error: errorFrom(this.#options.provider, event.error) });
        return true;
      case 'error':
        return this.#refused(event);
      default:
        return false;
    }
  }

  /** No connection can be had: what was waited for does not come. */
  fail(error: ProviderError): void {
    for (const utterance of [...this.#ended]) this.#finish(utterance, { error });
  }

  close(): void {
    this.#settle?.cancel();
    for (const utterance of this.#ended) utterance.timer?.cancel();
    this.#connection = null;
  }

  // --- to the server ----------------------------------------------------------------------------------------

  #take(bytes: Uint8Array): void {
    for (let taken = 0; taken < bytes.length; ) {
      const part = bytes.subarray(taken, taken + this.#chunk.length - this.#filled);
      this.#chunk.set(part, this.#filled);
      this.#filled += part.length;
      taken += part.length;
      if (this.#filled === this.#chunk.length) this.#flushChunk();
    }
  }

  #flushChunk(): void {
    if (this.#filled === 0) return;
    const { current } = this;
    const chunk = this.#chunk.slice(0, this.#filled);
    this.#filled = 0;
    current.audio.push(chunk);
    current.bytes += chunk.length;
    while (current.bytes > this.#options.keepMs * this.#encoder.bytesPerMs && current.audio.length > 1) {
      current.bytes -= current.audio.shift()!.length;
      current.cut = true;
      if (this.#connection === null) current.lost = this.#lostPart();
    }
    this.#send(chunk);
  }

  #append(utterance: Utterance): void {
    if (utterance.cut) utterance.lost = this.#lostPart();
    for (const chunk of utterance.audio) this.#send(chunk);
  }

  #lostPart(): ProviderError {
    return unavailable(
      this.#options.provider,
      'the connection was lost, and the beginning of the speech with it',
    );
  }

  #send(chunk: Uint8Array): void {
    this.#connection?.send({ type: 'input_audio_buffer.append', audio: encodeBase64(chunk) });
  }

  #commit(utterance: Utterance): void {
    if (this.#connection === null) return;
    this.#unconfirmed.push(utterance);
    this.#connection.send({ type: 'input_audio_buffer.commit', event_id: `commit_${utterance.number}` });
  }

  // --- from the server --------------------------------------------------------------------------------------

  #confirm(item: string): void {
    const utterance = this.#unconfirmed.shift();
    if (utterance === undefined || utterance.item === item) return;
    // Its deltas were taken for the next one's, or there were none.
    const other = [...this.#unconfirmed, this.current].find((candidate) => candidate.item === item);
    utterance.item = item;
    utterance.text = other?.text ?? '';
    if (other === undefined) return;
    other.item = null;
    other.text = '';
    this.#show(utterance);
  }

  #grow(item: string, delta: string): void {
    if (this.#ignored.has(item)) return;
    const candidates = [...this.#ended, this.current];
    let utterance = candidates.find((candidate) => candidate.item === item);
    if (utterance === undefined) {
      utterance = [...this.#unconfirmed, this.current].find((candidate) => candidate.item === null);
      if (utterance === this.current && this.#clearing > 0) {
        this.#ignored.add(item);
        return;
      }
      if (utterance === undefined) return;
      utterance.item = item;
    }
    utterance.text += delta;
    utterance.stable = false;
    if (utterance === this.current && this.#paused) this.#awaitSettled();
    this.#show(utterance);
  }

  #complete(event: ServerEventOf<'conversation.item.input_audio_transcription.completed'>): void {
    const utterance = this.#endedBy(event.item_id);
    if (utterance === undefined) return;
    const { emit, tellLanguage } = this.#options;
    emit({ type: 'usage', usage: this.#usageOf(utterance, event.usage) });
    const language = event.languages?.[0]?.code;
    if (tellLanguage && language !== undefined) emit({ type: 'language', language });
    this.#finish(utterance, { text: event.transcript.trim() });
  }

  #usageOf(
    utterance: Utterance,
    usage: ServerEventOf<'conversation.item.input_audio_transcription.completed'>['usage'],
  ): Usage {
    const { provider } = this.#options;
    if (usage?.type === 'duration') return { provider, audioSeconds: usage.seconds };
    const audioSeconds = utterance.bytes / this.#encoder.bytesPerMs / 1000;
    if (usage?.type !== 'tokens') return { provider, audioSeconds };
    return { provider, audioSeconds, inputTokens: usage.input_tokens, outputTokens: usage.output_tokens };
  }

  /** An error of a commit of ours. */
  #refused({ error }: ServerEventOf<'error'>): boolean {
    const number = /^commit_(\d+)$/.exec(error.event_id ?? '')?.[1];
    if (number === undefined) return false;
    const utterance = this.#unconfirmed.find((candidate) => candidate.number === Number(number));
    if (utterance === undefined) return true;
    this.#unconfirmed = this.#unconfirmed.filter((candidate) => candidate !== utterance);
    this.#finish(utterance, { error: errorFrom(this.#options.provider, error) });
    return true;
  }

  // --- what is told -----------------------------------------------------------------------------------------

  get #paused(): boolean {
    return this.#settle !== null;
  }

  #awaitSettled(): void {
    const { clock, settleMs } = this.#options;
    this.#settle?.cancel();
    const { current } = this;
    const timer = clock.after(settleMs, () => {
      if (current !== this.current) return;
      current.stable = true;
      current.shownStable = false;
      this.#show(current);
    });
    this.#settle = {
      cancel: () => {
        timer.cancel();
        this.#settle = null;
      },
    };
  }

  #expectText(utterance: Utterance): void {
    const { clock, finalMs, provider, retry } = this.#options;
    utterance.timer = clock.after(finalMs, () => {
      const error = timedOut(provider, `no transcript within ${finalMs} ms`);
      if (retry === undefined || utterance.waits++ > 0) this.#finish(utterance, { error });
      else this.#expectText(utterance);
      retry?.(error);
    });
  }

  #endedBy(item: string): Utterance | undefined {
    return this.#ended.find((candidate) => candidate.item === item);
  }

  #finish(utterance: Utterance | undefined, result: NonNullable<Utterance['result']>): void {
    if (utterance === undefined || utterance.result !== null) return;
    utterance.timer?.cancel();
    utterance.result = result;
    utterance.audio = [];
    this.#tell();
  }

  #show(utterance: Utterance): void {
    const oldest = this.#ended[0] ?? this.current;
    const text = utterance.text.trim();
    if (utterance !== oldest || text === '') return;
    const stable = utterance.stable && !utterance.shownStable;
    if (text === utterance.shown && !stable) return;
    utterance.shown = text;
    if (utterance.stable) utterance.shownStable = true;
    this.#options.emit({
      type: 'interim',
      utterance: utterance.number,
      text,
      ...(utterance.stable ? { stable: true } : {}),
    });
  }

  #tell(): void {
    const { emit } = this.#options;
    for (;;) {
      const utterance = this.#ended[0];
      if (utterance?.result == null) break;
      this.#ended.shift();
      const { number, result, lost } = utterance;
      if ('error' in result) emit({ type: 'failed', utterance: number, error: result.error });
      else emit({ type: 'final', utterance: number, text: result.text, ...(lost === null ? {} : { lost }) });
    }
    this.#show(this.#ended[0] ?? this.current);
  }
}
