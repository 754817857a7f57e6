/**
 * Whether a sentence ends with a word. For English first; other languages' full stops are known, their
 * abbreviations are not. Errors are made towards "no end": the text is then spoken in one piece with what follows.
 */

/** No sentence ends with these, whatever follows: titles, and words that stand before what they shorten. */
const neverLast = words(
  'mr mrs ms mx dr prof rev fr hon gen col maj capt cmdr lt sgt cpl gov sen rep pres supt messrs mme mlle ' +
    'e.g i.e eg ie cf viz vs v approx ca incl excl fig figs sec ch vol pp p ext tel mt ft attn c/o',
);

/** These stand before a number; before anything else, "no." is an answer. */
const beforeNumber = words('no nos nr num art op');

/** A sentence may end with these: it does if the next word has a capital. */
const maybeLast = words(
  'a.m p.m am pm etc jr sr inc ltd co corp llc bros dept est ave rd blvd sq apt ste hwy pkwy min max hr hrs ' +
    'jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun ' +
    'ph.d b.a m.a m.d al oz lb lbs ml kg km',
);

/** Common first words of a sentence: enough to end one after an initial or an acronym. */
const starters = words(
  'a an and are as at but by can could did do does for from have he her here hers his how however if in is it its ' +
    "it's i i'm i'll i've i'd let let's may my no not now of on or our please she should so some sure thank thanks " +
    'that the their then there these they this those to today tomorrow was we what when where which who why will ' +
    "with would yes yet you your you're we're they're we'll you'll there's that's what's",
);

const opening = /^["'“‘«‹([{¿¡*_`~-]+/u;
const closing = /["'”’»›)\]}」』】）〉》]+$/u;
const quote = /["'”’»›」』]/u;
const alwaysEnds = /[!?。！？｡।॥؟۔‼⁇⁈⁉]$/u;

/** The next word of the line; it may not be whole yet. */
export interface Following {
  text: string;
  whole: boolean;
}

/**
 * @param word as spoken, with its punctuation.
 * @param previous the word before it in the sentence, or ''.
 * @param startsLine `word` is the first of its line.
 * @param following the next word, or undefined if nothing of it has been written yet.
 * @returns whether the sentence ends with `word`, or undefined if that depends on more of what follows.
 */
export function endsSentence(
  word: string,
  previous: string,
  startsLine: boolean,
  following: Following | undefined,
): boolean | undefined {
  const closers = closing.exec(word)?.[0] ?? '';
  const core = word.slice(0, word.length - closers.length);
  const quoted = quote.test(closers);
  if (alwaysEnds.test(core)) return quoted ? not(begins(following, /^\p{Ll}/u)) : true;
  if (/(?:\.\.|…)$/u.test(core)) return not(begins(following, /^\p{Ll}/u));
  if (!core.endsWith('.')) return false;

  const stem = core.slice(0, -1).replace(opening, '');
  const key = spelling(stem);
  // "1." and "a." at the beginning of a line number it.
  if (startsLine && /^(?:\d{1,3}|\p{L})$/u.test(stem)) return false;
  if (neverLast.has(key)) return false;
  if (beforeNumber.has(key)) return not(begins(following, /^\p{N}/u));
  // "12 Main St. We open" ends, "near St. Mary's" does not.
  if (key === 'st') return /^[\p{Lu}\p{N}]/u.test(previous) ? isStarter(following) : false;
  if (maybeLast.has(key)) return begins(following, /^\p{Lu}/u);
  // Initials and acronyms.
  if (/^\p{L}$/u.test(stem) || /^(?:\p{Lu}\.)+\p{Lu}$/u.test(stem)) return isStarter(following);
  // Short words before a small letter may be abbreviations that are not listed; long ones hardly ever are.
  if (quoted || stem.length < 4 || /^\p{Sc}?\d[\d.,:/-]*$/u.test(stem)) {
    return not(begins(following, /^\p{Ll}/u));
  }
  return true;
}

function not(answer: boolean | undefined): boolean | undefined {
  return answer === undefined ? undefined : !answer;
}

function begins(following: Following | undefined, pattern: RegExp): boolean | undefined {
  if (following === undefined) return undefined;
  const text = following.text.replace(opening, '');
  if (text === '' || /^[\uD800-\uDBFF]$/u.test(text)) return following.whole ? false : undefined;
  return pattern.test(text);
}

function isStarter(following: Following | undefined): boolean | undefined {
  const capital = begins(following, /^\p{Lu}/u);
  if (capital !== true || following === undefined) return capital;
  return following.whole ? starters.has(spelling(following.text).replace(/\.+$/u, '')) : undefined;
}

/** Without what surrounds a word, in small letters, its apostrophes straight. */
function spelling(word: string): string {
  return word
    .replace(opening, '')
    .replace(/(?!\.)[\p{P}\p{S}]+$/u, '')
    .replaceAll('’', "'")
    .toLowerCase();
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}
