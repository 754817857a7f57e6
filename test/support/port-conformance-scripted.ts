import { AsyncQueue } from '../../src/call/async-queue.ts';
import {
  type LanguageModel,
  type LanguageModelEvent,
  type LanguageModelRequest,
  ProviderError,
  type SpeechToText,
  type SpeechToTextEvent,
  type SpeechToTextOptions,
  type SpeechToTextSession,
  type TextToSpeech,
  type TextToSpeechEvent,
  type TextToSpeechRequest,
} from '../../src/providers/ports.ts';

/** 20 ms of a sound that {@link ScriptedEars} understand as this number; 0 is silence. */
export const word = (number: number, samples = 160): Int16Array => new Int16Array(samples).fill(number);

/**
 * Speech to text that understands {@link word}s: the text of an utterance is its numbers, with a bar where it was told of a pause.
 * Everything that it is told is noted.
 */
export class ScriptedEars implements SpeechToText {
  readonly name: string;
  readonly sessions: ScriptedSession[] = [];
  /** What the sessions do at the end of an utterance: nothing, its text, or its failure. */
  atEnd: 'text' | 'nothing' | ProviderError = 'text';
  /** What opening does instead, each time. */
  atOpen: 'session' | 'throw' | 'end' = 'session';
  warmed = 0;
  closed = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Sessions that have not been ended. */
  get openSessions(): number {
    return this.sessions.filter((session) => !session.over).length;
  }

  get last(): ScriptedSession {
    return this.sessions.at(-1)!;
  }

  open(options: SpeechToTextOptions): SpeechToTextSession {
    if (this.atOpen === 'throw') throw new TypeError('cannot open');
    const session = new ScriptedSession(this, options);
    this.sessions.push(session);
    if (this.atOpen === 'end') session.end();
    return session;
  }

  warm(): void {
    this.warmed++;
  }

  close(): void {
    this.closed++;
  }
}

export class ScriptedSession implements SpeechToTextSession {
  readonly events: AsyncIterable<SpeechToTextEvent>;
  /** What was understood of each utterance that was ended. */
  readonly utterances: string[] = [];
  /** Samples of each utterance that was ended. */
  readonly lengths: number[] = [];
  readonly options: SpeechToTextOptions;
  over = false;
  readonly #ears: ScriptedEars;
  readonly #queue = new AsyncQueue<SpeechToTextEvent>();
  #error: Error | null = null;
  /** Of the utterance being spoken. */
  #interims: SpeechToTextEvent[] = [];
  readonly #discarded = new WeakSet<SpeechToTextEvent>();
  #heard: string[] = [];
  #length = 0;

  constructor(ears: ScriptedEars, options: SpeechToTextOptions) {
    this.#ears = ears;
    this.options = options;
    this.events = this.#iterate();
    if (options.signal.aborted) this.end();
    else options.signal.addEventListener('abort', () => this.end(), { once: true });
  }

  push(samples: Int16Array): void {
    if (this.over) return;
    this.#length += samples.length;
    for (const [i, value] of samples.entries()) {
      if (value === 0) continue;
      if (i === 0 ? String(value) !== this.#heard.at(-1) : value !== samples[i - 1])
        this.#heard.push(String(value));
    }
  }

  pause(): void {
    if (this.over || this.#length === 0) return;
    const interim = {
      type: 'interim',
      utterance: this.utterances.length,
      text: this.heard,
      stable: true,
    } as const;
    this.#interims.push(interim);
    this.emit(interim);
    this.#heard.push('|');
  }

  endUtterance(): number {
    const number = this.utterances.length;
    this.utterances.push(this.heard);
    this.lengths.push(this.#length);
    this.#heard = [];
    this.#interims = [];
    this.#length = 0;
    if (this.#ears.atEnd === 'text') this.tell(number);
    else if (this.#ears.atEnd !== 'nothing') this.fail(number, this.#ears.atEnd);
    return number;
  }

  discardUtterance(): void {
    for (const interim of this.#interims) this.#discarded.add(interim);
    this.#heard = [];
    this.#length = 0;
  }

  /** What was understood of the utterance being spoken. */
  get heard(): string {
    return this.#heard.join(' ');
  }

  emit(event: SpeechToTextEvent): void {
    this.#queue.push(event);
  }

  tell(number: number): void {
    const seconds = (this.lengths[number] ?? 0) / this.options.sampleRate;
    this.emit({ type: 'usage', usage: { provider: this.#ears.name, audioSeconds: seconds } });
    this.emit({ type: 'final', utterance: number, text: this.utterances[number] ?? '?' });
  }

  fail(number: number, error: ProviderError): void {
    this.emit({ type: 'failed', utterance: number, error });
  }

  /** Ends the events, by an error if there is one. */
  end(error: Error | null = null): void {
    if (this.over) return;
    this.over = true;
    this.#error = error;
    this.#queue.end();
  }

  async *#iterate(): AsyncGenerator<SpeechToTextEvent, void, void> {
    for await (const event of this.#queue) {
      if (this.options.signal.aborted) return;
      if (this.#discarded.has(event)) continue;
      yield event;
      if (this.options.signal.aborted) return;
    }
    if (this.#error !== null) throw this.#error;
  }
}

/** One step of a scripted stream: an event, an error to throw, or a wait that only the signal ends, if anything. */
export type Step<Event> = Event | Error | 'hang' | 'hang deaf';

async function* play<Event>(
  steps: readonly Step<Event>[],
  signal: AbortSignal,
): AsyncGenerator<Event, void, void> {
  for (const step of steps) {
    if (signal.aborted) return;
    if (step === 'hang') {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      return;
    }
    if (step === 'hang deaf') await new Promise<never>(() => {});
    if (step instanceof Error) throw step;
    yield step as Event;
  }
}

/** A language model that plays one script after the other, the last one again and again. */
export class ScriptedModel implements LanguageModel {
  readonly requests: LanguageModelRequest[] = [];
  readonly signals: AbortSignal[] = [];
  /** Replies that have been begun and are not over. */
  running = 0;
  warmed = 0;
  closed = 0;
  scripts: Step<LanguageModelEvent>[][];

  constructor(...scripts: Step<LanguageModelEvent>[][]) {
    this.scripts = scripts;
  }

  async *reply(
    request: LanguageModelRequest,
    signal: AbortSignal,
  ): AsyncGenerator<LanguageModelEvent, void, void> {
    this.requests.push(request);
    this.signals.push(signal);
    this.running++;
    try {
      yield* play(this.scripts.length > 1 ? this.scripts.shift()! : this.scripts[0]!, signal);
    } finally {
      this.running--;
    }
  }

  warm(): void {
    this.warmed++;
  }

  close(): void {
    this.closed++;
  }
}

/** See {@link ScriptedModel}. */
export class ScriptedVoice implements TextToSpeech {
  readonly requests: TextToSpeechRequest[] = [];
  running = 0;
  warmed: unknown[] = [];
  closed = 0;
  script: (request: TextToSpeechRequest) => Step<TextToSpeechEvent>[];

  constructor(script: (request: TextToSpeechRequest) => Step<TextToSpeechEvent>[]) {
    this.script = script;
  }

  async *speak(
    request: TextToSpeechRequest,
    signal: AbortSignal,
  ): AsyncGenerator<TextToSpeechEvent, void, void> {
    this.requests.push(request);
    this.running++;
    try {
      yield* play(this.script(request), signal);
    } finally {
      this.running--;
    }
  }

  warm(as: unknown): void {
    this.warmed.push(as);
  }

  close(): void {
    this.closed++;
  }
}

/** An outage of a provider. */
export function outage(provider: string, failure: ProviderError['failure'] = 'unavailable'): ProviderError {
  return new ProviderError(provider, failure, `${provider}: scripted`);
}
