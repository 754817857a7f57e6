import { expect } from 'vitest';
import { systemClock } from '../../../src/call/clock.ts';
import { dialFromNode } from '../../../tools/doctor/dial.ts';
import { type Examination, examine, type Row } from '../../../tools/doctor/examine.ts';

/** Examines what these settings name, which are all from the environment. */
export const run = (
  values: Record<string, unknown>,
  options: Partial<Parameters<typeof examine>[0]> = {},
): Promise<Examination> =>
  examine({
    settings: { values, sources: new Map(Object.keys(values).map((name) => [name, 'the environment'])) },
    clock: systemClock,
    dial: dialFromNode,
    probes: [],
    findings: [],
    stored: [],
    limitMs: 20_000,
    signal: new AbortController().signal,
    ...options,
  });

export const row = ({ rows }: Examination, title: string): Row => {
  const found = rows.find((each) => each.title === title);
  if (found === undefined) throw new Error(`no row of ${title}`);
  return found;
};
/** What worked. */
export const ok = { result: 'ok', firstMs: expect.any(Number), totalMs: expect.any(Number), note: null };

/** Settings of the three ports, all at the double. */
export const allOpenAi = ({ baseUrl }: { baseUrl: string }) => ({
  OPENAI_API_KEY: 'sk-secret',
  OPENAI_BASE_URL: baseUrl,
});
