import type { ProviderError, Usage } from '../providers/ports.ts';
import type { DuplexSpeech, TextFragment } from './duplex-speech.ts';
import { DuplexTalk } from './duplex-talk.ts';
import type { EngineLeg } from './engine.ts';
import { FixedLines, type FixedLinesOptions } from './fixed-lines.ts';
import type { LatencyLedger } from './latency.ts';
import type { Reply } from './reply.ts';
import type { Turns } from './turn.ts';
import type { TurnRecord } from './turn-record.ts';

export interface DuplexVoiceOptions
  extends Omit<FixedLinesOptions, 'waitsForCaller' | 'onSentence' | 'onUsage' | 'onFailure'> {
  leg: EngineLeg;
  record: TurnRecord;
  /** Ends what is made ready for later. */
  signal(): AbortSignal;
  handler: DuplexVoiceHandler;
}

/** What follows of what the agent says. */
export interface DuplexVoiceHandler {
  /** The conversation is over: nothing follows any more. */
  isOver(): boolean;
  /** What is held has reason to be. */
  waitsForCaller(): boolean;
  /** A fixed line is about to be said. */
  lineBegins(): void;
  /** A speech of the model's begins: what is known of its latency. */
  speechBegins(): LatencyLedger;
  /** The first audio of something goes out. */
  audible(): void;
  /** What this turn answers is to be written down now. */
  answers(turn: number): void;
  /** Whether the hold line is being said, and the caller has heard nothing of it. */
  isSilentHoldLine(line: Reply): boolean;
  /** The agent was silenced in the middle of something. */
  silenced(): void;
  /** The agent says nothing any more. @param said the words that were heard last, or were still to be. */
  rests(said: string): void;
  /** The caller has heard this of a fixed line, of which the model does not know. */
  lineHeard(text: string): void;
  speechOver(speech: DuplexSpeech, interrupted: boolean): void;
  /** A line was heard to its end, and nothing was asked for after it. */
  lineOver(): void;
  usage(usage: Usage, turn: number | null): void;
  failed(error: ProviderError): void;
}

/**
 * What the agent says where a model decides when to: the model's speeches, and the fixed lines. Never both at once.
 *
 * Fixed lines (the greeting, the question to a silent caller, the goodbye, the hold line, the apology) are spoken by text-to-speech, word
 * for word, as ready audio where there is some, also before the model has a session. The price is that they are in the text-to-speech
 * provider's voice: configure the same one for both. A model asked to greet would choose its own words.
 */
export class DuplexVoice {
  readonly turns: Turns;
  readonly #options: DuplexVoiceOptions;
  readonly #lines: FixedLines;
  readonly #talk: DuplexTalk;
  /** A question to a silent caller: every word is an answer to it. */
  #question: Reply | null = null;

  constructor(options: DuplexVoiceOptions) {
    this.#options = options;
    this.turns = options.turns;
    const { handler } = options;
    this.#lines = new FixedLines({
      ...options,
      waitsForCaller: () => handler.waitsForCaller(),
      onSentence: () => handler.audible(),
      onUsage: (usage, turn) => handler.usage(usage, turn),
      onFailure: (error) => handler.failed(error),
    });
    this.#talk = new DuplexTalk({
      ...options,
      mayPlay: () => this.#modelMaySpeak(),
      onBegin: () => handler.speechBegins(),
      onFirstSent: () => handler.audible(),
      onEnding: ({ turn }) => handler.answers(turn.id),
      onOver: (speech, interrupted) => this.#endSpeech(speech, interrupted),
    });
  }

  /** What the model is saying. */
  get speech(): DuplexSpeech | null {
    return this.#talk.speech;
  }

  /** Speeches of the model's that have begun. */
  get speeches(): number {
    return this.#talk.speeches;
  }

  /** How far the model's line has come, in milliseconds. */
  get lineMs(): number {
    return this.#talk.lineMs;
  }

  get speaks(): boolean {
    return this.#lines.line !== null || this.#talk.speech !== null;
  }

  /** How the fixed lines are spoken. */
  get spokenAs(): FixedLines['spokenAs'] {
    return this.#lines.spokenAs;
  }

  /** What the agent is saying, if the caller may interrupt it; `asked`: it is a question to a silent caller. */
  get interruptible(): { text: string; asked: boolean } | null {
    const { line } = this.#lines;
    if (line !== null) {
      return line.interruptible ? { text: line.spoken.latest, asked: line === this.#question } : null;
    }
    const { speech } = this.#talk;
    return speech?.audible ? { text: speech.text, asked: false } : null;
  }

  // --- the model's line ------------------------------------------------------------------------------------------

  text(fragment: TextFragment): void {
    this.#talk.text(fragment);
  }

  audio(samples: Int16Array, atMs: number): void {
    this.#talk.audio(samples, atMs);
  }

  /** The model's line is another one from now on. */
  reset(): void {
    this.#talk.reset();
  }

  /** What is left of a speech is quiet. */
  endQuietSpeech(): void {
    if (this.#talk.speech?.audible === false) this.#talk.end(false);
  }

  #endSpeech(speech: DuplexSpeech, interrupted: boolean): void {
    const { record, handler } = this.#options;
    record.agent(speech, interrupted);
    this.turns.cancel('the speech is over');
    handler.rests(speech.text);
    handler.speechOver(speech, interrupted);
  }

  /** Whether the model may be heard: not while a fixed line is said. */
  #modelMaySpeak(): boolean {
    const { line } = this.#lines;
    // The answer is there: a line that only says that it is late has nothing more to say.
    if (line !== null && this.#options.handler.isSilentHoldLine(line)) this.stop();
    return this.#lines.line === null;
  }

  // --- fixed lines -----------------------------------------------------------------------------------------------

  /** Says a fixed text; `then` follows if it was not interrupted. */
  say(text: string, interruptible: boolean, then?: () => void): Reply {
    const { handler, signal } = this.#options;
    this.stop();
    handler.lineBegins();
    return this.#lines.say(text, interruptible, () => {
      this.#endLine(false);
      then?.();
      if (handler.isOver()) return;
      void this.#lines.prepare(signal());
      this.#talk.playWaiting();
      handler.lineOver();
    });
  }

  /** Asks whether somebody is there. */
  ask(text: string, then: () => void): void {
    this.#question = this.say(text, true, then);
  }

  #endLine(interrupted: boolean): void {
    const { record, handler } = this.#options;
    const line = this.#lines.take();
    if (line === null) return;
    handler.answers(line.turn.id);
    record.agent(line, interrupted || line.spoken.cutShort);
    const { heardText, latest } = line.spoken;
    handler.rests(latest);
    if (heardText !== '') handler.lineHeard(heardText);
  }

  /** Silences the agent for good. What the caller heard of it stands in the record. */
  stop(): void {
    const { playout, leg, handler } = this.#options;
    this.#talk.forgetWaiting();
    if (!this.speaks) return;
    const audible = playout.busy && !playout.held;
    this.turns.cancel('the agent is to be silent');
    playout.clear(leg.canClear);
    if (audible) leg.clear();
    handler.silenced();
    this.#endLine(true);
    this.#talk.end(true);
  }
}
