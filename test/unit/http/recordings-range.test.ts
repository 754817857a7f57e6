import { describe, expect, it } from 'vitest';
import { matchesNoneOf, parseRange } from '../../../src/http/recordings-range.ts';

describe('a Range header', () => {
  it.each([
    ['bytes=0-99', { offset: 0, length: 100 }],
    ['bytes=900-', { offset: 900, length: 100 }],
    ['bytes=-1', { offset: 999, length: 1 }],
    ['bytes=-5000', { offset: 0, length: 1000 }],
    ['bytes=990-5000', { offset: 990, length: 10 }],
    ['BYTES = 5 - 5', { offset: 5, length: 1 }],
  ])('%s is a part', (header, range) => {
    expect(parseRange(header, 1000)).toEqual(range);
  });

  it.each([
    undefined,
    '',
    'bytes=',
    'bytes=-',
    'bytes=5-4',
    'bytes=a-b',
    'bytes=0-1,5-6',
    'seconds=0-1',
    `bytes=${'9'.repeat(400)}-`,
  ])('%s is none, and the whole is sent', (header) => {
    expect(parseRange(header, 1000)).toBe('whole');
  });

  it.each(['bytes=1000-', 'bytes=1000-1001', 'bytes=-0'])('%s lies behind the end', (header) => {
    expect(parseRange(header, 1000)).toBe('unsatisfiable');
  });

  it('of nothing is never satisfied', () => {
    expect(parseRange('bytes=-5', 0)).toBe('unsatisfiable');
    expect(parseRange('bytes=0-', 0)).toBe('unsatisfiable');
  });
});

describe('an If-None-Match header', () => {
  it.each([
    ['"a"', true],
    ['W/"a"', true],
    ['"b", "a"', true],
    ['*', true],
    ['"b"', false],
    [undefined, false],
  ])('%s', (header, matches) => {
    expect(matchesNoneOf(header, '"a"')).toBe(matches);
  });
});
