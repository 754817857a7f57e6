import { type DigitRun, partOf, partsThat } from './digit-runs.ts';

/** ISO/IEC 7812-1: at most 19 digits. */
const MOST_DIGITS = 19;
/** After a card's number, in one breath: month and year, and the code on its back. */
const MOST_AFTER = 10;

/** Numbers of payment cards in a run, with what is dictated after them as a part of the card. */
export function cardsIn(run: DigitRun): DigitRun[] {
  return partsThat(run, MOST_DIGITS, isCardNumber).map(({ from, to }) => partOf(run, from, lastOf(run, to)));
}

/** The last group of the run, where no more than a date and a code lie between it and the card; else the card's own. */
function lastOf({ groups }: DigitRun, to: number): number {
  let after = 0;
  for (let i = to + 1; i < groups.length && after <= MOST_AFTER; i++) after += groups[i]!.digits.length;
  return after <= MOST_AFTER ? groups.length - 1 : to;
}

/** A card's number by its beginning, its length, and its check digit. */
export function isCardNumber(digits: string): boolean {
  return BRANDS.test(digits) && passesLuhn(digits);
}

/**
 * Beginnings and lengths in use: Visa (13, 16, 19), Mastercard and Mir, American Express, Diners Club, JCB, Discover, RuPay and UnionPay,
 * Maestro, Troy. https://en.wikipedia.org/wiki/Payment_card_number#Issuer_identification_number_(IIN). Without them every tenth number
 * of that length would be a card's.
 */
const BRANDS =
  /^(?:4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|3[0-9]\d{14,17}|6\d{15,18}|5[06-9]\d{10,17}|9792\d{12})$/;

/** The check digit of ISO/IEC 7812-1, annex B: of the digits from the right every second one counts twice. */
function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i]);
    const counted = i % 2 === 0 ? digit : digit * 2;
    sum += counted > 9 ? counted - 9 : counted;
  }
  return digits.length >= 13 && sum % 10 === 0;
}
