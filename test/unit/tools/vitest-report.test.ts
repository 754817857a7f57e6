import { expect, test } from 'vitest';
import { tally } from '../../../tools/vitest-report.ts';

function report(passed: number, failed: number, details: object = {}): string {
  return JSON.stringify({
    success: failed === 0,
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests: 0,
    numTodoTests: 0,
    testResults: [],
    ...details,
  });
}

test('counts what passed and failed', () => {
  expect(tally(report(3, 0), 0, true)).toEqual({ passed: 3, failed: 0, skipped: 0, problem: null });
  expect(tally(report(3, 2), 1, true)).toEqual({ passed: 3, failed: 2, skipped: 0, problem: null });
});

test('a file that breaks before its first test counts as a failure', () => {
  const testResults = [
    { name: 'a', status: 'failed', assertionResults: [] },
    { name: 'b', status: 'passed', assertionResults: [{ status: 'passed' }] },
  ];
  expect(tally(report(1, 0, { testResults, success: false }), 1, true).failed).toBe(1);
});

test('a run without tests is no success', () => {
  expect(tally(report(0, 0), 0, true).problem).toMatch(/no test/);
});

test('an unhandled error fails a run whose tests all passed', () => {
  expect(tally(report(5, 0), 1, true).problem).toMatch(/outside the tests/);
});

test.each([null, '', '{}', '{"success":true}'])('a missing or broken report is no success: %j', (json) => {
  expect(tally(json, 0, true).problem).toMatch(/no report/);
});

test('a skipped test fails a run in CI and no other', () => {
  const skipped = report(5, 0, { numPendingTests: 1, numTodoTests: 1 });
  expect(tally(skipped, 0, true)).toMatchObject({ skipped: 2, problem: expect.stringMatching(/skipped/) });
  expect(tally(skipped, 0, false).problem).toBeNull();
});
