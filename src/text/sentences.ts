import { endsSentence } from './sentence-end.ts';
import { isSpeakable, speakableWord } from './speakable.ts';

export interface SentenceChunkerOptions {
  /** The first chunk is at least this long, unless its line ends. Default 10: "Sure." alone sounds clipped. */
  firstMinCharacters?: number;
  /** Later chunks: short sentences are spoken together, with a better melody and fewer requests. Default 30. */
  minCharacters?: number;
  /** The first chunk is at most this long: the caller waits for it. Default 120. */
  firstMaxCharacters?: number;
  /** Later chunks are at most this long, even if the model writes no punctuation. Default 200. */
  maxCharacters?: number;
}

interface Word {
  text: string;
  /** White space stands before it. */
  spaced: boolean;
  /** A sentence ends with it: a good place to cut. */
  ends: boolean;
}

/** Full stops and commas of scripts that put no space after them, and the closing brackets that may follow them. */
const unspacedStop = /[。！？｡、，；：।॥؟۔]/u;
const unspacedCloser = /[。！？｡、，；：।॥؟۔」』】）〉》”’"']/u;

const clauseEnd = /[,;:)\]–—、，；：]["'”’»]*$/u;

/** A clause is worth a cut of its own from this share of the longest chunk on. */
const leastClauseShare = 1 / 3;

/**
 * Cuts a text that is still being written into pieces to be spoken: whole sentences, as early as it is certain
 * that they end, without Markdown and emoji, each at most `maxCharacters` long. All pieces joined are the text,
 * word for word; they do not depend on how the text arrives. Ends of lines always cut.
 *
 * It holds at most two words and one piece of text, whatever it is fed.
 */
/** The sentences of a whole text. */
export function sentencesOf(text: string): string[] {
  const chunker = new SentenceChunker();
  return [...chunker.push(text), ...chunker.flush()];
}

export class SentenceChunker {
  readonly #options: Required<SentenceChunkerOptions>;
  /** Words of the next piece. */
  #words: Word[] = [];
  #length = 0;
  /** The last of `#words`, while it is open whether a sentence ends with it. */
  #undecided = false;
  /** The raw word that is being written. */
  #raw = '';
  #spaced = false;
  #startsLine = true;
  /** The last of `#words` is the first of its line. */
  #lastStartedLine = false;
  #first = true;
  #ready: string[] = [];

  constructor(options: SentenceChunkerOptions = {}) {
    this.#options = {
      firstMinCharacters: 10,
      minCharacters: 30,
      firstMaxCharacters: 120,
      maxCharacters: 200,
      ...options,
    };
  }

  /** Takes the next part of the text, of any length, and returns the pieces that are complete with it. */
  push(text: string): string[] {
    for (let i = 0; i < text.length; i++) this.#take(text.charAt(i));
    return this.#takeReady();
  }

  /** The text is complete: returns what is left of it. What is pushed afterwards is a new text. */
  flush(): string[] {
    this.#endWord();
    this.#endLine();
    this.#spaced = false;
    this.#first = true;
    return this.#takeReady();
  }

  #take(character: string): void {
    if (/[\s\p{Cc}]/u.test(character)) {
      this.#endWord();
      this.#spaced = true;
      if (character === '\n' || character === '\r') this.#endLine();
      return;
    }
    const last = this.#raw.at(-1);
    // A script without spaces: the word ends with its full stop, as soon as no closing bracket follows.
    if (last !== undefined && unspacedCloser.test(last) && !unspacedCloser.test(character)) {
      if (unspacedStop.test(this.#raw.replace(/["'”’]+$/u, '').at(-1) ?? '')) this.#endWord();
    }
    this.#raw += character;
    // At every character, so that it makes no difference where a push ends.
    this.#decide(this.#raw, false);
    if (this.#raw.length >= this.#maxCharacters() && !/[\uD800-\uDBFF]/.test(character)) this.#endWord();
  }

  /** The raw word is complete. */
  #endWord(): void {
    const raw = this.#raw;
    if (raw === '') return;
    this.#raw = '';
    this.#decide(raw, true);
    const text = speakableWord(raw, this.#startsLine);
    if (text === '') return;
    this.#lastStartedLine = this.#startsLine;
    this.#startsLine = false;
    this.#add({ text, spaced: this.#spaced, ends: false });
    this.#spaced = false;
    this.#undecided = true;
    this.#decide('', false);
  }

  /** Settles whether a sentence ends with the last word, once enough of the next one is there. */
  #decide(next: string, whole: boolean): void {
    const last = this.#words.at(-1);
    if (!this.#undecided || last === undefined) return;
    const following = next === '' ? undefined : { text: next, whole };
    const ends = endsSentence(last.text, this.#words.at(-2)?.text ?? '', this.#lastStartedLine, following);
    if (ends === undefined && !whole) return;
    this.#undecided = false;
    last.ends = ends === true;
    if (last.ends && this.#length >= this.#minCharacters()) this.#cut(this.#words.length);
  }

  #add(word: Word): void {
    while (this.#words.length > 0 && lengthOf([...this.#words, word]) > this.#maxCharacters()) {
      this.#cut(this.#bestCut());
    }
    this.#words.push(word);
    this.#length = lengthOf(this.#words);
  }

  /** How many of the words to say now that there are too many: up to a sentence's end, a clause's, or all. */
  #bestCut(): number {
    const sentence = this.#words.findLastIndex((word) => word.ends);
    if (sentence >= 0) return sentence + 1;
    const least = this.#maxCharacters() * leastClauseShare;
    const clause = this.#words.findLastIndex(
      (word, i) => clauseEnd.test(word.text) && lengthOf(this.#words.slice(0, i + 1)) >= least,
    );
    return clause >= 0 ? clause + 1 : this.#words.length;
  }

  #endLine(): void {
    this.#undecided = false;
    this.#cut(this.#words.length);
    this.#startsLine = true;
  }

  #cut(count: number): void {
    const piece = joinWords(this.#words.slice(0, count));
    this.#words = this.#words.slice(count);
    this.#length = lengthOf(this.#words);
    if (!isSpeakable(piece)) return;
    this.#ready.push(piece);
    this.#first = false;
  }

  #minCharacters(): number {
    return this.#first ? this.#options.firstMinCharacters : this.#options.minCharacters;
  }

  #maxCharacters(): number {
    return this.#first ? this.#options.firstMaxCharacters : this.#options.maxCharacters;
  }

  #takeReady(): string[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }
}

function joinWords(words: readonly Word[]): string {
  return words.map((word, i) => (i > 0 && word.spaced ? ` ${word.text}` : word.text)).join('');
}

function lengthOf(words: readonly Word[]): number {
  return words.reduce((sum, word, i) => sum + word.text.length + (i > 0 && word.spaced ? 1 : 0), 0);
}
