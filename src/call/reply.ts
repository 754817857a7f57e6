import type { LanguageModelRequest, TextToSpeechRequest, Usage } from '../providers/ports.ts';
import { ProviderError } from '../providers/ports.ts';
import type { Providers } from '../providers/registry.ts';
import { sentencesOf } from '../text/sentences.ts';
import type { AgentConfig } from './agent-config.ts';
import { AnswerWriter, type Tools } from './answer-writer.ts';
import { AsyncQueue } from './async-queue.ts';
import type { Clock } from './clock.ts';
import { HoldLine } from './hold-line.ts';
import type { LatencyMark } from './latency.ts';
import type { LaterActs } from './later-acts.ts';
import type { HeardSentence } from './past-call.ts';
import type { Playout } from './playout.ts';
import type { Segment } from './playout-segment.ts';
import type { SpeechModel } from './speech-model.ts';
import { Spoken } from './spoken.ts';
import type { Turn } from './turn.ts';

/** What a reply is made with. */
export type Thinking = Pick<Providers, 'languageModel' | 'textToSpeech'>;

export interface ReplyOptions {
  turn: Turn;
  /** Whether the caller may silence it by speaking. */
  interruptible: boolean;
  agent: AgentConfig;
  providers: Thinking;
  tools: Tools | null;
  /** What tools want done once the reply was heard. */
  later: Pick<LaterActs, 'add' | 'forget' | 'waiting'>;
  spokenAs: Omit<TextToSpeechRequest, 'text'>;
  playout: Playout;
  clock: Clock;
  /** The first audio of this sentence goes out. */
  onSentence(text: string): void;
  /** This sentence is going to be said. */
  onPlanned?(text: string): void;
  /** Nothing more is going to be said than what was planned. */
  onWritten?(): void;
  /** It was heard to its end. */
  onHeard?(sentence: HeardSentence): void;
  /** The first audio of the whole reply goes out: its latency is known. */
  onFirstAudio(): void;
  onUsage(usage: Usage): void;
  /** A provider failed, all its retries spent. The reply goes on with the apology where that is possible. */
  onFailure(error: ProviderError): void;
  /** A speech model said other words than it was given. */
  onWording(asked: string, said: string): void;
}

/**
 * Speech is made at most this far ahead of the caller's ear: what an interruption throws away was paid for.
 */
const SYNTHESIS_AHEAD_MS = 10_000;
/** Times that a speech model may ask for tools in one reply. */
const MOST_ROUNDS = 5;

/**
 * What the agent says in one turn: sentence by sentence to speech, the first sentence on its way while the model
 * still writes; or, with a model that speaks, its audio as it comes. Everything it starts ends with the turn's signal.
 */
export class Reply {
  readonly turn: Turn;
  readonly interruptible: boolean;
  /** What of it was sent, and what of that was heard. */
  readonly spoken = new Spoken();
  readonly #options: ReplyOptions;
  #holdLine: Segment | null = null;
  /** Audio of the answer has come. */
  #begunAudio = false;
  /** Responses that a model that speaks was asked for. */
  readonly #responses: number[] = [];

  constructor(options: ReplyOptions) {
    this.turn = options.turn;
    this.interruptible = options.interruptible;
    this.#options = options;
  }

  /** Responses of a model that speaks of which the caller has heard nothing. */
  get unheardResponses(): number[] {
    return this.#responses.filter((response) => !this.spoken.has(response));
  }

  /** Speaks a fixed text. Resolves when it was heard, or the turn was cancelled; never rejects. */
  async speak(text: string): Promise<void> {
    const sentences = this.#planned();
    for (const sentence of sentencesOf(text)) sentences.push(sentence);
    sentences.end();
    this.#options.onWritten?.();
    await this.#speakSentences(sentences);
    await this.#options.playout.waitUntilQueued(0);
  }

  /** Answers the conversation. Resolves and fails as {@link speak}. */
  async answer(request: LanguageModelRequest): Promise<void> {
    await this.#withHoldLine(async (holdLine) => {
      const sentences = this.#planned();
      const unspeakable = new AbortController();
      const signal = AbortSignal.any([this.turn.signal, unspeakable.signal]);
      const written = this.#write(request, sentences, signal);
      const spoken = await this.#speakSentences(sentences);
      if (!spoken) {
        // What cannot be spoken need not be written either; nobody waits for a tool that is under way.
        unspeakable.abort();
        void written;
        return false;
      }
      holdLine.stop();
      return (await written) && this.#saidSomething();
    });
  }

  /** Sentences count from when they are written, not from when their speech is made: a call that is taken up again says them too. */
  #planned(): AsyncQueue<string> {
    return new AsyncQueue<string>((sentence) => {
      if (!this.turn.signal.aborted) this.#options.onPlanned?.(sentence);
    });
  }

  /** Answers with a model that speaks. Resolves and fails as {@link speak}. */
  async converse(model: SpeechModel): Promise<void> {
    await this.#withHoldLine(async () => {
      try {
        for (let round = 0; round < MOST_ROUNDS; round++) {
          if (!(await this.#respond(model)) || this.turn.signal.aborted) break;
        }
        return this.#saidSomething();
      } catch (error) {
        this.turn.ledger.mark('firstSentence', this.#options.clock.now());
        return this.#fail(error);
      }
    });
  }

  /** An answer that is late is preceded by a line that says so, one that fails is followed by the apology. */
  async #withHoldLine(answer: (holdLine: HoldLine) => Promise<boolean>): Promise<void> {
    const { clock, agent, playout } = this.#options;
    const { turn } = this;
    let lineUnderWay = false;
    const holdLine = new HoldLine({
      clock,
      options: agent.silence,
      playout,
      say: (line) => {
        if (lineUnderWay) return;
        lineUnderWay = true;
        void this.#speakSentence(line, 'interjected').finally(() => {
          lineUnderWay = false;
        });
      },
    });
    turn.signal.addEventListener('abort', () => holdLine.stop(), { once: true });
    holdLine.start(turn.ledger.at('decided') ?? clock.now());
    try {
      const whole = await answer(holdLine);
      // Nobody is hung up on with an apology.
      if (!whole) this.#options.later.forget();
      if (!whole && !turn.signal.aborted && agent.apology !== '') await this.speak(agent.apology);
      await playout.waitUntilQueued(0);
    } finally {
      holdLine.stop();
    }
  }

  /** An answer without a word leaves the caller waiting: it has failed, unless there is something to be done instead. */
  #saidSomething(): boolean {
    if (this.turn.signal.aborted || this.#begunAudio || this.#options.later.waiting) return true;
    return this.#fail(
      new ProviderError('pipeline', 'malformed', 'The answer holds nothing that can be spoken'),
    );
  }

  /** Fills `sentences` from the language model. False where the model failed. */
  async #write(
    request: LanguageModelRequest,
    sentences: AsyncQueue<string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { providers, tools, later, clock, onUsage, onFailure } = this.#options;
    const writer = new AnswerWriter({
      languageModel: providers.languageModel,
      tools,
      ledger: this.turn.ledger,
      clock,
      onUsage: (usage) => onUsage(usage),
      onAfterwards: (act) => later.add(act),
      onFailover: (error) => onFailure(error),
    });
    try {
      await writer.write(request, sentences, signal);
      if (!signal.aborted) this.#options.onWritten?.();
      return true;
    } catch (error) {
      return signal.aborted || this.#fail(error);
    }
  }

  /** False where speech failed, and nothing came after it. */
  async #speakSentences(sentences: AsyncQueue<string>): Promise<boolean> {
    const { playout, turn } = this.#options;
    let whole = true;
    for await (const sentence of sentences) {
      await playout.waitUntilQueued(SYNTHESIS_AHEAD_MS);
      if (turn.signal.aborted) return true;
      const outcome = await this.#speakSentence(sentence);
      // Nobody could say it: the next one would fail as well, and cost its retries' time again.
      if (outcome === 'unspoken') return false;
      whole = outcome === 'spoken';
    }
    return whole;
  }

  /** @param place `interjected`: before what was not heard yet; it is no part of the answer, nor of its latency. */
  async #speakSentence(
    sentence: string,
    place: 'next' | 'interjected' = 'next',
  ): Promise<'spoken' | 'broken off' | 'unspoken'> {
    const { providers, clock, turn, spokenAs } = this.#options;
    const mark = (name: LatencyMark) => {
      if (place === 'next') turn.ledger.mark(name, clock.now());
    };
    let complete = false;
    let begun = false;
    const segment = this.#begin(sentence, place, null);
    if (place === 'interjected') this.#holdLine = segment;
    try {
      mark('speechRequested');
      const onLateBill = this.#options.onUsage;
      const speech = providers.textToSpeech.speak({ ...spokenAs, text: sentence, onLateBill }, turn.signal);
      for await (const event of speech) {
        if (turn.signal.aborted) return 'spoken';
        if (event.type === 'usage') {
          this.#options.onUsage(event.usage);
        } else if (event.type === 'failover') {
          this.#options.onFailure(event.error);
        } else if (event.type === 'wording') {
          this.#options.onWording(sentence, event.text);
          segment.reword(event.text);
        } else {
          mark('firstAudio');
          // The answer is there: a line that only says that it is late has nothing more to say.
          if (place === 'next') {
            this.#holdLine?.withdraw();
            this.#begunAudio = true;
          }
          segment.push(event.samples);
          begun = true;
        }
      }
      complete = true;
      return 'spoken';
    } catch (error) {
      mark('firstAudio');
      if (this.#fail(error)) return 'spoken';
      // The rest of the answer is another request, and may be another provider's.
      return begun ? 'broken off' : 'unspoken';
    } finally {
      segment.end(complete);
    }
  }

  /** One response of a model that speaks. True where it asked for tools, and has to be asked again. */
  async #respond(model: SpeechModel): Promise<boolean> {
    const { clock, turn, tools, later } = this.#options;
    const { ledger } = turn;
    ledger.mark('modelRequested', clock.now());
    const { response, events } = model.respond(turn.signal, turn.id);
    this.#responses.push(response);
    const segment = this.#begin('', 'next', response);
    const calls = [];
    let complete = false;
    try {
      for await (const event of events) {
        if (turn.signal.aborted) return false;
        ledger.mark('firstToken', clock.now());
        if (event.type === 'text') {
          segment.append(event.text);
        } else if (event.type === 'toolCall') {
          calls.push(event.call);
        } else {
          ledger.mark('firstSentence', clock.now());
          ledger.mark('firstAudio', clock.now());
          this.#holdLine?.withdraw();
          this.#begunAudio = true;
          ledger.served(model.provider);
          segment.push(event.samples);
        }
      }
      complete = true;
    } finally {
      segment.end(complete);
    }
    if (tools === null || calls.length === 0) return false;
    const results = await Promise.all(
      calls.map(async (call) => {
        const result = await tools.run(call);
        if (result.afterwards !== undefined && !turn.signal.aborted) later.add(result.afterwards);
        return result;
      }),
    );
    // Also of a reply that was interrupted meanwhile: what a tool did is a fact.
    for (const [i, { content }] of results.entries()) model.toolResult(calls[i]!.id, content);
    return true;
  }

  #begin(text: string, place: 'next' | 'interjected', response: number | null): Segment {
    const { playout, clock, turn } = this.#options;
    const onFirstSent = () => {
      const first = place === 'next' && turn.ledger.at('firstSent') === undefined;
      if (place === 'next') turn.ledger.mark('firstSent', clock.now());
      this.spoken.add(segment, response);
      if (first) this.#options.onFirstAudio();
      this.#options.onSentence(segment.text);
    };
    const onHeard = () => {
      const span = segment.heardSpan;
      if (place === 'next' && span !== null) this.#options.onHeard?.({ text: segment.text, ...span });
    };
    const segment: Segment = playout.begin(text, onFirstSent, place === 'interjected', onHeard);
    return segment;
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
