/** Characters of one piece given to flite: its time and memory grow with it. */
const longestSentence = 400;

/** After `.`, `!` or `?`, but not after a title or `a.m.`. */
const sentenceEnd = /(?<=(?<!\b(?:Mr|Mrs|Ms|Dr|St|[ap]\.m))[.!?])\s+/;

const words: Readonly<Record<string, string>> = {
  '&': ' and ',
  '%': ' percent ',
  '+': ' plus ',
  '=': ' equals ',
  '@': ' at ',
  '°': ' degrees ',
  '½': ' and a half ',
  '…': '. ',
  ß: 'ss',
  æ: 'ae',
  ø: 'o',
  œ: 'oe',
  '–': ', ',
  '—': ', ',
  '‘': "'",
  '’': "'",
  '“': '"',
  '”': '"',
};

/**
 * A text as sentences that flite can say: 7-bit letters (accents dropped, other scripts and emoji left out), money
 * and signs in words, Markdown's marks removed, each at most 400 characters. Empty if nothing can be pronounced.
 */
export function speakableSentences(text: string): string[] {
  const plain = text
    .replace(/£\s?(\d[\d,]*)\.(\d\d)\b/g, '$1 pounds $2')
    .replace(/£\s?(\d[\d,]*)/g, '$1 pounds')
    .replace(/€\s?(\d[\d,]*)\.(\d\d)\b/g, '$1 euros $2')
    .replace(/€\s?(\d[\d,]*)/g, '$1 euros')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[*_`#~|<>\\^{}[\]]/g, ' ')
    .replace(/[&%+=@°½…ßæøœ–—‘’“”]/gi, (sign) => words[sign.toLowerCase()] ?? ' ')
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[^\x20-\x7e]+/g, ' ');
  return plain
    .split(sentenceEnd)
    .flatMap((sentence) => bounded(sentence.replace(/\s+/g, ' ').trim()))
    .filter((sentence) => /[A-Za-z0-9]/.test(sentence));
}

/** Cuts a sentence that is too long at its last comma or space within the bound. */
function bounded(sentence: string): string[] {
  const pieces: string[] = [];
  let rest = sentence;
  while (rest.length > longestSentence) {
    const head = rest.slice(0, longestSentence);
    const comma = head.lastIndexOf(', ') + 1;
    const cut = comma > longestSentence / 2 ? comma : head.lastIndexOf(' ');
    const at = cut > 0 ? cut : longestSentence;
    pieces.push(rest.slice(0, at).trim());
    rest = rest.slice(at).trim();
  }
  if (rest !== '') pieces.push(rest);
  return pieces;
}
