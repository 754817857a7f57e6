import type { EndpointingOptions } from './agent-config.ts';

/** What the caller's words so far say about whether more will follow. */
export type Completeness =
  /** A finished sentence or question. */
  | 'finished'
  /** It breaks off: at a conjunction, a filler, a comma. */
  | 'unfinished'
  /** It ends in a number, a spelled letter or a part of an address: more of it may follow. */
  | 'dictation'
  /** Nothing can be said. */
  | 'unknown';

/** After these a sentence goes on. English; other languages get `unknown`. */
const breaksOff = new Set(
  (
    'and or but so because if when while that which who than as to of for from with without at by in on into about the a ' +
    'an my your our their his her its um uh er erm hmm like well actually maybe then also is are was were will would could ' +
    'can should i we they he she it'
  ).split(' '),
);

const numberWords = new Set(
  (
    'zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen ' +
    'seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand double triple ' +
    'dash hyphen dot underscore slash'
  ).split(' '),
);

/** Words that stand before a dictated number: with one of them, or with several numbers, a number is no mere answer. */
const dictated =
  /\b(?:number|account|code|reference|card|phone|postcode|zip|spell|spelled|spelt|email|e-mail|pin)\b/i;

/** Judges the text of an utterance. Pure. */
export function completenessOf(text: string): Completeness {
  const plain = text.trim();
  if (plain === '') return 'unknown';
  if (/(?:,|…|\.\.\.|-|–|—)$/u.test(plain)) return 'unfinished';
  const words = plain.toLowerCase().match(/[\p{L}\p{N}'’]+/gu) ?? [];
  const last = words.at(-1) ?? '';
  if (endsInDictation(plain, words)) return 'dictation';
  // A question mark is believed; a full stop is put behind anything by every transcriber.
  if (endsInQuestion(plain)) return 'finished';
  if (breaksOff.has(last) && words.length > 1) return 'unfinished';
  if (words.every((word) => fillers.has(word))) return 'unfinished';
  return /[.!。！।]["'”’»)]*$/u.test(plain) ? 'finished' : 'unknown';
}

function endsInQuestion(text: string): boolean {
  return /[?？]["'”’»)]*\s*$/u.test(text);
}

const fillers = new Set(['um', 'uh', 'er', 'erm', 'hmm', 'well', 'so']);

/** A lone "two" is an answer; "my number is oh seven" and "seven seven three" are the beginning of something. */
function endsInDictation(text: string, words: readonly string[]): boolean {
  const isPart = (word: string | undefined) =>
    word !== undefined && (/^\p{N}+$/u.test(word) || numberWords.has(word) || /^\p{L}$/u.test(word));
  if (!isPart(words.at(-1)) || words.at(-1) === 'i' || words.at(-1) === 'a') return false;
  const run = words.length - 1 - words.findLastIndex((word) => !isPart(word));
  const digits = words.at(-1)!.replace(/\P{N}/gu, '').length;
  return run >= 3 || (digits >= 3 && digits < 12) || (run >= 1 && dictated.test(text));
}

/** How much longer than the caller's own pauses the wait is. */
const PAUSE_MARGIN = 1.25;
/** Share of the average that each finished turn takes away. */
const PAUSE_FADING = 0.1;
/** Weight of the newest pause in the average. */
const PAUSE_WEIGHT = 0.3;

/**
 * How long after the caller's last word the turn is over. Starts from the options and learns from the caller: who pauses long
 * within a turn is given longer.
 */
export class TurnEnd {
  readonly #options: EndpointingOptions;
  #averagePauseMs = 0;

  constructor(options: EndpointingOptions) {
    this.#options = options;
  }

  /** The caller went on after a pause of this length: it was none at the end of a turn. */
  learnPause(ms: number): void {
    const bounded = Math.min(ms, this.#options.maxEndMs);
    this.#averagePauseMs =
      this.#averagePauseMs === 0
        ? bounded
        : this.#averagePauseMs * (1 - PAUSE_WEIGHT) + bounded * PAUSE_WEIGHT;
  }

  /** What was learned fades with every turn: one slow sentence does not slow the rest of the call. */
  turnFinished(): void {
    this.#averagePauseMs *= 1 - PAUSE_FADING;
  }

  /** Milliseconds from the last voiced sample before which no answer to this text is heard. */
  speakMs(text: string): number {
    return endsInQuestion(text) ? 0 : this.#options.speakMs;
  }

  /** Milliseconds of silence, from the last voiced sample, that end a turn with this text. */
  waitMs(text: string): number {
    const { endMs, maxEndMs, unfinishedMs, dictationMs } = this.#options;
    const usual = Math.max(endMs, this.#averagePauseMs * PAUSE_MARGIN);
    const wait = {
      finished: endMs,
      unknown: usual,
      unfinished: Math.max(usual, unfinishedMs),
      dictation: Math.max(usual, dictationMs),
    }[completenessOf(text)];
    return Math.min(wait, maxEndMs);
  }
}
