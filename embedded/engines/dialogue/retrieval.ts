import { LangEn } from '@nlpjs/lang-en-min';
import { Nlp } from '@nlpjs/nlp';
import type { Business, Fact } from './business.ts';
import type { Vocabulary } from './vocabulary.ts';

/** A fact found for a question. */
export interface Match {
  fact: Fact;
  /** How much of what the question says the fact knows, by weight, 0 to 1. */
  coverage: number;
  /** nlp.js's opinion that the question means this fact, 0 to 1. */
  intent: number;
  score: number;
}

/**
 * Coverage that is enough, set by trying questions. nlp.js alone is sure of itself on questions outside its subject,
 * so it decides only where the question has no word that is unknown.
 */
const enough = {
  /** The question has words that no fact knows. */
  withUnknownWords: 0.6,
  /** What the fact needs is hardly spoken of elsewhere. */
  specific: 0.25,
  /** Every word is known, and nlp.js agrees with at least this. */
  allKnown: 0.36,
  agreement: 0.5,
};
/** Weight of the terms that a follow-up takes over from the question before, against its own. */
const carriedWeight = 0.5;
/** Weight of a concept of the business that the fact does not know, against a word that nobody knows. */
const besideWeight = 0.5;
/** Words that nobody knows count up to this many: a caller may tell a story before the question. */
const mostUnknown = 2;
/** A term counts at most this often. */
const mostRepeats = 3;

/** Finds the fact that a question is about: a keyword index decides whether there is one, nlp.js helps to choose. */
export class Retrieval {
  readonly #facts: { fact: Fact; terms: Set<string> }[];
  readonly #documents = new Map<string, number>();
  readonly #business: Business;
  readonly #nlp: Nlp;

  private constructor(business: Business, facts: { fact: Fact; terms: Set<string> }[], nlp: Nlp) {
    this.#business = business;
    this.#facts = facts;
    this.#nlp = nlp;
    for (const term of facts.flatMap(({ terms }) => [...terms])) {
      this.#documents.set(term, (this.#documents.get(term) ?? 0) + 1);
    }
  }

  static async build(business: Business, vocabulary: Vocabulary): Promise<Retrieval> {
    const nlp = new Nlp({
      languages: ['en'],
      autoSave: false,
      autoLoad: false,
      nlu: { log: false },
      log: false,
    });
    nlp.container.use(LangEn);
    const facts = business.facts.map((fact) => {
      const terms = new Set<string>();
      for (const phrasing of fact.phrasings) {
        const found = vocabulary.terms(phrasing);
        for (const term of found) terms.add(term);
        nlp.addDocument('en', sentence(found), fact.id);
      }
      for (const concept of fact.needs.flat()) terms.add(`=${concept}`);
      return { fact, terms };
    });
    await nlp.train();
    return new Retrieval(business, facts, nlp);
  }

  /**
   * The fact that a question's terms are about, or null if they are about nothing that is known.
   *
   * @param carried concepts taken over from the question before. A fact must then need one of them and one of the
   *   question's own.
   */
  async find(own: readonly string[], carried: readonly string[] = []): Promise<Match | null> {
    if (own.length === 0) return null;
    const all = [...own, ...carried.filter((term) => !own.includes(term))];
    const excluding = this.#business.exclusive
      .map((concept) => `=${concept}`)
      .filter((term) => own.includes(term));
    const { classifications } = await this.#nlp.process('en', sentence(all));
    const intents = new Map(classifications.map(({ intent, score }) => [intent, score]));
    let best: Match | null = null;
    for (const { fact, terms } of this.#facts) {
      if (!fact.needs.every((group) => group.some((concept) => all.includes(`=${concept}`)))) continue;
      if (!excluding.every((term) => terms.has(term))) continue;
      if (carried.length > 0 && !this.#joins(fact, terms, own, carried)) continue;
      const match = this.#rate(fact, terms, own, carried, intents.get(fact.id) ?? 0);
      if (best === null || match.score > best.score) best = match;
    }
    return best !== null && this.#suffices(best, own) ? best : null;
  }

  /** Whether a fact answers for the whole business, e.g. "what are your prices?". */
  isGeneral(fact: Fact): boolean {
    return fact.needs.flat().every((concept) => this.#business.aspects.includes(concept));
  }

  #suffices({ fact, coverage, intent }: Match, own: readonly string[]): boolean {
    if (coverage >= enough.withUnknownWords) return true;
    if (this.isGeneral(fact)) return false;
    if (fact.specific) return coverage >= enough.specific;
    const allKnown = own.every((term) => this.#documents.has(term));
    return allKnown && coverage >= enough.allKnown && intent >= enough.agreement;
  }

  #joins(
    fact: Fact,
    terms: ReadonlySet<string>,
    own: readonly string[],
    carried: readonly string[],
  ): boolean {
    const needed = fact.needs.flat().map((concept) => `=${concept}`);
    const usesCarried = carried.some((term) => !own.includes(term) && needed.includes(term));
    return usesCarried && own.some((term) => terms.has(term));
  }

  #rate(
    fact: Fact,
    terms: ReadonlySet<string>,
    own: readonly string[],
    carried: readonly string[],
    intent: number,
  ): Match {
    let known = 0;
    let total = 0;
    const count = (term: string, factor: number) => {
      const isBeside = !terms.has(term) && this.#documents.has(term);
      const weight = this.#weight(term) * factor * (isBeside ? besideWeight : 1);
      total += weight;
      if (terms.has(term)) known += weight;
    };
    let unknown = 0;
    for (const term of new Set(own)) {
      if (!this.#documents.has(term) && ++unknown > mostUnknown) continue;
      count(term, Math.min(mostRepeats, own.filter((other) => other === term).length));
    }
    for (const term of carried) if (!own.includes(term)) count(term, carriedWeight);
    const coverage = total === 0 ? 0 : known / total;
    // A fact that needs more is the more precise answer: "open" and "Sunday" over "open".
    return { fact, coverage, intent, score: coverage + 0.25 * intent + 0.15 * fact.needs.length };
  }

  /** Inverse document frequency, over facts; a term that no fact knows weighs as much as the rarest. */
  #weight(term: string): number {
    return Math.log(1 + this.#facts.length / (this.#documents.get(term) ?? 1));
  }
}

/** Terms as nlp.js reads them: a concept becomes a word of its own that no stemmer changes. */
function sentence(terms: readonly string[]): string {
  return terms
    .map((term) => term.replace(/^=(.*)$/, (_, name: string) => `${name.replace(/-/g, '')}x`))
    .join(' ');
}
