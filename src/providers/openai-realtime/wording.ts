/**
 * Whether two texts have the same words. Case, punctuation and spaces do not count, so that "e-mail" is "email" and languages
 * without spaces compare; a number in digits is not the same as in words.
 */
export function sameWords(a: string, b: string): boolean {
  return lettersOf(a) === lettersOf(b);
}

function lettersOf(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, '');
}
