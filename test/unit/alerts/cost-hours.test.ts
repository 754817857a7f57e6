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

it('counts that have begun anew cost nothing for it', () => {
  const { hours } = looks([start, 100, 10], [start + 60_000, 30, 5], [start + 120_000, 50, 8]);
  expect(hours).toEqual([{ hour: 472_222, costMicroUsd: 20, callSeconds: 3 }]);
});

it('a week and an hour are kept', () => {
  const all = Array.from(
    { length: 400 },
    (_, i) => [start + i * HOUR, i * 10, i] as [number, number, number],
  );
  const { hours } = looks(...all);
  expect(hours).toHaveLength(170);
  expect(hours.at(-1)!.hour - hours[0]!.hour).toBe(169);
});
