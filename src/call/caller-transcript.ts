import type { Clock, Timer } from './clock.ts';
import { spokenKeys } from './dtmf.ts';
import type { CallEvents } from './events.ts';
import { overlapKind } from './overlap.ts';
import type { TurnRecord } from './turn-record.ts';

export interface CallerTranscriptOptions {
  clock: Clock;
  events: CallEvents;
  record: TurnRecord;
  sampleRate: number;
  /** Sample 0 of the recording, in milliseconds since the epoch. */
  startTime: number;
  /** Number of the turn that answers what is being said, or has begun to. */
  answeringTurn(): number;
  /** Where the caller's voice was last, in samples of the recording; null: there is none at the moment. */
  voice(): { from: number; until: number } | null;
  /** A turn was written down, or came to nothing. */
  onClosed(words: boolean): void;
}

/** The caller's words come some time after the voice: a turn is written down so long after it seems to be over. */
const SETTLE_MS = 1_000;
/** A turn cannot grow for ever: so many characters are some ten minutes. */
const MOST_CHARACTERS = 20_000;

/** What the caller says, gathered from pieces without an end into turns. */
export class CallerTranscript {
  readonly #options: CallerTranscriptOptions;
  #text = '';
  #startSample: number | null = null;
  #endSample = 0;
  #timer: Timer | null = null;
  /** What the agent said last, and when it stopped: to know its echo. */
  #lastSaid: { text: string; until: number } | null = null;

  constructor(options: CallerTranscriptOptions) {
    this.#options = options;
  }

  /** Of the turn that is not written down. */
  get text(): string {
    return this.#text.trim();
  }

  /** The turn seems to be over, and its last words are waited for. */
  get settling(): boolean {
    return this.#timer !== null;
  }

  /** The caller's voice was heard there. */
  voiced({ from, until }: { from: number; until: number }): void {
    this.#startSample ??= from;
    this.#endSample = Math.max(this.#endSample, until);
  }

  /** A piece of text with its own spaces. */
  add(text: string): void {
    const { events, answeringTurn } = this.#options;
    if (this.#text.length < MOST_CHARACTERS) this.#text += text;
    events.emit({ type: 'transcript', role: 'caller', turn: answeringTurn(), text: this.text, final: false });
  }

  /** The last words were none of the caller's. */
  withdraw(text: string): void {
    if (this.#text.endsWith(text)) this.#text = this.#text.slice(0, this.#text.length - text.length);
  }

  agentSaid(text: string): void {
    this.#lastSaid = { text, until: this.#options.clock.now() };
  }

  /** The turn seems to be over. */
  settle(): void {
    this.#timer ??= this.#options.clock.after(SETTLE_MS, () => this.close());
  }

  /** It is not: the caller goes on. */
  unsettle(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Writes the turn down. */
  close(turn = this.#options.answeringTurn()): void {
    this.unsettle();
    const voice = this.#options.voice();
    if (voice !== null) this.voiced(voice);
    const { text } = this;
    const startSample = this.#startSample ?? this.#endSample;
    const endSample = Math.max(startSample, this.#endSample);
    this.#text = '';
    this.#startSample = null;
    const words = text !== '' && !this.#isEcho(text, startSample);
    if (words) this.#options.record.caller(turn, { startSample, endSample }, text);
    this.#options.onClosed(words);
  }

  /** An entry of keys is a turn of its own. */
  keys(keys: string): void {
    const { clock, record, sampleRate, startTime, answeringTurn } = this.#options;
    if (this.text !== '') this.close();
    const sample = Math.round(((clock.now() - startTime) * sampleRate) / 1000);
    record.caller(answeringTurn(), { startSample: sample, endSample: sample }, spokenKeys(keys));
  }

  /** The agent's own words, which came back and were understood only afterwards. */
  #isEcho(text: string, startSample: number): boolean {
    const { startTime, sampleRate } = this.#options;
    const last = this.#lastSaid;
    const saidAt = startTime + (startSample * 1000) / sampleRate;
    return last !== null && saidAt < last.until && overlapKind(text, last.text) === 'echo';
  }
}
