import type { LanguageModelRequest, Usage } from '../providers/ports.ts';
import { ProviderError } from '../providers/ports.ts';
import type { Providers } from '../providers/registry.ts';
import { SentenceChunker, sentencesOf } from '../text/sentences.ts';
import type { AgentConfig } from './agent-config.ts';
import { AsyncQueue } from './async-queue.ts';
import type { Clock } from './clock.ts';
import { HoldLine } from './hold-line.ts';
import type { LatencyMark } from './latency.ts';
import type { Playout, Segment } from './playout.ts';
import type { Turn } from './turn.ts';

/** What a reply is made with. */
export type Thinking = Pick<Providers, 'languageModel' | 'textToSpeech'>;

export interface ReplyOptions {
  turn: Turn;
  /** Whether the caller may silence it by speaking. */
  interruptible: boolean;
  agent: AgentConfig;
  providers: Thinking;
  playout: Playout;
  clock: Clock;
  sampleRate: 8000 | 16000;
  /** The first audio of this sentence goes out. */
  onSentence(text: string): void;
  /** The first audio of the whole reply goes out: its latency is known. */
  onFirstAudio(): void;
  onUsage(usage: Usage): void;
  /** A provider failed, all its retries spent. The reply goes on with the apology where that is possible. */
  onFailure(error: ProviderError): void;
}

/**
 * Speech is made at most this far ahead of the caller's ear: what an interruption throws away was paid for.
 */
const SYNTHESIS_AHEAD_MS = 10_000;

/**
 * What the agent says in one turn: sentence by sentence to speech, the first sentence on its way while the model
 * still writes. Everything it starts ends with the turn's signal.
 */
export class Reply {
  readonly turn: Turn;
  readonly interruptible: boolean;
  readonly #options: ReplyOptions;
  /** Sentences of which audio was sent, in order, and where they are. */
  readonly #said: string[] = [];
  readonly #segments: Segment[] = [];
  #holdLine: Segment | null = null;

  constructor(options: ReplyOptions) {
    this.turn = options.turn;
    this.interruptible = options.interruptible;
    this.#options = options;
  }

  /** What the agent was last heard to say, to compare with what the caller says over it. */
  saying(): string {
    return this.#said.slice(-2).join(' ');
  }

  /** What the caller has heard so far. */
  heardText(): string {
    return this.#segments
      .map((segment) => segment.heardText())
      .filter((text) => text !== '')
      .join(' ');
  }

  /** When the caller heard it, in milliseconds of the clock; null if nothing was heard. */
  heardSpan(): { from: number; until: number } | null {
    const spans = this.#segments.flatMap((segment) => segment.heardSpan ?? []);
    const first = spans[0];
    const last = spans.at(-1);
    return first === undefined || last === undefined ? null : { from: first.from, until: last.until };
  }

  /** True where a sentence was not heard to its end. */
  cutShort(): boolean {
    return this.#segments.some((segment) => segment.heardText() !== segment.text);
  }

  /** Speaks a fixed text. Resolves when it was heard, or the turn was cancelled; never rejects. */
  async speak(text: string): Promise<void> {
    const sentences = new AsyncQueue<string>();
    for (const sentence of sentencesOf(text)) sentences.push(sentence);
    sentences.end();
    await this.#speakSentences(sentences);
    await this.#options.playout.waitUntilQueued(0);
  }

  /** Answers the conversation. Resolves and fails as {@link speak}. */
  async answer(request: LanguageModelRequest): Promise<void> {
    const { clock, agent, playout, turn } = this.#options;
    const holdLine = new HoldLine({
      clock,
      options: agent.silence,
      playout,
      say: (line) => void this.#speakSentence(line, 'interjected'),
    });
    turn.signal.addEventListener('abort', () => holdLine.stop(), { once: true });
    holdLine.start(turn.ledger.at('decided') ?? clock.now());
    try {
      await this.#answer(request, holdLine);
    } finally {
      holdLine.stop();
    }
  }

  async #answer(request: LanguageModelRequest, holdLine: HoldLine): Promise<void> {
    const sentences = new AsyncQueue<string>();
    const unspeakable = new AbortController();
    const signal = AbortSignal.any([this.turn.signal, unspeakable.signal]);
    const written = this.#write(request, sentences, signal);
    const spoken = await this.#speakSentences(sentences);
    // What is left of the stream is its bill: nobody waits for it.
    if (spoken) holdLine.stop();
    // What cannot be spoken need not be written either.
    if (!spoken) unspeakable.abort();
    const whole = (await written) && spoken;
    if (!whole && !this.turn.signal.aborted && this.#options.agent.apology !== '') {
      await this.speak(this.#options.agent.apology);
    }
    await this.#options.playout.waitUntilQueued(0);
  }

  /** Fills `sentences` from the language model. False where the model failed. */
  async #write(
    request: LanguageModelRequest,
    sentences: AsyncQueue<string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { providers, clock, turn } = this.#options;
    const { ledger } = turn;
    const chunker = new SentenceChunker();
    const add = (complete: string[]) => {
      for (const sentence of complete) {
        ledger.mark('firstSentence', clock.now());
        sentences.push(sentence);
      }
    };
    try {
      ledger.mark('modelRequested', clock.now());
      for await (const event of providers.languageModel.reply(request, signal)) {
        if (signal.aborted) return true;
        if (event.type === 'usage') {
          this.#options.onUsage(event.usage);
        } else if (event.type === 'failover') {
          this.#options.onFailure(event.error);
        } else if (event.type === 'finished') {
          // The last sentence does not wait for the usage and the end of the stream.
          add(chunker.flush());
          sentences.end();
        } else if (event.type === 'text') {
          ledger.mark('firstToken', clock.now());
          add(chunker.push(event.text));
        }
      }
      add(chunker.flush());
      return true;
    } catch (error) {
      if (signal.aborted) return true;
      // A failed wait was the provider's time as well.
      ledger.mark('firstSentence', clock.now());
      // What was written before the failure is worth hearing.
      add(chunker.flush());
      return this.#fail(error);
    } finally {
      sentences.end();
    }
  }

  /** False where speech failed: the next sentence would fail as well, and cost its retries' time again. */
  async #speakSentences(sentences: AsyncQueue<string>): Promise<boolean> {
    const { playout, turn } = this.#options;
    for await (const sentence of sentences) {
      await playout.waitUntilQueued(SYNTHESIS_AHEAD_MS);
      if (turn.signal.aborted) return true;
      if (!(await this.#speakSentence(sentence))) return false;
    }
    return true;
  }

  /** @param place `interjected`: before what was not heard yet; it is no part of the answer, nor of its latency. */
  async #speakSentence(sentence: string, place: 'next' | 'interjected' = 'next'): Promise<boolean> {
    const { agent, providers, playout, clock, turn, sampleRate } = this.#options;
    const mark = (name: LatencyMark) => {
      if (place === 'next') turn.ledger.mark(name, clock.now());
    };
    let complete = false;
    const onFirstSent = () => {
      const first = place === 'next' && turn.ledger.at('firstSent') === undefined;
      mark('firstSent');
      this.#said.push(sentence);
      // In the order in which they are heard.
      this.#segments.splice(this.#said.length - 1, 0, segment);
      if (first) this.#options.onFirstAudio();
      this.#options.onSentence(sentence);
    };
    const segment = playout.begin(sentence, onFirstSent, place === 'interjected');
    if (place === 'interjected') this.#holdLine = segment;
    try {
      mark('speechRequested');
      const request = { text: sentence, sampleRate, voice: agent.voice };
      for await (const event of providers.textToSpeech.speak(request, turn.signal)) {
        if (turn.signal.aborted) return true;
        if (event.type === 'usage') {
          this.#options.onUsage(event.usage);
        } else if (event.type === 'failover') {
          this.#options.onFailure(event.error);
        } else if (event.type === 'audio') {
          mark('firstAudio');
          // The answer is there: a line that only says that it is late has nothing more to say.
          if (place === 'next') this.#holdLine?.withdraw();
          segment.push(event.samples);
        }
      }
      complete = true;
      return true;
    } catch (error) {
      mark('firstAudio');
      return this.#fail(error);
    } finally {
      segment.end(complete);
    }
  }

  /** Tells of a failure, unless it is the turn's own cancellation. Returns whether all is well. */
  #fail(error: unknown): boolean {
    if (this.turn.signal.aborted) return true;
    this.#options.onFailure(
      error instanceof ProviderError
        ? error
        : new ProviderError('unknown', 'malformed', 'A provider failed in an unknown way', { cause: error }),
    );
    return false;
  }
}
