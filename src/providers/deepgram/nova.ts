import type { Clock, Timer } from '../../call/clock.ts';
import type { SpeechToTextOptions } from '../ports.ts';
import type { DialogueHost, ListenDialogue, ListenProtocol } from './listen-dialogue.ts';
import { type NovaResults, novaMessageSchema, parseMessage } from './messages.ts';
import { failed } from './settings.ts';
import type { DeepgramSpeechToTextSettings } from './speech-to-text.ts';
import type { Utterance } from './utterance.ts';

const finalize = '{"type":"Finalize"}';
const keepAlive = '{"type":"KeepAlive"}';

const defaultEndpointingMs = 300;

/** A result's times are rounded. */
const ROUNDING_MS = 20;
/** What may be missing behind a pause that the vendor itself has found: silence. */
const PAUSE_MS = 250;
/**
 * `Finalize` need not be answered where next to nothing was left to process (https://developers.deepgram.com/docs/finalize). A
 * final text follows the caller's last word within 326 ms at the 99th percentile (pipecat-ai/stt-benchmark, Nova-3, 1,000
 * samples): after three times that, no answer is one, if no word is pending.
 */
const UNANSWERED_MS = 1_000;

/**
 * Nova over `/v1/listen`: https://developers.deepgram.com/reference/speech-to-text/listen-streaming. At each pause and at the end
 * of an utterance `Finalize` brings the text of what was sent.
 */
export function novaProtocol(clock: Clock): ListenProtocol {
  return { path: '/v1/listen', query, start: (host) => new NovaDialogue(host, clock) };
}

function query(settings: DeepgramSpeechToTextSettings, options: SpeechToTextOptions) {
  const keywords = options.keywords?.slice(0, 100);
  return {
    model: settings.model,
    encoding: options.sampleRate === 8000 ? 'mulaw' : 'linear16',
    sample_rate: options.sampleRate,
    channels: 1,
    // https://developers.deepgram.com/docs/multilingual-code-switching: streaming has no other detection.
    language: options.language ?? 'multi',
    interim_results: true,
    smart_format: true,
    endpointing: settings.endpointingMs ?? defaultEndpointingMs,
    // The shortest that is allowed.
    utterance_end_ms: 1000,
    // https://developers.deepgram.com/docs/keyterm: Nova-3 only; models before it have `keywords`.
    ...(settings.model.startsWith('nova-3') ? { keyterm: keywords } : { keywords }),
  };
}

class NovaDialogue implements ListenDialogue {
  readonly oneByOne = false;
  readonly #host: DialogueHost;
  readonly #clock: Clock;
  /** `Finalize` messages without an answer: how much audio was sent before each, and when. */
  #asked: { position: number; at: number }[] = [];
  /** Up to here, what was sent has been asked for. */
  #askedUntil = 0;
  /** Up to here, answers have come. */
  #answeredUntil = 0;
  /** Up to here, texts have come. */
  #heardUntil = 0;
  #timer: Timer | null = null;

  constructor(host: DialogueHost, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
  }

  paused(): void {
    this.#finalize();
  }

  ended(): void {
    this.#finalize();
  }

  keepAlive(): void {
    this.#host.send(keepAlive);
  }

  isComplete(utterance: Utterance): boolean {
    const until = utterance.base + utterance.kept.end;
    return this.#askedUntil >= until && !this.#asked.some(({ position }) => position <= until);
  }

  take(text: string): void {
    const host = this.#host;
    const message = parseMessage(host.provider, novaMessageSchema, text);
    if (message === null) return;
    if (message.type === 'Error') {
      throw failed(
        host.provider,
        'unavailable',
        (message.description ?? message.message ?? '').slice(0, 200),
      );
    }
    if (message.type === 'UtteranceEnd') {
      const utterance = host.at(host.position - 1);
      if (utterance !== null && !utterance.ended) host.heard.endOfTurn(utterance);
    }
    if (message.type !== 'Results') return;

    const { start, duration, is_final, speech_final, from_finalize, channel } = message;
    const end = Math.round((start + duration) * host.sampleRate);
    const alternative = channel.alternatives[0];
    if (alternative?.transcript) host.heard.languages(alternative.languages);
    this.#heardUntil = Math.max(this.#heardUntil, end);
    for (const [utterance, text] of this.#textsOf(message, end)) {
      if (is_final) host.settle(utterance, text, Math.min(end, utterance.until));
      else host.interim(utterance, text);
    }
    if (is_final) this.#answer(end, speech_final === true, from_finalize === true);
    const utterance = host.at(end - 1);
    if (utterance?.paused && !utterance.ended && this.isComplete(utterance)) host.heard.stable(utterance);
    else if (utterance !== null && !utterance.ended && speech_final) host.heard.stable(utterance);
    host.check();
  }

  close(): void {
    this.#timer?.cancel();
    this.#asked = [];
  }

  /** What a result says of each utterance. It spans two where `Finalize` between them was not answered. */
  #textsOf({ start, channel }: NovaResults, end: number): Map<Utterance, string> {
    const first = this.#host.at(Math.round(start * this.#host.sampleRate));
    const last = this.#host.at(end - 1);
    const texts = new Map<Utterance, string>();
    for (const utterance of [first, last]) if (utterance !== null) texts.set(utterance, '');
    const { transcript = '', words } = channel.alternatives[0] ?? {};
    if (first === last && last !== null) return texts.set(last, transcript);
    for (const { word, punctuated_word, start: at } of words ?? []) {
      const utterance = this.#host.at(Math.round(at * this.#host.sampleRate));
      if (utterance === null) continue;
      texts.set(utterance, `${texts.get(utterance) ?? ''} ${punctuated_word ?? word}`.trim());
    }
    return texts;
  }

  #finalize(): void {
    const { position } = this.#host;
    if (position === this.#askedUntil) return;
    this.#askedUntil = position;
    this.#asked.push({ position, at: this.#clock.now() });
    this.#host.send(finalize);
    this.#watch();
  }

  /** Final text has come of everything before `end`. */
  #answer(end: number, atPause: boolean, finalized: boolean): void {
    const slack = this.#samples(atPause ? PAUSE_MS : ROUNDING_MS);
    const before = this.#asked.length;
    const same = this.#host.at(end - 1);
    this.#asked = this.#asked.filter(
      ({ position }) => position > end && (position > end + slack || this.#host.at(position - 1) !== same),
    );
    // An answer that ends before the audio did is the oldest question's, unless that one has been answered already.
    if (finalized && this.#asked.length === before && end > this.#answeredUntil + slack) this.#asked.shift();
    this.#answeredUntil = Math.max(this.#answeredUntil, end);
    this.#watch();
  }

  /** See {@link UNANSWERED_MS}. */
  #watch(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const oldest = this.#asked[0];
    if (oldest === undefined) return;
    const left = oldest.at + UNANSWERED_MS - this.#clock.now();
    this.#timer = this.#clock.after(left, () => {
      const utterance = this.#host.at(oldest.position - 1);
      // A word that is pending will come, or the session's own watch ends the connection; likewise where nothing came at all.
      const pending = utterance !== null && (utterance.interim !== '' || this.#heardUntil <= utterance.base);
      if (pending) return;
      this.#asked.shift();
      this.#host.check();
      this.#watch();
    });
  }

  #samples(ms: number): number {
    return (ms * this.#host.sampleRate) / 1000;
  }
}
