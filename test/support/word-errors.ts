/**
 * Word error rate, as speech recognition is judged by it: the least number of words to substitute, insert and
 * delete to come from what was said to what was recognised, divided by the words said.
 */

export interface WordErrors {
  /** Substitutions, insertions and deletions together. */
  errors: number;
  /** Words of the reference. */
  words: number;
  /** `errors / words`; may exceed 1. 0 for an empty reference without errors, else infinite for one. */
  rate: number;
}

/** Compares two texts after {@link normaliseWords}. */
export function wordErrors(reference: string, hypothesis: string): WordErrors {
  const said = normaliseWords(reference);
  const heard = normaliseWords(hypothesis);
  return withRate(editDistance(said, heard), said.length);
}

/** The errors of several clips together, each word counting the same. */
export function pooledWordErrors(clips: readonly WordErrors[]): WordErrors {
  return withRate(
    clips.reduce((sum, clip) => sum + clip.errors, 0),
    clips.reduce((sum, clip) => sum + clip.words, 0),
  );
}

/** How many first words of `text` come nearest to what was heard, and how many words are wrong then. */
export function bestPrefix(text: string, heard: string): { words: number; errors: number } {
  const words = text.split(' ');
  const candidates = words.map((_, i) => ({
    words: i + 1,
    errors: wordErrors(words.slice(0, i + 1).join(' '), heard).errors,
  }));
  return candidates.reduce((best, next) => (next.errors < best.errors ? next : best));
}

const abbreviations: Readonly<Record<string, string>> = {
  mr: 'mister',
  mrs: 'missus',
  dr: 'doctor',
  st: 'street',
  ok: 'okay',
  '%': 'percent',
  '&': 'and',
};

/**
 * The words of a text in a form in which spelling does not count as an error: lower case, no punctuation,
 * numbers of up to six digits in words, a few abbreviations spelt out, hyphened words apart.
 */
export function normaliseWords(text: string): string[] {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[’‘]/g, "'")
    .replace(/(\d),(\d{3})/g, '$1$2')
    .replace(/(\d)\.(\d)/g, '$1 point $2')
    .replace(/([%&])/g, ' $1 ')
    .replace(/[^a-z0-9'%&]+/g, ' ')
    .split(' ')
    .map((word) => word.replace(/^'+|'+$/g, ''))
    .filter((word) => word !== '')
    .flatMap((word) => {
      if (/^\d{1,6}$/.test(word)) return numberInWords(Number(word));
      return [abbreviations[word] ?? word];
    });
}

const small = (
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen ' +
  'seventeen eighteen nineteen'
).split(' ');
const tens = 'zero ten twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');

function numberInWords(value: number): string[] {
  if (value < 20) return [small[value]!];
  if (value < 100) return [tens[Math.floor(value / 10)]!, ...rest(value % 10)];
  if (value < 1000) return [small[Math.floor(value / 100)]!, 'hundred', ...rest(value % 100)];
  return [...numberInWords(Math.floor(value / 1000)), 'thousand', ...rest(value % 1000)];
}

function rest(value: number): string[] {
  return value === 0 ? [] : numberInWords(value);
}

function withRate(errors: number, words: number): WordErrors {
  return { errors, words, rate: errors === 0 ? 0 : errors / words };
}

/** Levenshtein distance over words, one row at a time. */
function editDistance(from: readonly string[], to: readonly string[]): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (const [i, word] of from.entries()) {
    const next = [i + 1];
    for (const [j, other] of to.entries()) {
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (word === other ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length]!;
}
