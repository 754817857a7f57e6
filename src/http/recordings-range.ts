/** Part of an object that a request asks for, in bytes. */
export interface ByteRange {
  offset: number;
  length: number;
}

/**
 * The one range that a `Range` header asks for (RFC 9110 §14.1.2). `whole`: there is none, or one that need not be understood:
 * another unit, several ranges, no range at all. `unsatisfiable`: it lies behind the end.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const match = /^\s*bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i.exec(header ?? '');
  if (match === null) return 'whole';
  const [, first = '', last = ''] = match;
  if (first === '') {
    if (last === '') return 'whole';
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { offset: size - length, length };
  }
  const offset = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < offset) return 'whole';
  return offset >= size ? 'unsatisfiable' : { offset, length: end - offset + 1 };
}

/** Whether an `If-None-Match` header names this entity tag (RFC 9110 §13.1.2: compared weakly). */
export function matchesNoneOf(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const strong = (tag: string) => tag.trim().replace(/^W\//, '');
  return header.trim() === '*' || header.split(',').some((tag) => strong(tag) === strong(etag));
}
