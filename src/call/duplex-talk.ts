import type { Clock } from './clock.ts';
import { DuplexSpeech, type TextFragment } from './duplex-speech.ts';
import type { CallEvents } from './events.ts';
import type { LatencyLedger } from './latency.ts';
import type { Playout } from './playout.ts';
import { SpeechGate, type SpokenAudio } from './speech-gate.ts';
import type { Turns } from './turn.ts';

export interface DuplexTalkOptions {
  clock: Clock;
  events: CallEvents;
  playout: Playout;
  sampleRate: 8000 | 16000;
  turns: Turns;
  /** Whether it may be heard now. What may not is kept for `playWaiting`. */
  mayPlay(): boolean;
  /** A speech begins: what is known of its latency. */
  onBegin(): LatencyLedger;
  /** Its first audio goes out. */
  onFirstSent(): void;
  /** It is about to be over: what it answers is to be written down. */
  onEnding(speech: DuplexSpeech): void;
  onOver(speech: DuplexSpeech, interrupted: boolean): void;
}

/** The longest speech that waits. */
const MOST_WAITING_MS = 15_000;
/** Words that are not placed yet. */
const MOST_FRAGMENTS = 500;

/** The model's line, cut into speeches that are played as they come. */
export class DuplexTalk {
  readonly #options: DuplexTalkOptions;
  readonly #gate: SpeechGate;
  #waiting: SpokenAudio[] = [];
  /** Words whose audio has not come. */
  #fragments: TextFragment[] = [];
  /** What is being said. */
  speech: DuplexSpeech | null = null;
  /** Speeches that have begun. */
  speeches = 0;
  /** How far the line has come, in milliseconds. */
  lineMs = 0;

  constructor(options: DuplexTalkOptions) {
    this.#options = options;
    this.#gate = new SpeechGate({ sampleRate: options.sampleRate });
  }

  audio(samples: Int16Array, atMs: number): void {
    this.lineMs = atMs + (samples.length * 1000) / this.#options.sampleRate;
    this.#placeFragments();
    for (const part of this.#gate.push(samples, atMs)) {
      if (part === 'end') this.#quiet();
      else this.#play(part);
    }
  }

  text(fragment: TextFragment): void {
    if (this.#fragments.length < MOST_FRAGMENTS) this.#fragments.push(fragment);
    this.#placeFragments();
  }

  /** The line is another one from now on: what was being said is over once it was heard. */
  reset(): void {
    this.#gate.reset();
    this.#quiet();
  }

  /** What was kept while nothing might be heard. */
  playWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const part of waiting) this.#play(part);
    if (!this.#gate.open) this.#quiet();
  }

  forgetWaiting(): void {
    this.#waiting = [];
  }

  /** @param interrupted nobody is to hear the rest of it. */
  end(interrupted: boolean): void {
    const { speech } = this;
    if (speech === null) return;
    this.#placeFragments();
    this.speech = null;
    if (interrupted) this.#gate.skip();
    this.#options.onEnding(speech);
    this.#tellSentences(speech, speech.end(!interrupted));
    this.#options.onOver(speech, interrupted);
  }

  #play(part: SpokenAudio): void {
    if (!this.#options.mayPlay()) {
      const waiting = this.#waiting.reduce((sum, { samples }) => sum + samples.length, 0);
      const waitingMs = (waiting * 1000) / this.#options.sampleRate;
      if (waitingMs < MOST_WAITING_MS) this.#waiting.push(part);
      return;
    }
    if (this.speech === null && !part.voiced) return;
    this.speech ??= this.#begin(part.atMs);
    this.speech.push(part);
    this.#placeFragments();
  }

  #begin(fromMs: number): DuplexSpeech {
    const { playout, clock, events, sampleRate, turns, onBegin, onFirstSent } = this.#options;
    const ledger = onBegin();
    const turn = turns.begin(ledger);
    return new DuplexSpeech({
      playout,
      turn,
      sampleRate,
      fromMs,
      number: this.speeches++,
      onFirstSent: () => {
        ledger.mark('firstSent', clock.now());
        onFirstSent();
        const parts = ledger.parts();
        if (parts !== null) events.emit({ type: 'latency', turn: turn.id, ...parts });
      },
    });
  }

  /** Words come before, with or after their audio. They go to the speech in which they lie. */
  #placeFragments(): void {
    // Nobody hears the audio of these.
    if (this.#gate.skipping) this.#fragments = this.#fragments.filter(({ fromMs }) => fromMs >= this.lineMs);
    const { speech } = this;
    if (speech === null) return;
    const later: TextFragment[] = [];
    for (const fragment of this.#fragments) {
      const place = speech.placeOf(fragment, this.#gate.open);
      if (place === 'in it') this.#tellSentences(speech, speech.add(fragment));
      else if (place === 'later') later.push(fragment);
    }
    this.#fragments = later;
  }

  #tellSentences({ turn }: DuplexSpeech, sentences: readonly string[]): void {
    const { events } = this.#options;
    for (const text of sentences) {
      events.emit({ type: 'transcript', role: 'agent', turn: turn.id, text, final: false });
    }
  }

  /** The line is quiet: the speech is over once it was heard, unless it goes on before. */
  #quiet(): void {
    const { speech } = this;
    if (speech === null) return;
    void this.#options.playout.waitUntilQueued(1).then(() => {
      if (this.speech === speech && !this.#gate.open) this.end(false);
    });
  }
}
