import { expect, it } from 'vitest';
import { addCost, type CostHours, noCostHours } from '../../../src/alerts/cost-hours.ts';

const HOUR = 3_600_000;
const start = 472_222 * HOUR;

function looks(...of: [at: number, microUsd: number, callSeconds: number][]): CostHours {
  return of.reduce(
    (costs, [at, microUsd, callSeconds]) => addCost(costs, { microUsd, callSeconds }, at),
    noCostHours,
  );
}

it('what was there before the first look belongs to no hour', () => {
  expect(looks([start, 5_000_000, 900]).hours).toEqual([]);
});

it('what came between two looks belongs to the hour of the later one', () => {
  const { hours } = looks(
    [start, 100, 10],
    [start + 60_000, 150, 40],
    [start + 120_000, 160, 41],
    [start + HOUR - 1, 160, 41],
    [start + HOUR, 200, 50],
  );
  expect(hours).toEqual([
    { hour: 472_222, costMicroUsd: 60, callSeconds: 31 },
    { hour: 472_223, costMicroUsd: 40, callSeconds: 9 },
  ]);
});

it('what came while nobody looked belongs to all of that time, not to the hour in which somebody looks again', () => {
  const { hours } = looks([start, 100, 10], [start + HOUR / 2, 160, 40], [start + 3 * HOUR, 5_160, 2_540]);
  expect(hours).toEqual([
    { hour: 472_222, costMicroUsd: 1_060, callSeconds: 530 },
    { hour: 472_223, costMicroUsd: 2_000, callSeconds: 1_000 },
    { hour: 472_224, costMicroUsd: 2_000, callSeconds: 1_000 },
  ]);
});

it('after a year without a look no more is kept than otherwise', () => {
  const { hours } = looks([start, 100, 10], [start + 365 * 24 * HOUR, 8_760_100, 10]);
  expect(hours).toHaveLength(169);
  for (const { costMicroUsd } of hours) expect(costMicroUsd).toBeCloseTo(1_000);
});

it('counts that have begun anew cost nothing for it', () => {
  const { hours } = looks([start, 100, 10], [start + 60_000, 30, 5], [start + 120_000, 50, 8]);
  expect(hours).toEqual([{ hour: 472_222, costMicroUsd: 20, callSeconds: 3 }]);
});

it('a week and an hour are kept', () => {
  const all = Array.from(
    { length: 400 },
    (_, i) => [start + (i + 0.5) * HOUR, i * 10, i] as [number, number, number],
  );
  const { hours } = looks(...all);
  expect(hours).toHaveLength(170);
  expect(hours.at(-1)!.hour - hours[0]!.hour).toBe(169);
});
