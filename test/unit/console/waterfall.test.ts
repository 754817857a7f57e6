import { describe, expect, it } from 'vitest';
import { median, partsOf, stepsOf } from '../../../src/console/model/waterfall.ts';
import { latencyMoments } from '../../../src/dialects/native-messages.ts';

const turn = {
  endpointWaitMs: 500,
  processingMs: 20,
  providerMs: 480,
  totalMs: 1_000,
  providers: [],
  moments: {
    decided: 500,
    transcript: 600,
    firstToken: 800,
    firstSentence: 850,
    firstAudio: 990,
    firstSent: 1_000,
  },
};

describe('a turn’s latency', () => {
  it('has three parts that add up', () => {
    expect(partsOf(turn).map(({ name, ms, share }) => [name, ms, share])).toEqual([
      ['endpointWait', 500, 0.5],
      ['processing', 20, 0.02],
      ['provider', 480, 0.48],
    ]);
    expect(partsOf(turn).reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  });

  it('of nothing has no shares to divide by', () => {
    const none = { ...turn, endpointWaitMs: 0, processingMs: 0, providerMs: 0, totalMs: 0 };
    expect(partsOf(none).map(({ share }) => share)).toEqual([0, 0, 0]);
  });

  it('is a waterfall: each step begins where the last one ended', () => {
    expect(stepsOf(turn).map(({ moment, fromMs, untilMs }) => [moment, fromMs, untilMs])).toEqual([
      ['decided', 0, 500],
      ['transcript', 500, 600],
      ['firstToken', 600, 800],
      ['firstSentence', 800, 850],
      ['firstAudio', 850, 990],
      ['firstSent', 990, 1_000],
    ]);
  });

  it('knows every moment that the service tells', () => {
    const moments = Object.fromEntries(latencyMoments.map((moment, i) => [moment, i * 10]));
    expect(stepsOf({ moments }).map(({ moment }) => moment)).toEqual([...latencyMoments]);
    expect(stepsOf({ moments }).every(({ label }) => label.length > 0)).toBe(true);
  });

  it('is in the order of time where an answer was begun before the turn was over', () => {
    const early = { moments: { decided: 700, transcript: 400, firstToken: 600, firstSent: 720 } };
    expect(stepsOf(early).map(({ moment, fromMs }) => [moment, fromMs])).toEqual([
      ['transcript', 0],
      ['firstToken', 400],
      ['decided', 600],
      ['firstSent', 700],
    ]);
  });

  it('has the steps that are known, if no model wrote the answer', () => {
    expect(stepsOf({ moments: { decided: 500, firstSent: 520 } })).toHaveLength(2);
    expect(stepsOf({ moments: {} })).toEqual([]);
  });
});

describe('the median', () => {
  it.each([
    [[], null],
    [[3], 3],
    [[9, 1, 5], 5],
    [[4, 1, 2, 10], 3],
  ])('of %j is %j', (values, middle) => {
    expect(median(values)).toBe(middle);
  });
});
