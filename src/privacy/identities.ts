import { isValidIBAN } from 'ibantools';
import { validate as isDni } from 'stdnum/lib/cjs/es/dni.js';
import { validate as isNie } from 'stdnum/lib/cjs/es/nie.js';
import { validate as isNir } from 'stdnum/lib/cjs/fr/nir.js';
import { validate as isNino } from 'stdnum/lib/cjs/gb/nino.js';
import { validate as isCodiceFiscale } from 'stdnum/lib/cjs/it/codicefiscale.js';
import { validate as isSsn } from 'stdnum/lib/cjs/us/ssn.js';
import { type DigitRun, digitsOf } from './digit-runs.ts';
import type { Span } from './emails.ts';

/** Between characters that are spelled or stand in groups; the next turn is one too. */
const GAP = '[\\s.,-]{0,3}';
const spaced = (...parts: string[]) => parts.join(GAP);
const times = (part: string, count: number) => Array.from({ length: count }, () => part);

const NINO = new RegExp(
  `(?<![\\p{L}\\p{N}])${spaced('[a-ceghj-prstw-z]', '[a-ceghj-npr-tw-z]', ...times('\\d', 6), '[a-d]')}(?![\\p{L}\\p{N}])`,
  'giu',
);
const CODICE_FISCALE = /(?<![\p{L}\p{N}])[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z](?![\p{L}\p{N}])/giu;
/** Written only: after eight digits of anything else a word may begin. */
const DNI_OR_NIE = /(?<![\p{L}\p{N}])(?:[XYZ]-?\d{7}|\d{8})-?[A-Z](?![\p{L}\p{N}])/gu;
/** Country and check digits; the rest is tried from its longest to its shortest (Norway's 15 characters in all, to Saint Lucia's 32). */
const IBAN = new RegExp(`(?<![\\p{L}\\p{N}])${spaced('[a-z]', '[a-z]', '\\d', '\\d')}`, 'giu');
const IBAN_REST = new RegExp(`(?:${GAP}[a-z\\d]){11,30}`, 'iy');
const SHORTEST_IBAN = 15;
/** In the groups that it is written in; also where it is said, "one two three, four five, six …", after its name. */
const SSN = /(?<![\d-])\d{3}[- ]\d{2}[- ]\d{4}(?![\d-]|\s\d)/g;

/**
 * Numbers that stand for a person: United States' SSN, British NINO, French NIR, Italian codice fiscale, Spanish DNI and NIE, and of
 * an account, IBAN. Each by its form and, where it has one, its check digit.
 */
export function identitiesIn(
  text: string,
  runs: readonly DigitRun[],
  named: (at: number) => boolean,
): Span[] {
  const matching = (pattern: RegExp, test: (value: string) => boolean) =>
    [...text.matchAll(pattern)]
      .filter(({ 0: match }) => test(match.replace(/[\s.,-]/g, '').toUpperCase()))
      .map(({ 0: match, index }) => ({ start: index, end: index + match.length }));
  return [
    ...ibansIn(text),
    ...matching(NINO, (value) => isNino(value).isValid),
    ...matching(CODICE_FISCALE, (value) => isCodiceFiscale(value).isValid),
    ...matching(DNI_OR_NIE, (value) => isDni(value).isValid || isNie(value).isValid),
    ...matching(SSN, (value) => isSsn(value).isValid),
    ...runs.filter((run) => isNamedNumber(digitsOf(run), () => named(run.start))),
  ];
}

function isNamedNumber(digits: string, named: () => boolean): boolean {
  if (digits.length === 15) return isNir(digits).isValid;
  return digits.length === 9 && isSsn(digits).isValid && named();
}

function ibansIn(text: string): Span[] {
  const found: Span[] = [];
  for (const { 0: head, index } of text.matchAll(IBAN)) {
    if (index < (found.at(-1)?.end ?? 0)) continue;
    IBAN_REST.lastIndex = index + head.length;
    const rest = IBAN_REST.exec(text)?.[0];
    if (rest === undefined) continue;
    const all = head + rest;
    for (let end = all.length; end > 0; end--) {
      if (/[\s.,-]/.test(all[end - 1]!)) continue;
      const value = all
        .slice(0, end)
        .replace(/[\s.,-]/g, '')
        .toUpperCase();
      if (value.length < SHORTEST_IBAN) break;
      if (!isValidIBAN(value)) continue;
      found.push({ start: index, end: index + end });
      break;
    }
  }
  return found;
}
