/**
 * Takes out of a written word what is not to be read aloud: Markdown's markers and emoji. It works on single
 * words, so that a stream needs no more text than the word itself; what spans words (emphasis, links with text
 * of several words) is taken away marker by marker.
 */

/** Bullets, headings, quotes, rules, table borders and code fences, where they begin a line. */
const lineMarker = /^(?:[-*+•‣◦–]|#{1,6}|>+|[-*_=]{3,}|[|:-]{2,}|```.*|~~~.*)$/u;

/** `](address)`, the end of a link or an image. */
const linkAddress = /\]\([^)\s]*\)/gu;

/** With modifiers and joiners, which in other scripts belong to letters. */
const emoji =
  /(?:\p{Extended_Pictographic}|\p{Regional_Indicator})(?:\p{Emoji_Modifier}|\u{200D}(?=\p{Extended_Pictographic}))*|[\u{FE0F}\u{20E3}]/gu;

/** Pictographs that are signs of writing and have a spoken form. */
const writtenSigns = /[©®™↔–—‼⁉]/u;

/** `*` and `_` around a word, inside of its quotes and brackets. */
const leadingEmphasis = /^(["'“‘«([{]*)[*_]+(?=\S)/u;
const trailingEmphasis = /(?<=\S)[*_]+(["'”’»)\]}.,;:!?…]*)$/u;

/**
 * The word as it is to be spoken; empty if nothing of it is.
 *
 * @param word without white space.
 * @param startsLine nothing spoken stands before it on its line.
 */
export function speakableWord(word: string, startsLine: boolean): string {
  if (startsLine && lineMarker.test(word)) return '';
  if (word === '|') return '';
  return word
    .replace(linkAddress, '')
    .replace(/!?\[|\]/gu, '')
    .replace(/(?<!\d)\*\*|\*\*(?!\d)|__|~~|`+/gu, '')
    .replace(leadingEmphasis, '$1')
    .replace(trailingEmphasis, '$1')
    .replace(emoji, (sign) => (writtenSigns.test(sign) ? sign : ''));
}

/** Whether there is anything to say in a text: a letter or a digit. */
export function isSpeakable(text: string): boolean {
  return /[\p{L}\p{N}]/u.test(text);
}
