import { chainSpeechToText } from '../providers/chain.ts';
import type {
  LanguageModelRequest,
  ProviderError,
  SpeechToText,
  TextToSpeechRequest,
  Usage,
} from '../providers/ports.ts';
import type { Providers } from '../providers/registry.ts';
import type { ToolRun } from '../tools/tool.ts';
import type { AgentConfig } from './agent-config.ts';
import { AgentSpeech, type SpeechCache } from './agent-speech.ts';
import type { Tools } from './answer-writer.ts';
import type { Clock } from './clock.ts';
import { spokenKeys } from './dtmf.ts';
import type { CallEvents } from './events.ts';
import { Faq } from './faq.ts';
import type { LaterActs } from './later-acts.ts';
import { tierFor } from './model-rule.ts';
import type { Playout } from './playout.ts';
import { Reply, type ReplyOptions, type Thinking } from './reply.ts';
import { Speculation } from './speculation.ts';
import { SpeechModel } from './speech-model.ts';
import { languageTag, promptIn, spokenAs } from './spoken-language.ts';
import type { Turn, Turns } from './turn.ts';
import type { TurnRecord } from './turn-record.ts';

/** The call's tool box: it outlives the turns, and ends with the call. */
export interface CallTools extends Tools {
  close(): void;
}

export interface AgentOptions {
  clock: Clock;
  events: CallEvents;
  playout: Playout;
  providers: Providers;
  agent: AgentConfig;
  sampleRate: 8000 | 16000;
  /** The caller's language, as it was heard before the call's object lost its memory; null: it was not. */
  languageHeard: string | null;
  speechCache: SpeechCache;
  record: TurnRecord;
  /** Makes the agent's tools, if it has any; `onRun` is told of each run before its result is used. */
  createTools(onRun: (run: ToolRun) => void): CallTools | null;
  /** What tools want done once the agent's words were heard. */
  later: LaterActs;
  /** Numbers the call's turns. */
  turns: Turns;
  /** @param turn the number of the turn that caused it; null: none alone. */
  onUsage(usage: Usage, turn: number | null): void;
  onFailure(error: ProviderError): void;
}

/** How the answer to a turn is made. */
export interface Answer {
  speak(reply: Reply): Promise<void>;
  /** Absent: with the agent's own providers. */
  thinking?: Thinking;
}

/**
 * The agent of one call: what it hears, thinks and speaks with, and which of these answers a turn. When it speaks is the pipeline's
 * affair.
 */
export class Agent {
  /** What the call listens with. */
  readonly speechToText: SpeechToText;
  readonly #options: AgentOptions;
  readonly #speech: AgentSpeech;
  readonly #speculation: Speculation;
  readonly #faq: Faq;
  readonly #tools: CallTools | null;
  /** Where one model hears, thinks and speaks. */
  readonly #speechModel: SpeechModel | null;
  /** BCP 47 tag of the caller's language, as far as it is known. */
  #language: string | null;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { agent, events, providers, record } = options;
    this.#language = agent.language ?? options.languageHeard;
    this.#faq = new Faq(agent.faq);
    this.#tools = recorded(
      options.createTools((run) => record.tool(run)),
      record,
    );
    this.#speechModel = this.#openSpeechModel();
    this.speechToText = this.#ear();
    this.#speech = new AgentSpeech({
      agent,
      textToSpeech: providers.textToSpeech,
      cache: options.speechCache,
      onLookup: (hit) => events.emit({ type: 'cache', hit }),
      onUsage: (usage) => options.onUsage(usage, null),
    });
    this.#speculation = new Speculation({
      options: agent.speculation,
      providers: { languageModel: providers.languageModel, textToSpeech: this.#speech.textToSpeech },
      speechRequest: (text) => ({ ...this.#spokenAs, text }),
      turn: () => options.turns.nextId,
      onOutcome: (used, characters) => events.emit({ type: 'speculation', used, characters }),
      onUsage: options.onUsage,
    });
  }

  /** Gets the providers ready for the first request. */
  warm(): void {
    const { speechToText, languageModel, textToSpeech, speechToSpeech } = this.#options.providers;
    for (const provider of [speechToText, languageModel, speechToSpeech]) provider?.warm?.();
    textToSpeech.warm?.(this.#spokenAs);
  }

  /** The call is over: nothing more is said. What was heard may still be transcribed. */
  stopThinking(): void {
    this.#speculation.discard();
    this.#tools?.close();
  }

  /** Lets go of every connection. */
  close(): void {
    for (const provider of this.#providers()) provider.close?.();
  }

  languageHeard(language: string): void {
    const { agent, events } = this.#options;
    // What the operator has set is not to be guessed.
    if (agent.language !== null || language === this.#language || !languageTag.test(language)) return;
    this.#language = language;
    events.emit({ type: 'language.heard', language });
  }

  /** Keys are words to a model that hears, too. */
  keysPressed(keys: string): void {
    this.#speechModel?.add({ role: 'user', content: spokenKeys(keys) });
  }

  /** The caller has said so much of a turn. Its answer is begun, if the turn may be over with it; one to other words is forgotten. */
  heardSoFar(text: string, mayBeOver: boolean): void {
    if (this.#speechModel?.lost === null || this.#faq.answerTo(text) !== null) return;
    const request = this.#modelRequest(text);
    if (mayBeOver) this.#speculation.begin(text, request);
    else this.#speculation.unless(request);
  }

  /** What was begun to be answered was nothing. */
  heardNothing(): void {
    this.#speculation.discard();
  }

  /** The answer to a turn that is over, and in the record. */
  answerTo(text: string): Answer {
    const ready = this.#faq.answerTo(text);
    const speechModel = this.#speechModel;
    const modelSpeaks = speechModel?.lost === null;
    if (ready !== null || modelSpeaks) this.#speculation.turnOver();
    if (ready !== null) return { speak: (reply) => reply.speak(ready) };
    if (modelSpeaks) return { speak: (reply) => reply.converse(speechModel) };
    const request = this.#modelRequest();
    const thinking = this.#speculation.take(request);
    return { speak: (reply) => reply.answer(request), thinking };
  }

  /** A model that hears and speaks learns what was said before its session. */
  recall(): void {
    const { record } = this.#options;
    for (const message of record.messages('', Number.MAX_SAFE_INTEGER).slice(1))
      this.#speechModel?.add(message);
  }

  /**
   * The answer to the caller's last turn, which stands in the record and was not answered.
   *
   * @param note what the model has to know of it.
   */
  answerAgain(note: string | null): Answer {
    const speechModel = this.#speechModel;
    if (note !== null) this.note(note);
    if (speechModel?.lost === null) return { speak: (reply) => reply.converse(speechModel) };
    const request = this.#modelRequest();
    return { speak: (reply) => reply.answer(request) };
  }

  /** An answer to nobody's words: something that the caller is waiting for has gone wrong. */
  answerAbout(problem: string): Answer {
    const speechModel = this.#speechModel;
    this.note(problem);
    if (speechModel?.lost === null) return { speak: (reply) => reply.converse(speechModel) };
    // Without tools: what has failed is not to be tried again before the caller knows.
    const { tools: _, ...request } = this.#modelRequest();
    return { speak: (reply) => reply.answer(request) };
  }

  /** Something that the model has to know, and nobody has said. */
  note(text: string): void {
    this.#options.record.note(text);
    this.#speechModel?.add({ role: 'system', content: text });
  }

  /** A turn of the agent's, to be filled by `Answer.speak` or by a fixed text. */
  reply(
    turn: Turn,
    interruptible: boolean,
    thinking: Thinking | undefined,
    listener: Pick<ReplyOptions, 'onSentence' | 'onFirstAudio' | 'onPlanned' | 'onWritten' | 'onHeard'>,
  ): Reply {
    const { agent, playout, clock, events, providers, onUsage, onFailure } = this.#options;
    const { textToSpeech } = this.#speech;
    return new Reply({
      turn,
      interruptible,
      agent,
      tools: this.#tools,
      later: this.#options.later,
      spokenAs: this.#spokenAs,
      providers: thinking ?? { languageModel: providers.languageModel, textToSpeech },
      playout,
      clock,
      onUsage: (usage) => {
        // Whoever was given up has not served.
        if (usage.estimated === undefined) turn.ledger.served(usage.provider);
        onUsage(usage, turn.id);
      },
      onFailure: (error) => onFailure(error),
      onWording: (asked, said) => events.emit({ type: 'wording', asked, said }),
      ...listener,
    });
  }

  /** Writes down what of a reply was heard. */
  record(reply: Reply, interrupted: boolean): void {
    this.#options.record.agent(reply, interrupted);
    const model = this.#speechModel;
    if (model === null) return;
    for (const { response, heardMs, heardText } of reply.spoken.cutResponses) {
      model.heardOnly(response, heardMs, heardText);
    }
    for (const response of reply.unheardResponses) model.heardOnly(response, 0, '');
    for (const content of reply.spoken.lines) model.add({ role: 'assistant', content });
  }

  /** Makes the lines ready that are needed when speech may be down. */
  prepare(signal: AbortSignal): Promise<void> {
    return this.#speech.prepare(this.#spokenAs, signal);
  }

  /** How the agent speaks: in the caller's language, with the voice for it. */
  get #spokenAs(): Omit<TextToSpeechRequest, 'text'> {
    const { agent, sampleRate } = this.#options;
    return spokenAs(agent, sampleRate, this.#language);
  }

  /** @param next what the caller seems to be saying, and is not in the record yet. */
  #modelRequest(next?: string): LanguageModelRequest {
    const { prompt, historyMessages, maxOutputTokens, model } = this.#options.agent;
    const instructions = promptIn(this.#language, prompt);
    const messages = this.#options.record.messages(instructions, historyMessages, next);
    const tools = this.#tools?.definitions ?? [];
    return {
      messages,
      maxOutputTokens,
      tier: tierFor(model, messages),
      ...(tools.length === 0 ? {} : { tools }),
    };
  }

  #providers() {
    return Object.values(this.#options.providers).filter((provider) => provider !== null);
  }

  /** Behind a model that hears and speaks stand the separate providers. */
  #ear(): SpeechToText {
    const { providers, clock } = this.#options;
    if (this.#speechModel === null) return providers.speechToText;
    const members = [
      // The session answers for itself: it renews and reconnects, and says when it is lost.
      {
        port: this.#speechModel.speechToText,
        name: 'speech to speech',
        deadlineMs: Number.POSITIVE_INFINITY,
      },
      { port: providers.speechToText, name: 'speech to text', deadlineMs: Number.POSITIVE_INFINITY },
    ];
    return chainSpeechToText(members, { clock });
  }

  #openSpeechModel(): SpeechModel | null {
    const { agent, providers, sampleRate, onUsage } = this.#options;
    if (providers.speechToSpeech === null) return null;
    return new SpeechModel({
      model: providers.speechToSpeech,
      session: {
        sampleRate,
        instructions: promptIn(this.#language, agent.prompt),
        // A session keeps its voice: it is chosen before anybody has spoken.
        voice: this.#spokenAs.voice,
        ...(agent.language === null ? {} : { language: agent.language }),
        ...(agent.keywords.length === 0 ? {} : { keywords: agent.keywords }),
        tools: this.#tools?.definitions ?? [],
        maxOutputTokens: agent.maxOutputTokens,
      },
      onUsage,
    });
  }
}

/** The same tools; what is asked of them stands in the conversation from the moment on at which it is asked. */
function recorded(tools: CallTools | null, record: TurnRecord): CallTools | null {
  if (tools === null) return null;
  return {
    definitions: tools.definitions,
    run: (call) => {
      record.toolAsked(call);
      return tools.run(call);
    },
    close: () => tools.close(),
  };
}
