import { nativeLimits } from './native-messages.ts';

/** An object out of JSON from outside: nothing is known of its fields. */
export type JsonObject = Record<string, unknown>;

/** A text message as an object, or what is wrong with it. */
export function parseObject(text: string): JsonObject | 'too large' | 'no object' {
  if (text.length > nativeLimits.messageCharacters) return 'too large';
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'no object';
  }
  return isObject(json) ? json : 'no object';
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value if it is an object, else an empty one. */
export function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

/** A text of 1 to 256 characters, or a number as one; undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  return typeof value === 'string' && value !== '' && value.length <= 256 ? value : undefined;
}

/** A whole number from 0, also as text ("42"), as several carriers write all of theirs; undefined for anything else. */
export function countOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

/** Recursion ends at the limit, so that hostile nesting cannot exhaust the stack. */
export function nestedDeeperThan(json: unknown, levels: number): boolean {
  if (typeof json !== 'object' || json === null) return false;
  return levels === 0 || Object.values(json).some((value) => nestedDeeperThan(value, levels - 1));
}
