import { SentenceChunker } from '../text/sentences.ts';
import type { Playout } from './playout.ts';
import { cutAtWord, type Segment } from './playout-segment.ts';
import type { SpokenAudio } from './speech-gate.ts';
import { Spoken } from './spoken.ts';
import type { Turn } from './turn.ts';

/** A piece of what the model says, and where on its line. */
export interface TextFragment {
  text: string;
  fromMs: number;
  untilMs: number;
}

/**
 * Texts and audio lie on one line, but not to the millisecond: the Live API places its words in frames of 200 ms, and the words
 * may come before the voice.
 */
const EARLY_MS = 200;
const LATE_MS = 400;

/** One speech of a model that speaks whenever it wants to: a turn of the agent's, whose audio and words come as they are said. */
export class DuplexSpeech {
  readonly turn: Turn;
  /** How many speeches of the call came before it. */
  readonly number: number;
  readonly spoken = new Spoken();
  readonly #segment: TimedSegment;
  readonly #playout: Playout;
  readonly #fromMs: number;
  readonly #chunker = new SentenceChunker();
  /** Positions of its end so far, and of the end of its last voice. */
  #untilMs: number;
  #voicedUntilMs: number;
  #quietMs = 0;

  constructor(options: {
    playout: Playout;
    turn: Turn;
    number: number;
    sampleRate: number;
    /** Position of its first sample. */
    fromMs: number;
    onFirstSent(): void;
  }) {
    this.turn = options.turn;
    this.number = options.number;
    this.#playout = options.playout;
    this.#fromMs = options.fromMs;
    this.#untilMs = options.fromMs;
    this.#voicedUntilMs = options.fromMs;
    const inner = options.playout.begin('', () => {
      this.spoken.add(this.#segment, 0);
      options.onFirstSent();
    });
    this.#segment = new TimedSegment(inner, options.sampleRate);
  }

  get text(): string {
    return this.#segment.text;
  }

  /** The caller has yet to hear a voice in it. */
  get audible(): boolean {
    return this.#playout.queuedMs > this.#quietMs;
  }

  push({ samples, atMs, voiced, quietMs }: SpokenAudio): void {
    const ms = this.#segment.pushAt(samples, atMs);
    this.#untilMs = atMs + ms;
    if (voiced) this.#voicedUntilMs = this.#untilMs - quietMs;
    this.#quietMs = quietMs;
    this.#segment.quietAtEndMs = quietMs;
  }

  /**
   * Where words belong.
   *
   * @param goesOn more of it may come.
   */
  placeOf({ fromMs, untilMs }: TextFragment, goesOn: boolean): 'before it' | 'in it' | 'later' {
    if (untilMs <= this.#fromMs - EARLY_MS) return 'before it';
    const endMs = goesOn ? this.#untilMs : this.#voicedUntilMs;
    return fromMs < endMs + LATE_MS ? 'in it' : 'later';
  }

  /** Returns the sentences that are complete with it. */
  add(fragment: TextFragment): string[] {
    this.#segment.add(fragment);
    return this.#chunker.push(fragment.text);
  }

  /** Returns what is left of the last sentence. */
  end(complete: boolean): string[] {
    this.#segment.end(complete);
    this.#playout.settle();
    return this.#chunker.flush();
  }
}

/** A segment whose words have their places, so that what was heard is known by them and not by the share of the audio alone. */
class TimedSegment implements Segment {
  quietAtEndMs = 0;
  readonly #inner: Segment;
  readonly #samplesPerMs: number;
  readonly #fragments: TextFragment[] = [];
  /** Where its audio lies on the line, stretch by stretch. */
  readonly #stretches: { fromSample: number; atMs: number }[] = [];
  #samples = 0;
  #complete = false;

  constructor(inner: Segment, sampleRate: number) {
    this.#inner = inner;
    this.#samplesPerMs = sampleRate / 1000;
  }

  get text(): string {
    return this.#inner.text;
  }

  get heardMs(): number {
    return this.#inner.heardMs;
  }

  get over(): boolean {
    return this.#inner.over;
  }

  append(text: string): void {
    this.#inner.append(text);
  }

  reword(text: string): void {
    this.#inner.reword(text);
  }

  push(samples: Int16Array): void {
    this.#samples += samples.length;
    this.#inner.push(samples);
  }

  /** Returns its length in milliseconds. */
  pushAt(samples: Int16Array, atMs: number): number {
    const last = this.#stretches.at(-1);
    const expected = last === undefined ? Number.NaN : this.#positionOf(this.#samples, last);
    if (!(Math.abs(expected - atMs) < 1)) this.#stretches.push({ fromSample: this.#samples, atMs });
    this.push(samples);
    return samples.length / this.#samplesPerMs;
  }

  add(fragment: TextFragment): void {
    this.#fragments.push(fragment);
    this.#inner.append(fragment.text);
  }

  end(complete: boolean): void {
    this.#complete = complete;
    this.#inner.end(complete);
  }

  withdraw(): void {
    this.#inner.withdraw();
  }

  heardText(): string {
    const heard = Math.round(this.heardMs * this.#samplesPerMs);
    const stretch = this.#stretches.findLast(({ fromSample }) => fromSample < heard);
    if (stretch === undefined) return '';
    // It is ended whole once every voice in it was heard.
    if (this.#complete) return this.text;
    const untilMs = this.#positionOf(heard, stretch);
    const characters = this.#fragments.reduce((sum, { text, fromMs, untilMs: end }) => {
      const share = end <= fromMs ? Number(end <= untilMs) : (untilMs - fromMs) / (end - fromMs);
      return sum + text.length * Math.min(1, Math.max(0, share));
    }, 0);
    // A hair more, so that rounding takes no word away.
    return cutAtWord(this.text, Math.min(1, (characters + 0.01) / Math.max(1, this.text.length)));
  }

  /** The quiet at its end is no part of it. */
  get heardSpan(): { from: number; until: number } | null {
    const span = this.#inner.heardSpan;
    if (span === null) return null;
    const unheardMs = this.#samples / this.#samplesPerMs - this.heardMs;
    const quietMs = Math.max(0, this.quietAtEndMs - unheardMs);
    return { from: span.from, until: Math.max(span.from, span.until - quietMs) };
  }

  #positionOf(sample: number, { fromSample, atMs }: { fromSample: number; atMs: number }): number {
    return atMs + (sample - fromSample) / this.#samplesPerMs;
  }
}
