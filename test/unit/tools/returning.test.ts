import { expect, test } from 'vitest';
import { parseCallArguments } from '../../../tools/caller/arguments.ts';
import { backOffMs, isFinalClose, isPassingRefusal } from '../../../tools/caller/returning.ts';

test('a line is opened again unless the service has said that the call is over', () => {
  for (const code of [1000, 4400, 4403, 4408, 4409, 4410, 4429]) expect(isFinalClose(code)).toBe(true);
  for (const code of [1001, 1005, 1006, 1011, 1012]) expect(isFinalClose(code)).toBe(false);
});

test('a service that is busy or starting is asked again, one that refuses is not', () => {
  expect([408, 429, 500, 502, 503].every(isPassingRefusal)).toBe(true);
  expect([400, 401, 403, 404, 426].some(isPassingRefusal)).toBe(false);
});

test('waits double up to a bound, and are spread so that callers do not come back in one crowd', () => {
  expect([0, 1, 2, 3, 4, 5, 50].map((number) => backOffMs(number, 0.5))).toEqual([
    200, 400, 800, 1600, 3200, 3200, 3200,
  ]);
  expect(backOffMs(1, 0)).toBe(200);
  expect(backOffMs(1, 1)).toBe(600);
});

test('--no-resume', () => {
  expect(parseCallArguments(['--say', 'hello'])['no-resume']).toBe(false);
  expect(parseCallArguments(['--say', 'hello', '--no-resume'])['no-resume']).toBe(true);
});
