/**
 * Country codes of two digits (ITU-T E.164, list of assigned codes). +1 and +7 have one, all others three.
 * https://www.itu.int/pub/T-SP-E.164D
 */
const TWO_DIGITS = new Set(
  (
    '20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 ' +
    '81 82 84 86 90 91 92 93 94 95 98'
  ).split(' '),
);

/**
 * A telephone number as it may be shown: its country code, where it has one, and the last two digits. `+49…67`, `…67`. Of some
 * ten million numbers a hundred thousand look the same then.
 */
export function maskNumber(number: string): string {
  const digits = number.replace(/\D/g, '');
  const last = digits.length < 7 ? '' : digits.slice(-2);
  return number.trimStart().startsWith('+') ? `+${countryCode(digits)}…${last}` : `…${last}`;
}

function countryCode(digits: string): string {
  if (/^[17]/.test(digits)) return digits.slice(0, 1);
  return digits.slice(0, TWO_DIGITS.has(digits.slice(0, 2)) ? 2 : 3);
}

/** Seven digits: the shortest number that a subscriber has; also in groups. */
const NUMBER = /\+?\d(?:[-._ ()/]{0,3}\d){6,}/g;
const ADDRESS = /[^\s@]{1,64}@[^\s@]{1,255}/g;

/**
 * An id that machines make: it says nothing of anybody, also where many of its characters are digits. The proxy writes behind the UUID of
 * a call how often it has tried; OpenAI's ids of requests begin with `req_`.
 */
const MADE =
  /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:-\d{1,3})?|(?:req_)?(?=[0-9]*[a-f])[0-9a-f]{16,64})$/i;

/** Text without whatever in it may be a telephone number, another number of a person's, or an e-mail address. */
export function maskText(text: string): string {
  if (MADE.test(text)) return text;
  return text.replace(ADDRESS, '…@…').replace(NUMBER, maskNumber);
}

/** Ids remembered, so that a masked one is shown in the same way again. */
const MOST_TAILS = 10_000;
const tails = new Map<string, string>();

/**
 * An id from outside as it may be shown. Where it may be somebody's number or address, that is masked, and a tail follows by which
 * the lines of one call are found together. The tail is drawn at random and lives as long as the isolate: a hash could be
 * turned back by whoever tries all numbers.
 */
export function maskId(id: string): string {
  const masked = maskText(id);
  return masked === id ? id : `${masked}~${tailOf(id)}`;
}

function tailOf(id: string): string {
  let tail = tails.get(id);
  if (tail === undefined) {
    tail = crypto.randomUUID().slice(0, 8);
    const [oldest] = tails.keys();
    if (tails.size >= MOST_TAILS && oldest !== undefined) tails.delete(oldest);
    tails.set(id, tail);
  }
  return tail;
}
