import { describe, expect, it } from 'vitest';
import { parseSoakArguments, SoakUsageError } from '../../soak/options.ts';

describe('the command line of the soak', () => {
  it('is an hour of sixteen callers where nothing is said', () => {
    expect(parseSoakArguments([])).toMatchObject({ minutes: 60, callers: 16, keep: false, help: false });
  });

  it('draws a seed where none is given, and takes the one that is', () => {
    expect(Number.isInteger(parseSoakArguments([]).seed)).toBe(true);
    expect(parseSoakArguments(['--seed', '7', '--minutes', '0.5', '--keep'])).toMatchObject({
      seed: 7,
      minutes: 0.5,
      keep: true,
    });
  });

  it.each([
    [['--minutes', '0'], /--minutes/],
    [['--minutes', '1441'], /--minutes/],
    [['--callers', '101'], /--callers/],
    [['--callers', 'some'], /--callers/],
    [['--seed', '-1'], /seed/],
    [['--seed', '1.5'], /--seed/],
    [['--hours', '1'], /--hours/],
    [['an hour'], /an hour/],
  ])('says what is wrong with %j', (args, where) => {
    expect(() => parseSoakArguments(args)).toThrow(SoakUsageError);
    expect(() => parseSoakArguments(args)).toThrow(where);
  });
});
