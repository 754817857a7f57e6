import { z } from 'zod';

/** Kinds of settings. They come from outside as text; an empty one counts as not set. */

export function emptyIsUnset(value: unknown): unknown {
  return typeof value === 'string' && value.trim() === '' ? undefined : value;
}

export const text = (fallback: string) =>
  z.preprocess(emptyIsUnset, z.string().max(20_000).default(fallback));
export const optionalText = z.preprocess(emptyIsUnset, z.string().max(20_000).optional());
export const url = z.preprocess(emptyIsUnset, z.url({ protocol: /^https?$/ }).optional());
export const whole = (fallback: number, min: number, max: number) =>
  z.preprocess(emptyIsUnset, z.coerce.number().int().min(min).max(max).default(fallback));
export const optionalWhole = (min: number, max: number) =>
  z.preprocess(emptyIsUnset, z.coerce.number().int().min(min).max(max).optional());
export const flag = (fallback: boolean) =>
  z.preprocess(emptyIsUnset, z.stringbool().or(z.boolean()).default(fallback));

/** Comma-separated. */
export function list<T extends z.ZodType>(entry: T) {
  const split = (value: unknown) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((part) => part.trim())
          .filter(Boolean)
      : value;
  return z.preprocess(split, z.array(entry).max(100).default([]));
}

/** JSON of one setting; what is none is left for the schema to refuse. */
export function json(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  if (value.trim() === '') return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
