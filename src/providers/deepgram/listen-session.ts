import { encodeMulaw } from '../../audio/g711.ts';
import { encodePcm16 } from '../../audio/pcm.ts';
import type { Clock } from '../../call/clock.ts';
import type { ProviderError, SpeechToTextEvent, SpeechToTextOptions, SpeechToTextSession } from '../ports.ts';
import {
  closeStream,
  type DialogueHost,
  type ListenDialogue,
  type ListenProtocol,
} from './listen-dialogue.ts';
import { ListenEvents } from './listen-events.ts';
import { type LinkHandler, ListenLink } from './listen-link.ts';
import { deepgramUrl, failed } from './settings.ts';
import type { DeepgramSpeechToTextSettings } from './speech-to-text.ts';
import { Utterance } from './utterance.ts';

const defaultFinalMs = 5_000;
const defaultSilentMs = 2_000;
const defaultKeptMs = 60_000;

/** https://developers.deepgram.com/docs/audio-keep-alive: every 3 to 5 s, before the vendor's 10 s are over. */
const KEEP_ALIVE_MS = 4_000;
/** Audio is sent in pieces of that length, or at the next pause: Flux is best sent 80 ms, and each message costs. */
const CHUNK_MS = 80;
/** So much audio is answered by a message at the latest: Nova sends interim results each second, Flux four times as often. */
const ANSWERED_MS = 1_500;
/** The most bytes of one message of audio that is sent again. */
const LARGEST_MESSAGE = 16_000;

/**
 * One leg's speech on one connection after the other. Keeps each utterance's audio until its text is settled, and emits what has
 * become certain in the order in which it was spoken.
 *
 * Where an utterance cannot be understood to its end in time, its text so far is its text, with the error as `lost`; without any
 * text it is `failed`.
 */
export class ListenSession implements SpeechToTextSession, DialogueHost, LinkHandler {
  readonly events: AsyncIterable<SpeechToTextEvent>;
  readonly heard: ListenEvents;
  readonly provider: string;
  readonly sampleRate: 8000 | 16000;
  readonly #protocol: ListenProtocol;
  readonly #settings: DeepgramSpeechToTextSettings;
  readonly #options: SpeechToTextOptions;
  readonly #clock: Clock;
  readonly #link: ListenLink;
  #dialogue: ListenDialogue | null = null;
  #gaveUp: ProviderError | null = null;
  /** Not yet final, the oldest first; the last is being spoken. */
  #utterances: Utterance[] = [];
  #next = 0;
  #position = 0;
  /** The utterance whose audio was sent last on this connection, discarded ones included. */
  #lastSent: Utterance | null = null;
  #unanswered = 0;
  #unbilled = 0;

  constructor(
    protocol: ListenProtocol,
    settings: DeepgramSpeechToTextSettings,
    options: SpeechToTextOptions,
    clock: Clock,
  ) {
    this.provider = `deepgram/${settings.model}`;
    this.sampleRate = options.sampleRate;
    this.#protocol = protocol;
    this.#settings = settings;
    this.#options = options;
    this.#clock = clock;
    this.#begin();
    this.heard = new ListenEvents(options);
    this.events = this.heard.iterate();
    const { signal } = options;
    this.#link = new ListenLink({
      provider: this.provider,
      url: deepgramUrl(settings, protocol.path, protocol.query(settings, options)),
      settings,
      clock,
      silentMs: settings.silentMs ?? defaultSilentMs,
      keepAliveMs: KEEP_ALIVE_MS,
      signal,
      handler: this,
    });
    if (signal.aborted) this.#close();
    // Before the connection's own listener, which closes it without a goodbye.
    else signal.addEventListener('abort', () => this.#close(), { once: true });
    this.#link.connect();
  }

  // --- the call's side ------------------------------------------------------------------------------------

  push(samples: Int16Array): void {
    if (this.#options.signal.aborted || samples.length === 0) return;
    const utterance = this.#current;
    if (utterance.empty) this.#link.connect();
    utterance.paused = false;
    this.#keep(utterance, samples);
    utterance.spoken = utterance.kept.end;
    if (utterance.kept.end - utterance.sent >= this.#samples(CHUNK_MS)) this.#sendAudio(utterance);
  }

  pause(): void {
    const utterance = this.#current;
    if (this.#options.signal.aborted || utterance.empty) return;
    this.#link.connect();
    utterance.paused = true;
    this.#advance();
  }

  endUtterance(): number {
    const utterance = this.#current;
    this.#begin();
    utterance.ended = true;
    if (this.#options.signal.aborted) return utterance.number;
    // A connection that has been given up is tried again for the next utterance.
    if (!this.#link.running) utterance.failure = this.#gaveUp;
    this.#bound(utterance);
    this.#advance();
    this.check();
    return utterance.number;
  }

  discardUtterance(): void {
    const utterance = this.#current;
    utterance.discarded = true;
    this.#next--;
    const onConnection = Number.isFinite(utterance.base) && this.#dialogue !== null;
    if (!onConnection || !this.#dialogue?.oneByOne) this.#utterances.pop();
    this.#begin();
    if (!onConnection) return;
    utterance.ended = true;
    this.#bill();
    if (this.#dialogue?.oneByOne) {
      this.#bound(utterance);
      this.#advance();
    } else {
      this.#dialogue?.ended(utterance);
    }
    this.check();
  }

  // --- the connection's side ------------------------------------------------------------------------------

  opened(): void {
    this.#gaveUp = null;
    this.#position = 0;
    this.#unanswered = 0;
    this.#lastSent = null;
    this.#dialogue = this.#protocol.start(this);
    for (const utterance of this.#utterances) utterance.unsend();
    this.#advance();
    this.check();
  }

  message(text: string): void {
    this.#unanswered = 0;
    this.#dialogue?.take(text);
    this.#watch();
  }

  lost(): void {
    this.#dialogue?.close();
    this.#dialogue = null;
    for (const utterance of this.#utterances) if (utterance.discarded) utterance.deadline?.cancel();
    this.#utterances = this.#utterances.filter(({ discarded }) => !discarded);
  }

  gaveUp(error: ProviderError): void {
    this.lost();
    this.#gaveUp = error;
    for (const utterance of this.#utterances) if (utterance.ended) utterance.failure = error;
    this.check();
  }

  keepAlive(): void {
    this.#dialogue?.keepAlive();
  }

  // --- the dialogue's side --------------------------------------------------------------------------------

  get position(): number {
    return this.#position;
  }

  at(position: number): Utterance | null {
    return this.#utterances.find(({ base, until }) => base <= position && position < until) ?? null;
  }

  send(message: string): void {
    this.#link.send(message);
  }

  sendSilence(ms: number): void {
    this.#sendBytes(this.#encode(new Int16Array(this.#samples(ms))));
  }

  pad(utterance: Utterance, ms: number): void {
    this.#keep(utterance, new Int16Array(this.#samples(ms)));
    this.#sendAudio(utterance);
  }

  settle(utterance: Utterance, text: string, position: number): void {
    utterance.interim = '';
    if (text !== '') utterance.settled.push(text);
    utterance.kept.forget(Math.min(position - utterance.base, utterance.sent));
    this.heard.interim(utterance);
  }

  interim(utterance: Utterance, text: string): void {
    utterance.interim = text;
    this.heard.interim(utterance);
  }

  check(): void {
    for (;;) {
      const utterance = this.#utterances[0]!;
      if (!utterance.ended) break;
      const { kept, sent } = utterance;
      const complete =
        kept.start === kept.end || (sent === kept.end && (this.#dialogue?.isComplete(utterance) ?? false));
      if (!complete && utterance.failure === null) break;
      this.#finish(utterance, complete ? null : utterance.failure);
      this.#advance();
    }
    this.#watch();
  }

  // --- within ---------------------------------------------------------------------------------------------

  get #current(): Utterance {
    return this.#utterances.at(-1)!;
  }

  #begin(): void {
    const keptSamples = this.#samples(this.#settings.keptMs ?? defaultKeptMs);
    this.#utterances.push(new Utterance(this.#next++, this.sampleRate === 8000 ? 1 : 2, keptSamples));
  }

  /** Sends what may be sent, and says what the vendor does not know yet. */
  #advance(): void {
    for (const utterance of this.#utterances) {
      this.#sendAudio(utterance);
      const { kept, sent } = utterance;
      if (this.#dialogue === null || utterance.empty || sent < kept.end) continue;
      if (utterance.ended && !utterance.endTold) {
        utterance.endTold = true;
        this.#dialogue.ended(utterance);
      } else if (utterance.paused && !utterance.ended && utterance.pauseTold < utterance.spoken) {
        utterance.pauseTold = utterance.spoken;
        this.#dialogue.paused(utterance);
      }
    }
  }

  #bound(utterance: Utterance): void {
    const finalMs = this.#settings.finalMs ?? defaultFinalMs;
    utterance.deadline = this.#clock.after(finalMs, () => this.#expire(utterance, finalMs));
  }

  #finish(utterance: Utterance, failure: ProviderError | null): void {
    utterance.deadline?.cancel();
    this.#utterances.shift();
    this.#bill();
    const lost = utterance.incomplete ? failed(this.provider, 'unavailable', 'audio was lost') : null;
    this.heard.finished(utterance, failure ?? lost);
  }

  #expire(utterance: Utterance, finalMs: number): void {
    const error = failed(this.provider, 'timeout', `no final text within ${finalMs} ms`);
    utterance.failure = error;
    this.check();
    // What it may still say of this utterance must not be taken for the next one's.
    this.#link.renew(error);
  }

  /** A message is due while an utterance waits for its text, or much audio for any. */
  #watch(): void {
    const due = this.#utterances[0]!.ended || this.#unanswered >= this.#samples(ANSWERED_MS);
    if (due) this.#link.expectMessage();
    else this.#link.expectNothing();
  }

  #keep(utterance: Utterance, samples: Int16Array): void {
    utterance.kept.push(this.#encode(samples));
  }

  #sendAudio(utterance: Utterance): void {
    const { kept } = utterance;
    if (this.#dialogue === null || !this.#link.open || utterance.sent >= kept.end) return;
    if (this.#dialogue.oneByOne && this.#utterances[0] !== utterance) return;
    if (this.#lastSent !== utterance) {
      utterance.base = this.#position - kept.start;
      if (this.#lastSent !== null) this.#lastSent.until = this.#position;
      this.#lastSent = utterance;
    }
    const bytes = kept.from(utterance.sent);
    for (let at = 0; at < bytes.length; at += LARGEST_MESSAGE) {
      this.#sendBytes(bytes.subarray(at, at + LARGEST_MESSAGE));
    }
    utterance.sent = kept.end;
    this.#watch();
  }

  #sendBytes(bytes: Uint8Array): void {
    if (!this.#link.open) return;
    this.#link.send(bytes);
    const samples = this.sampleRate === 8000 ? bytes.length : bytes.length / 2;
    this.#position += samples;
    this.#unanswered += samples;
    this.#unbilled += samples;
  }

  #bill(): void {
    if (this.#unbilled === 0) return;
    this.heard.usage(this.provider, this.#unbilled / this.sampleRate);
    this.#unbilled = 0;
  }

  #encode(samples: Int16Array): Uint8Array {
    return this.sampleRate === 8000 ? encodeMulaw(samples) : encodePcm16(samples);
  }

  #samples(ms: number): number {
    return Math.round((ms * this.sampleRate) / 1000);
  }

  #close(): void {
    this.#link.close(closeStream);
    this.#dialogue?.close();
    this.#dialogue = null;
    for (const utterance of this.#utterances) utterance.deadline?.cancel();
    this.heard.end();
  }
}
