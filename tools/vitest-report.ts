import { z } from 'zod';

const count = z.number().int().min(0);

/** Of vitest's JSON reporter, what is counted. */
const reportSchema = z.object({
  success: z.boolean(),
  numPassedTests: count,
  numFailedTests: count,
  numPendingTests: count,
  numTodoTests: count,
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ status: z.string() })),
    }),
  ),
});

export interface Tally {
  passed: number;
  /** Failed tests, and files that failed before their first test. */
  failed: number;
  skipped: number;
  /** Why the run failed though perhaps no test did; null where all is well. */
  problem: string | null;
}

/**
 * Counts a run. `json`: the reporter's file, null if vitest wrote none. `exitCode`: vitest's, which alone knows of
 * errors outside any test. `skippingFails`: a skipped test is a failure, as in CI.
 */
export function tally(json: string | null, exitCode: number, skippingFails: boolean): Tally {
  const parsed = reportSchema.safeParse(parse(json));
  if (!parsed.success) {
    return { passed: 0, failed: 0, skipped: 0, problem: `vitest wrote no report (exit code ${exitCode})` };
  }
  const report = parsed.data;
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const passed = report.numPassedTests;
  const failed = report.numFailedTests + brokenFiles;
  const skipped = report.numPendingTests + report.numTodoTests;
  return { passed, failed, skipped, problem: problemOf() };

  function problemOf(): string | null {
    if (failed > 0) return null;
    if (passed === 0) return 'no test was run';
    if (exitCode !== 0 || !report.success)
      return `there were errors outside the tests (exit code ${exitCode})`;
    return skippingFails && skipped > 0 ? `${skipped} tests were skipped, which CI does not allow` : null;
  }
}

function parse(json: string | null): unknown {
  try {
    return json === null ? null : JSON.parse(json);
  } catch {
    return null;
  }
}
