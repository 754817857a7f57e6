import { type Business, exampleBusiness, type Fact } from './business.ts';
import { Retrieval } from './retrieval.ts';
import {
  afterFacts,
  firstOfAll,
  messageOffer,
  messageRequest,
  messageTaken,
  nothingHeard,
  nothingToRepeat,
  repeatPattern,
  type SmallTalk,
  unknown,
  yesPattern,
} from './small-talk.ts';
import { Vocabulary, words } from './vocabulary.ts';

export interface DialogueMessage {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool';
  content: string;
}

/** What a message was understood as, and the reply. */
export type Resolution =
  | { kind: 'fact'; facts: string[]; text: string }
  | { kind: 'small-talk'; id: string; text: string }
  | { kind: 'unknown'; text: string };

/** Earlier questions of the caller that a follow-up may refer to. */
const rememberedQuestions = 8;
/** Questions answered of one message. */
const mostQuestions = 2;

/** Words that point back to something said before. */
const pointsBack =
  /^(and|or|what about|how about|but)\b|\b(that|it|this|them|they|those|these|one|then|there)\b/;

/**
 * Answers questions about one business from written facts: no language model, but intents (nlp.js) behind a keyword
 * index that decides whether the question is within its subject at all. Stateless: what was said before is in the
 * messages.
 */
export class DialogueEngine {
  readonly #business: Business;
  readonly #vocabulary: Vocabulary;
  readonly #retrieval: Retrieval;

  private constructor(business: Business, vocabulary: Vocabulary, retrieval: Retrieval) {
    this.#business = business;
    this.#vocabulary = vocabulary;
    this.#retrieval = retrieval;
  }

  static async load(business: Business = exampleBusiness()): Promise<DialogueEngine> {
    const vocabulary = new Vocabulary(business);
    return new DialogueEngine(business, vocabulary, await Retrieval.build(business, vocabulary));
  }

  /** The reply to the last message of the caller: one to four short sentences. */
  async reply(messages: readonly DialogueMessage[]): Promise<string> {
    return (await this.resolve(messages)).text;
  }

  async resolve(messages: readonly DialogueMessage[]): Promise<Resolution> {
    const spoken = messages.filter(({ role }) => role === 'user' || role === 'assistant');
    const last = spoken.findLastIndex(({ role }) => role === 'user');
    if (last < 0) return this.#small(afterFacts.find(({ id }) => id === 'greeting')!);
    const text = spoken[last]!.content;
    const said = words(text).join(' ');
    if (said === '') return { kind: 'small-talk', id: 'nothing-heard', text: nothingHeard };
    const before = spoken.slice(0, last);
    const agentSaid = before.findLast(({ role }) => role === 'assistant')?.content ?? '';

    if (repeatPattern.test(said)) {
      return { kind: 'small-talk', id: 'repeat', text: agentSaid === '' ? nothingToRepeat : agentSaid };
    }
    const message = this.#messageTaking(said, agentSaid);
    if (message !== null) return message;
    const first = firstOfAll.find(({ pattern }) => pattern.test(said));
    if (first !== undefined) return this.#small(first);

    const facts = await this.#answers(text, await this.#subject(before));
    if (facts.length > 0) {
      const text = facts.map(({ answer }) => answer).join(' ');
      return { kind: 'fact', facts: facts.map(({ id }) => id), text };
    }
    // Small talk with a subject that is not known is a question: "thanks, and who won the match?"
    if (new Set(this.#vocabulary.terms(text)).size <= 1) {
      const small = afterFacts.find(({ pattern }) => pattern.test(said));
      if (small !== undefined) return this.#small(small);
    }
    return { kind: 'unknown', text: unknown(this.#business, agentSaid === unknown(this.#business, false)) };
  }

  /** The caller takes up the offer to leave a message, or leaves it. */
  #messageTaking(said: string, agentSaid: string): Resolution | null {
    if (agentSaid === messageRequest) {
      if (afterFacts.some(({ id, pattern }) => (id === 'no' || id === 'goodbye') && pattern.test(said)))
        return null;
      return { kind: 'small-talk', id: 'message-taken', text: messageTaken };
    }
    if (agentSaid.includes(messageOffer) && yesPattern.test(said) && said.split(' ').length <= 6) {
      return { kind: 'small-talk', id: 'leave-message', text: messageRequest };
    }
    return null;
  }

  /** What the last questions were about, found by answering them again. */
  async #subject(before: readonly DialogueMessage[]): Promise<Fact | null> {
    let subject: Fact | null = null;
    const questions = before.filter(({ role }) => role === 'user').slice(-rememberedQuestions);
    for (const { content } of questions) subject = (await this.#answers(content, subject)).at(-1) ?? subject;
    return subject;
  }

  /** The facts a message asks for: as one question, or as several if each of its sentences is one. */
  async #answers(text: string, subject: Fact | null): Promise<Fact[]> {
    const parts = text
      .split(
        /[.?!]+\s+|[,;]?\s+and (?=(?:also|do|does|is|are|can|could|what|when|where|how|who|will|would)\b)/i,
      )
      .filter((part) => words(part).length > 0);
    const whole = await this.#answer(text, subject);
    if (parts.length < 2) return whole === null ? [] : [whole];
    const found: Fact[] = [];
    let current = subject;
    for (const part of parts.slice(0, 8)) {
      const fact = await this.#answer(part, current);
      if (fact === null || found.includes(fact)) continue;
      // "I have a flat. How much is that?": the second sentence asks, the first says about what.
      if (fact === whole || (whole !== null && found.length === 0 && parts.length > mostQuestions)) {
        found.splice(0);
      }
      found.push(fact);
      current = fact;
    }
    if (found.length === 0 || (found.length === 1 && whole !== null)) return whole === null ? found : [whole];
    return found.slice(0, mostQuestions);
  }

  async #answer(text: string, subject: Fact | null): Promise<Fact | null> {
    const own = this.#vocabulary.terms(text);
    const direct = await this.#retrieval.find(own);
    if (subject === null || !(new Set(own).size <= 1 || pointsBack.test(words(text).join(' '))))
      return direct?.fact ?? null;
    const carried = await this.#retrieval.find(
      own,
      subject.topic.map((concept) => `=${concept}`),
    );
    // What the caller says alone counts more, unless it is so general that it needs the subject.
    const general = direct === null || this.#retrieval.isGeneral(direct.fact);
    return (general ? (carried ?? direct) : direct)?.fact ?? null;
  }

  #small({ id, answer }: SmallTalk): Resolution {
    return { kind: 'small-talk', id, text: answer(this.#business) };
  }
}
