import type {
  LanguageModelEvent,
  LanguageModelRequest,
  Message,
  TextToSpeechEvent,
  TextToSpeechRequest,
  Usage,
} from '../providers/ports.ts';
import { SentenceChunker } from '../text/sentences.ts';
import { HeadStart } from './head-start.ts';
import type { Thinking } from './reply.ts';
import { completenessOf } from './turn-end.ts';

/** What is begun before it is certain that the caller's turn is over. */
export interface SpeculationOptions {
  /**
   * Nothing; the model's answer; or also the speech of its first sentence. What comes to nothing was paid for all the same.
   * Default `answer` (LiveKit: the model's answer in advance on, speech off).
   */
  ahead: 'nothing' | 'answer' | 'speech';
  /** Answers begun in one turn of the caller's; the next pause after them starts none. Default 3 (LiveKit). */
  mostAttempts: number;
}

export const defaultSpeculation: SpeculationOptions = { ahead: 'answer', mostAttempts: 3 };

interface Attempt {
  request: LanguageModelRequest;
  answer: HeadStart<LanguageModelEvent>;
  characters: number;
  turn: number;
  usage: Usage[];
  speech: { asked: TextToSpeechRequest; audio: HeadStart<TextToSpeechEvent>; usage: Usage[] } | null;
}

interface Dependencies {
  options: SpeculationOptions;
  providers: Thinking;
  speechRequest(sentence: string): TextToSpeechRequest;
  /** Told of each attempt's end; `characters`: what the model had written. */
  onOutcome(used: boolean, characters: number): void;
  /** The number of the turn that is being answered ahead. */
  turn(): number;
  /** What a vendor charges for an answer that was thrown away, and for which turn's answer it was. */
  onUsage(usage: Usage, turn: number): void;
}

/**
 * An answer to what the caller has said so far, made while it is still being waited for more. If the turn is over with these
 * words, the answer is there; if the caller goes on, it is thrown away, and counted.
 */
export class Speculation {
  readonly #options: Dependencies;
  #attempt: Attempt | null = null;
  #attempts = 0;

  constructor(options: Dependencies) {
    this.#options = options;
  }

  /** The caller may have finished with these words. */
  begin(text: string, request: LanguageModelRequest): void {
    const { options } = this.#options;
    if (this.#attempt !== null && sameConversation(this.#attempt.request, request)) return;
    this.discard();
    const goesOn = ['unfinished', 'dictation'].includes(completenessOf(text));
    if (options.ahead === 'nothing' || goesOn || this.#attempts >= options.mostAttempts) return;
    this.#attempts++;
    this.#attempt = this.#start(request);
  }

  /** The caller goes on with other words than those that are being answered. */
  unless(request: LanguageModelRequest): void {
    if (this.#attempt !== null && !sameConversation(this.#attempt.request, request)) this.discard();
  }

  /** The turn is over: providers that answer `request` with what is there already, or as usual. */
  take(request: LanguageModelRequest): Thinking {
    const attempt = this.#attempt;
    const { providers } = this.#options;
    this.#attempts = 0;
    if (attempt === null) return providers;
    if (!sameConversation(attempt.request, request) || attempt.answer.failed) {
      this.discard();
      return providers;
    }
    this.#attempt = null;
    this.#options.onOutcome(true, attempt.characters);
    return {
      languageModel: {
        reply: (asked, signal) => {
          if (attempt.answer.taken) return providers.languageModel.reply(asked, signal);
          signal.addEventListener('abort', () => attempt.speech?.audio.discard(), { once: true });
          return attempt.answer.take(signal);
        },
      },
      textToSpeech: {
        speak: (asked, signal) => {
          const { speech } = attempt;
          const ready = speech !== null && sameSpeech(speech.asked, asked) && !speech.audio.failed;
          if (ready && !speech.audio.taken) return speech.audio.take(signal);
          if (speech !== null && !speech.audio.taken) {
            speech.audio.discard();
            for (const usage of speech.usage.splice(0)) this.#options.onUsage(usage, attempt.turn);
          }
          return providers.textToSpeech.speak(asked, signal);
        },
      },
    };
  }

  /** The turn is over, and answered by something else. */
  turnOver(): void {
    this.discard();
    this.#attempts = 0;
  }

  /** Throws away what was begun. Idempotent. */
  discard(): void {
    const attempt = this.#attempt;
    if (attempt === null) return;
    this.#attempt = null;
    attempt.answer.discard();
    attempt.speech?.audio.discard();
    for (const usage of [...attempt.usage, ...(attempt.speech?.usage ?? [])]) {
      this.#options.onUsage(usage, attempt.turn);
    }
    this.#options.onOutcome(false, attempt.characters);
  }

  #start(request: LanguageModelRequest): Attempt {
    const { providers, options, onUsage } = this.#options;
    const turn = this.#options.turn();
    const onLateBill = (usage: Usage) => onUsage(usage, turn);
    const chunker = new SentenceChunker();
    const attempt: Omit<Attempt, 'answer'> & { answer?: Attempt['answer'] } = {
      request,
      characters: 0,
      turn,
      usage: [],
      speech: null,
    };
    const say = (sentence: string | undefined) => {
      if (sentence === undefined || attempt.speech !== null || options.ahead !== 'speech') return;
      const asked = this.#options.speechRequest(sentence);
      const usage: Usage[] = [];
      const audio = new HeadStart(
        (signal) => providers.textToSpeech.speak({ ...asked, onLateBill }, signal),
        (event) => event.type === 'usage' && usage.push(event.usage),
      );
      attempt.speech = { asked, audio, usage };
    };
    attempt.answer = new HeadStart(
      (signal) => providers.languageModel.reply({ ...request, onLateBill }, signal),
      (event) => {
        if (event.type === 'usage') attempt.usage.push(event.usage);
        if (event.type === 'finished') say(chunker.flush()[0]);
        if (event.type !== 'text') return;
        attempt.characters += event.text.length;
        say(chunker.push(event.text)[0]);
      },
    );
    return attempt as Attempt;
  }
}

/** The same messages; of the last one, the caller's, only the words count: punctuation comes and goes with the transcript. */
function sameConversation(a: LanguageModelRequest, b: LanguageModelRequest): boolean {
  return keyOf(a.messages) === keyOf(b.messages);
}

function sameSpeech(a: TextToSpeechRequest, b: TextToSpeechRequest): boolean {
  return a.text === b.text && a.voice === b.voice && a.language === b.language;
}

function keyOf(messages: readonly Message[]): string {
  const last = messages.at(-1);
  const words = last?.content.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return JSON.stringify([messages.slice(0, -1), last?.role, words]);
}
