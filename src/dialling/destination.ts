import { isSupportedCountry, type PhoneNumber, parsePhoneNumberFromString } from 'libphonenumber-js/max';

/** Who may be dialled: settings `DIAL_ALLOWED` and `DIAL_DENIED`. */
export interface DialRules {
  /** Prefixes (`+4930`), countries (`DE`), `*` for all countries, and hosts of SIP addresses (`sip:192.0.2.20`). Empty: nobody. */
  allowed: readonly string[];
  /** Prefixes that are not dialled whatever the others say. */
  denied: readonly string[];
}

export type Destination =
  /** `to`: E.164, or a SIP address as the proxy takes it. */
  | { kind: 'number' | 'sip'; to: string }
  /** `wrong`: it is none; `forbidden`: the rules do not have it. The message quotes nothing. */
  | { kind: 'wrong'; message: string }
  | { kind: 'forbidden'; message: string };

/** One entry of `DIAL_ALLOWED`. */
export function isDialRule(text: string): boolean {
  if (text === '*' || isPrefix(text)) return true;
  const host = /^sip:(.+)$/.exec(text)?.[1];
  return host === undefined ? isSupportedCountry(text) : isHost(host);
}

export function isPrefix(text: string): boolean {
  return /^\+[1-9]\d{0,14}$/.test(text);
}

/** What people put between the digits of a number. */
const BETWEEN_DIGITS = /[\s().-]/g;
const E164 = /^\+[1-9]\d{6,14}$/;
/** Whom it costs what nobody expects, and whose owner earns by it: the first thing that is done with a stolen account. */
const NEVER = new Set(['PREMIUM_RATE', 'SHARED_COST']);

/** What a client may mean by `to`, and whether it may be dialled. */
export function destinationOf(to: string, rules: DialRules): Destination {
  return to.toLowerCase().startsWith('sip:') ? sipDestination(to, rules) : numberDestination(to, rules);
}

function numberDestination(text: string, rules: DialRules): Destination {
  const to = text.replace(BETWEEN_DIGITS, '');
  const number = E164.test(to) ? parsePhoneNumberFromString(to) : undefined;
  if (number === undefined || number.number !== to || !number.isValid()) {
    return { kind: 'wrong', message: 'must be a number in E.164, e.g. +4930901820, or a SIP address' };
  }
  return isAllowed(number, rules)
    ? { kind: 'number', to }
    : { kind: 'forbidden', message: 'this service does not dial such numbers' };
}

function isAllowed(number: PhoneNumber, { allowed, denied }: DialRules): boolean {
  const to = number.number;
  if (denied.some((prefix) => to.startsWith(prefix))) return false;
  if (isCostly(number)) return false;
  if (allowed.some((rule) => isPrefix(rule) && to.startsWith(rule))) return true;
  // Satellites and international services belong to no country: `*` does not mean them.
  const { country } = number;
  return country !== undefined && (allowed.includes('*') || allowed.includes(country));
}

/** Whether a call to this number, in E.164, is charged for the profit of whoever has it. */
export function isPremium(to: string): boolean {
  const number = parsePhoneNumberFromString(to);
  return number !== undefined && isCostly(number);
}

function isCostly(number: PhoneNumber): boolean {
  return NEVER.has(number.getType() ?? '');
}

/** RFC 3261 knows much more; this is what a PBX's extension looks like. */
const SIP = /^sip:(?:([A-Za-z0-9._+~-]{1,64})@)?([^@:;?]{1,253})(?::(\d{1,5}))?$/i;

function sipDestination(text: string, { allowed }: DialRules): Destination {
  const [, user, host = '', port] = SIP.exec(text) ?? [];
  if (!isHost(host) || Number(port ?? 5060) > 65_535 || Number(port ?? 5060) === 0) {
    return {
      kind: 'wrong',
      message: 'must be a SIP address, e.g. sip:anna@192.0.2.20, or a number in E.164',
    };
  }
  if (!allowed.includes(`sip:${host.toLowerCase()}`)) {
    return { kind: 'forbidden', message: 'this service does not dial this host' };
  }
  const at = user === undefined ? '' : `${user}@`;
  return { kind: 'sip', to: `sip:${at}${host.toLowerCase()}${port === undefined ? '' : `:${Number(port)}`}` };
}

function isHost(text: string): boolean {
  return (
    text.length <= 253 &&
    /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i.test(text)
  );
}
