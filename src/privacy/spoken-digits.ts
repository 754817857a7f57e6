/**
 * Text in which spoken digits are written ones, and where each of its characters came from. "double four one, uh, one" is `44 1 1`:
 * what finds numbers need know nothing of how they were said.
 */
export interface WrittenDigits {
  text: string;
  /** Of each character of `text`: where in the source it begins and ends. */
  starts: Int32Array;
  ends: Int32Array;
}

/** Digits as people say them, in English, German, Spanish and French: those that a transcript writes as one word each. */
const DIGITS = new Map(
  [
    'zero oh o nought null cero zéro',
    'one eins uno un une',
    'two zwei zwo dos deux',
    'three drei tres trois',
    'four vier cuatro quatre',
    'five fünf cinco cinq',
    'six sechs seis',
    'seven sieben siete sept',
    'eight acht ocho huit',
    'nine neun nueve neuf',
  ].flatMap((words, digit) => words.split(' ').map((word) => [word, String(digit)] as const)),
);
/** In pairs: "forty-one eleven" is 4111. English only. */
const TEENS = new Map(
  'ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'
    .split(' ')
    .map((word, index) => [word, String(10 + index)]),
);
const TENS = new Map(
  'twenty thirty forty fifty sixty seventy eighty ninety'
    .split(' ')
    .map((word, index) => [word, String(2 + index)]),
);
const REPEATED = new Map([
  ['double', 2],
  ['triple', 3],
  ['treble', 3],
]);
/** Said between the groups of a number. */
const FILLERS = new Set(
  (
    'uh um er erm hm and then next dash hyphen minus space comma stop yes yeah yep okay ok right so now ' +
    'äh ähm und dann strich leerzeichen ja genau y luego guion sí et puis tiret oui'
  ).split(' '),
);
const MOST_FILLERS = 4;
/** Letters that are digits only beside others: "o" is said for zero. */
const ONLY_BESIDE_DIGITS = new Set(['o', 'oh', 'un', 'une', 'y']);

interface Piece {
  text: string;
  start: number;
  end: number;
  kind: 'digits' | 'filler' | 'gap' | 'other';
}

export function writeDigits(source: string): WrittenDigits {
  const pieces = withoutFillers(numbersOf(tokensOf(source)));
  const length = pieces.reduce((sum, piece) => sum + piece.text.length, 0);
  const written = {
    text: pieces.map((piece) => piece.text).join(''),
    starts: new Int32Array(length),
    ends: new Int32Array(length),
  };
  let at = 0;
  for (const { text, start, end } of pieces) {
    const same = text.length === end - start;
    for (let i = 0; i < text.length; i++, at++) {
      written.starts[at] = same ? start + i : start;
      written.ends[at] = same ? start + i + 1 : end;
    }
  }
  return written;
}

const TOKEN = /\d+|[\p{L}\p{M}]+|[^\d\p{L}\p{M}]+/gu;

function tokensOf(source: string): Piece[] {
  const pieces: Piece[] = [];
  for (const match of source.matchAll(TOKEN)) {
    const [text] = match;
    const kind = /^\d/.test(text) ? 'digits' : /^[\p{L}\p{M}]/u.test(text) ? 'other' : 'gap';
    pieces.push({ text, start: match.index, end: match.index + text.length, kind });
  }
  return pieces;
}

const isBreak = (piece: Piece | undefined) => piece?.kind === 'gap' && /^[\s.,-]{1,4}$/.test(piece.text);

/** Words that say digits become these. */
function numbersOf(tokens: readonly Piece[]): Piece[] {
  const result: Piece[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const piece = tokens[i]!;
    const [value, used] = piece.kind === 'other' ? spokenAt(tokens, i) : [null, 0];
    if (value !== null) {
      // Two digits that are said apart may stand together in the text, "fünf-acht"; written, they never touch.
      result.push({ text: value, start: piece.start, end: tokens[i + used - 1]!.end, kind: 'digits' });
      i += used - 1;
    } else if (piece.kind === 'other' && FILLERS.has(piece.text.toLowerCase())) {
      result.push({ ...piece, kind: 'filler' });
    } else {
      result.push(piece);
    }
  }
  return result.map((piece, i) => (plusAt(result, i) ? { ...piece, text: '+' } : piece));
}

/** The digits that the words from here on say, and how many tokens that takes. */
function spokenAt(tokens: readonly Piece[], i: number): [string | null, number] {
  const word = tokens[i]!.text.toLowerCase();
  const next = isBreak(tokens[i + 1]) ? tokens[i + 2] : undefined;
  const nextWord = next?.text.toLowerCase() ?? '';
  const times = REPEATED.get(word);
  if (times !== undefined) {
    const digit = DIGITS.get(nextWord) ?? (/^\d$/.test(nextWord) ? nextWord : undefined);
    return digit === undefined ? [null, 0] : [digit.repeat(times), 3];
  }
  const tens = TENS.get(word);
  if (tens !== undefined) {
    const unit = DIGITS.get(nextWord);
    return unit === undefined || unit === '0' ? [`${tens}0`, 1] : [tens + unit, 3];
  }
  const teens = TEENS.get(word);
  if (teens !== undefined) return [teens, 1];
  const digit = DIGITS.get(word);
  if (digit === undefined) return [null, 0];
  if (ONLY_BESIDE_DIGITS.has(word) && !(isDigit(next) || isDigit(beforeAt(tokens, i)))) return [null, 0];
  // "Eight hundred five five five": the hundred is two more digits of a number that is dictated.
  return nextWord === 'hundred' ? [`${digit}00`, 3] : [digit, 1];
}

function beforeAt(tokens: readonly Piece[], i: number): Piece | undefined {
  return isBreak(tokens[i - 1]) ? tokens[i - 2] : undefined;
}

function isDigit(piece: Piece | undefined): boolean {
  if (piece === undefined) return false;
  const word = piece.text.toLowerCase();
  return (
    piece.kind === 'digits' || DIGITS.has(word) || TEENS.has(word) || TENS.has(word) || REPEATED.has(word)
  );
}

function plusAt(pieces: readonly Piece[], i: number): boolean {
  const piece = pieces[i]!;
  return piece.kind === 'other' && piece.text.toLowerCase() === 'plus' && pieces[i + 2]?.kind === 'digits';
}

/** What is said between two groups of digits, and means nothing, becomes a space. */
function withoutFillers(pieces: readonly Piece[]): Piece[] {
  const result: Piece[] = [];
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]!;
    result.push(piece);
    if (piece.kind !== 'digits') continue;
    let end = i + 1;
    let fillers = 0;
    while (pieces[end]?.kind === 'filler' || (pieces[end]?.kind === 'gap' && end - i <= 2 * MOST_FILLERS)) {
      if (pieces[end]!.kind === 'filler') fillers++;
      end++;
    }
    if (pieces[end]?.kind !== 'digits' || fillers === 0 || fillers > MOST_FILLERS) continue;
    result.push({ text: ' ', start: piece.end, end: pieces[end]!.start, kind: 'gap' });
    i = end - 1;
  }
  return result;
}
