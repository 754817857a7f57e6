/** After these a sentence goes on: a full stop behind one was put there by the cut. */
const goesOn = new Set(
  (
    'a an the and or but nor so if to of for from with without at by in on into about as than that because which who ' +
    'whose my your his her its our their this these those some any every no is are was were be am will would can ' +
    'could should may might must do does did have has had very really please not i you we they he she it'
  ).split(' '),
);

/** With these a caller begins a sentence, and hardly ever goes on with one. */
const begins = new Set(
  (
    "i i'm i'll i've i'd we we're we'll you can could do does what when where who why how please yes no my let let's " +
    'hello hi thanks thank okay ok sorry'
  ).split(' '),
);

/** Capitals that stay: English names of days, months, languages and forms of address. */
const namesAndTitles = new Set(
  (
    'monday tuesday wednesday thursday friday saturday sunday january february april june july august september october ' +
    'november december english german french spanish italian mr mrs ms miss dr'
  ).split(' '),
);

const unspacedScript = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}。，、！？]/u;

/**
 * Joins the transcripts of consecutive windows of one utterance. A transcriber takes every window for a whole text,
 * begins it with a capital and ends it with a full stop: "I want to." + "Book a table." is "I want to book a table."
 *
 * The full stop stays where a sentence may well have ended at the cut: the next window begins with a common first
 * word ("We", "Can", "Please"), and the last one does not break off at a word like "to". The capital stays where it
 * belongs to the word: "I", acronyms, mixed capitals, days, months, words that a window has with a capital inside
 * of a sentence, and everything in German.
 *
 * Limits: a name that stands first in a window and nowhere else loses its capital; a sentence that really ended at
 * the cut before an uncommon first word runs on; "?" and "!" are believed; a word that was cut in two stays in two.
 *
 * @param windows in the order of the audio; empty ones are skipped.
 * @param language BCP 47 tag, if known.
 */
export function joinTranscripts(windows: readonly string[], language?: string): string {
  const texts = windows.map((text) => text.trim().replace(/\s+/gu, ' ')).filter((text) => text !== '');
  const keepsCapitals = /^de\b/iu.test(language ?? '');
  const known = innerCapitals(texts);
  return texts.reduce((left, right) => joinTwo(left, right, keepsCapitals, known), '');
}

function joinTwo(left: string, right: string, keepsCapitals: boolean, known: ReadonlySet<string>): string {
  if (left === '') return right;
  const space = unspacedScript.test(left.at(-1)!) && unspacedScript.test(right.charAt(0)) ? '' : ' ';
  if (/[?!？！]["'”’»)]*$/u.test(left)) return `${left}${space}${right}`;
  const open = left.replace(/(?:\.+|…|。)$/u, '').trimEnd();
  const stopped = open !== left;
  const rest = right.replace(/^(?:\.{2,}|…)\s*/u, '');
  if (rest === '') return left;
  if (stopped && begins.has(firstWord(rest).toLowerCase().replace('’', "'")) && !goesOn.has(lastWord(open)))
    return `${left}${space}${rest}`;
  return `${open}${space}${keepsCapitals ? rest : withoutCapital(rest, known)}`;
}

function withoutCapital(text: string, known: ReadonlySet<string>): string {
  const word = firstWord(text);
  const plain = word.replace(/[’']\p{L}*$/u, '');
  const belongs =
    plain === 'I' ||
    !/^\p{Lu}\p{Ll}*$/u.test(plain) ||
    namesAndTitles.has(plain.toLowerCase()) ||
    // Of one letter only "A" is a word of its own.
    (plain.length === 1 && plain !== 'A') ||
    known.has(plain);
  return belongs ? text : text.charAt(0).toLowerCase() + text.slice(1);
}

/** Words with a capital that do not begin a sentence. */
function innerCapitals(texts: readonly string[]): ReadonlySet<string> {
  const found = texts.flatMap((text) => [...text.matchAll(/(?<=[\p{L}\p{N},;]\s)\p{Lu}\p{L}*/gu)]);
  return new Set(found.map((match) => match[0]));
}

function firstWord(text: string): string {
  return /^[\p{L}\p{N}'’.-]*/u.exec(text)?.[0].replace(/[.'’-]+$/u, '') ?? '';
}

function lastWord(text: string): string {
  return (/[\p{L}'’]+$/u.exec(text)?.[0] ?? '').toLowerCase();
}
