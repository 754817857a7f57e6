import { StemmerEn } from '@nlpjs/lang-en-min';
import type { Business } from './business.ts';
import { stopWords } from './stop-words.ts';

/** Words of one question that are looked at. */
const mostWords = 120;
/** Stems this long are taken for a known one from which they differ in one letter: "guarentee". */
const fuzzyLength = 6;

interface Phrase {
  stems: string[];
  concept: string;
}

/** Turns a text into the terms that questions and facts are compared by: concepts, and stems of what has no concept. */
export class Vocabulary {
  readonly #stemmer = new StemmerEn();
  /** By first stem, longest first. */
  readonly #phrases = new Map<string, Phrase[]>();
  readonly #known = new Set<string>();

  constructor(business: Business) {
    for (const [concept, texts] of Object.entries(business.concepts)) {
      for (const text of texts) {
        const stems = this.#stems(text);
        const [first] = stems;
        if (first === undefined) throw new Error(`concept ${concept}: ${JSON.stringify(text)} has no word`);
        this.#phrases.set(first, [...(this.#phrases.get(first) ?? []), { stems, concept }]);
        if (stems.length === 1) this.#known.add(first);
      }
    }
    for (const phrases of this.#phrases.values()) phrases.sort((a, b) => b.stems.length - a.stems.length);
    for (const fact of business.facts) {
      for (const stem of fact.phrasings.flatMap((text) => this.#stems(text))) this.#known.add(stem);
    }
  }

  /** Terms in the order of the text, as often as they occur. A concept is written `=name`. */
  terms(text: string): string[] {
    const stems = this.#stems(text);
    const raw = words(text);
    const terms: string[] = [];
    for (let at = 0; at < stems.length; ) {
      const stem = this.#nearest(stems[at]!, raw[at]!);
      const phrase = this.#phraseAt(stems, at, stem);
      if (phrase !== undefined) {
        terms.push(`=${phrase.concept}`);
        at += phrase.stems.length;
      } else {
        if (!stopWords.has(raw[at]!) && !/^\d+$/.test(stem)) terms.push(stem);
        at++;
      }
    }
    return terms;
  }

  #phraseAt(stems: readonly string[], at: number, first: string): Phrase | undefined {
    return this.#phrases
      .get(first)
      ?.find((phrase) => phrase.stems.every((stem, i) => i === 0 || stems[at + i] === stem));
  }

  /** The stem itself if it is known or too short to be judged, else the one known stem that is one letter away. */
  #nearest(stem: string, word: string): string {
    if (stem.length < fuzzyLength || this.#known.has(stem) || stopWords.has(word)) return stem;
    const near = [...this.#known].filter((known) => known.length >= fuzzyLength && oneEditApart(stem, known));
    return near.length === 1 ? near[0]! : stem;
  }

  #stems(text: string): string[] {
    return this.#stemmer.stem(words(text));
  }
}

const contractions: readonly [RegExp, string][] = [
  [/\b(can)'?t\b/g, 'cannot'],
  [/\bwon'?t\b/g, 'will not'],
  [/\b(is|are|was|were|do|does|did|have|has|had|would|could|should)n'?t\b/g, '$1 not'],
  [/\b(i|you|we|they)'(ve|re|ll|d)\b/g, '$1'],
  [/\bi'm\b/g, 'i am'],
  [/\b(what|where|when|who|how|that|it|there|here)'?s\b/g, '$1 is'],
  [/\b(\w+)'s\b/g, '$1'],
];

/** Lower-case words without punctuation, contractions spelt out. */
export function words(text: string): string[] {
  let plain = text
    .slice(0, 4000)
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[’‘]/g, "'")
    .toLowerCase();
  for (const [contraction, spelt] of contractions) plain = plain.replace(contraction, spelt);
  return plain
    .replace(/'/g, '')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
    .slice(0, mostWords);
}

/** Whether one letter inserted, deleted, replaced or two neighbours swapped makes one out of the other. */
function oneEditApart(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let from = 0;
  while (from < a.length && a[from] === b[from]) from++;
  // The first letter is seldom misheard, and words that differ in it are seldom meant.
  if (from === 0) return false;
  const restA = a.slice(from);
  const restB = b.slice(from);
  return (
    restA.slice(1) === restB ||
    restA === restB.slice(1) ||
    restA.slice(1) === restB.slice(1) ||
    (restA.slice(2) === restB.slice(2) && restA[0] === restB[1] && restA[1] === restB[0])
  );
}
