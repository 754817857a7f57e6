/** A stretch of text. */
export interface Span {
  start: number;
  end: number;
}

/**
 * An address as it is written, as it is said, or half and half: "john dot smith at example dot com". The domain ends in letters; what is
 * no address, "at noon", has no dot in it.
 */
const AT = '(?:\\s{0,2}@\\s{0,2}|\\s{1,2}at\\s{1,2}|\\s{0,2}\\(at\\)\\s{0,2}|\\s{1,2}arroba\\s{1,2})';
const DOT = '(?:\\.|\\s{1,2}(?:dot|point|punkt|punto|period)\\s{1,2})';
const LABEL = '[\\p{L}\\p{N}-]{1,63}';
const DOMAIN = new RegExp(`${AT}${LABEL}(?:${DOT}${LABEL}){0,4}${DOT}\\p{L}{2,24}(?![\\p{L}\\p{N}])`, 'giu');

/** What stands before it, from its end backwards: names, and what joins them. */
const WORD = /[\p{L}\p{N}._%+'-]+$/u;
const JOINED = /(?:\s{1,2}(?:dot|point|punkt|punto|underscore|dash|hyphen|minus|plus)|[._+-])\s{0,2}$/iu;
/** Before a name that is said: they are no part of it, and where nothing else is there, it is a site and no address. */
const NO_NAME = new RegExp(
  `^(?:${(
    'is it its that my the a an me us to too address mail email e-mail e you your him her at on in or and of for from by look looking ' +
    'visit site website page online web go find found available more info here there see be are was use try write send reach contact ' +
    'ist meine adresse lautet bei unter an es mi correo est mon adresse'
  )
    .split(' ')
    .join('|')}|it's|that's|it’s|that’s)$`,
  'iu',
);
/** "John smith at": names that are said without anything between them. */
const MOST_WORDS = 3;
/** Letters that are spelled. */
const MOST_LETTERS = 30;
/** RFC 5321 §4.5.3.1.1 has 64; spoken, four times as much. */
const LONGEST_NAME = 256;

/** E-mail addresses. */
export function emailsIn(text: string): Span[] {
  const found: Span[] = [];
  for (const match of text.matchAll(DOMAIN)) {
    const end = match.index + match[0].length;
    const floor = Math.max(found.at(-1)?.end ?? 0, match.index - LONGEST_NAME);
    const start = nameBefore(text.slice(floor, match.index), match[0].includes('@'));
    if (start !== null) found.push({ start: floor + start, end });
  }
  return found;
}

/** Where the name begins that `before` ends in; null where it ends in none. */
function nameBefore(before: string, written: boolean): number | null {
  let rest = before;
  let words = 0;
  let letters = 0;
  let joined = true;
  for (;;) {
    const word = WORD.exec(rest)?.[0];
    if (word === undefined) break;
    if (NO_NAME.test(word) && !(written && words + letters === 0) && word.length > 1) break;
    // A name that stands before an "@" ends where the word does, unless it goes on with a "dot".
    if (!joined && (written || (word.length > 1 && words >= MOST_WORDS) || letters > MOST_LETTERS)) break;
    if (word.length > 1) words++;
    else letters++;
    rest = rest.slice(0, -word.length);
    const join = JOINED.exec(rest)?.[0] ?? '';
    joined = join !== '';
    const gap = joined ? join : (/\s{1,2}$/.exec(rest)?.[0] ?? '');
    if (gap === '') return rest.length;
    rest = rest.slice(0, -gap.length);
  }
  const start = rest.length + (/^\s+/.exec(before.slice(rest.length))?.[0].length ?? 0);
  return words + letters === 0 ? null : start;
}
