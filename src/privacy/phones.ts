import { type CountryCode, isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { type DigitRun, digitsOf, partOf } from './digit-runs.ts';

/** E.164. */
const MOST_DIGITS = 15;
/** Of a number that is called one: shorter ones are extensions. */
const FEWEST_DIGITS = 7;

export interface PhoneContext {
  /** Countries whose numbers are known without their code. */
  countries: readonly CountryCode[];
  /** The digits of numbers that belong to the call, without country code: they are found wherever they stand. */
  known: readonly string[];
  /** Whether the words before this place speak of a telephone number, of another number, or of none. */
  namedAt(at: number): 'phone' | 'other' | null;
}

/** Telephone numbers in a run. A number inside a longer one is none: an order's number has one in it as often as not. */
export function phonesIn(run: DigitRun, context: PhoneContext): DigitRun[] {
  if (isPhone(run, context)) return [run];
  // Two numbers, one after the other; or the number, and in the next turn something else.
  const found: DigitRun[] = [];
  let from = 0;
  for (let i = 1; i <= run.groups.length; i++) {
    const last = i === run.groups.length;
    if (!last && run.groups[i]!.start - run.groups[i - 1]!.end < 2) continue;
    const part = partOf(run, from, i - 1);
    if (part.groups.length < run.groups.length && isPhone(part, context)) {
      found.push(part);
    }
    from = i;
  }
  return found;
}

function isPhone(run: DigitRun, { countries, known, namedAt }: PhoneContext): boolean {
  const digits = digitsOf(run);
  if (digits.length < FEWEST_DIGITS) return false;
  if (known.some((number) => digits.endsWith(number) && digits.length <= MOST_DIGITS)) return true;
  if (digits.length > MOST_DIGITS + 3) return false;
  const international = run.plus ? digits : /^(?:00|011)(\d{7,15})$/.exec(digits)?.[1];
  if (international !== undefined && parsePhoneNumberFromString(`+${international}`)?.isPossible())
    return true;
  const named = namedAt(run.start);
  if (named === 'other') return false;
  if (named === 'phone' && digits.length <= MOST_DIGITS) return true;
  return [...countries, ...(isNorthAmerican(run) ? (['US'] as const) : [])].some(
    (country) => parsePhoneNumberFromString(digits, country)?.isValid() === true,
  );
}

/** 555-123-4567: a form that nothing else has. */
function isNorthAmerican({ groups }: DigitRun): boolean {
  return groups.map(({ digits }) => digits.length).join() === '3,3,4';
}

/** Countries by the call's own number and by the region of its languages. */
export function countriesOf(
  phoneNumber: string | null,
  languages: readonly (string | null)[],
): CountryCode[] {
  const regions = languages.map((tag) => /-([a-z]{2})(?:-|$)/i.exec(tag ?? '')?.[1]?.toUpperCase());
  const all = [
    phoneNumber === null ? undefined : parsePhoneNumberFromString(phoneNumber)?.country,
    ...regions,
  ];
  return [...new Set(all)].filter(
    (country): country is CountryCode => country !== undefined && isSupportedCountry(country),
  );
}

/** A number as it is said without its country's code; as it stands where it has none. Null where it is too short for one. */
export function nationalDigits(phoneNumber: string): string | null {
  const digits = parsePhoneNumberFromString(phoneNumber)?.nationalNumber ?? phoneNumber.replace(/\D/g, '');
  return digits.length >= FEWEST_DIGITS ? digits : null;
}
