import { describe, expect, it } from 'vitest';
import { defaultAnomaly, type HourOfCost, judgeHour, lastWholeHour } from '../../../src/cost/anomaly.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const dollars = (amount: number) => amount * 1_000_000;
/** An hour of so many dollars and so many minutes of calls. */
const hour = (at: number, cost: number, minutes = 600): HourOfCost => ({
  hour: at,
  costMicroUsd: dollars(cost),
  callSeconds: minutes * 60,
});
/** A week of equal hours up to hour 168. */
const week = (cost = 10, minutes = 600) => Array.from({ length: 168 }, (_, at) => hour(at, cost, minutes));
const judge = (last: HourOfCost | null, before = week(), options = defaultAnomaly) =>
  judgeHour(last === null ? before : [...before, last], 168, options);

describe('an hour', () => {
  it('that costs three times the usual is an anomaly, and just below it none', () => {
    expect(judge(hour(168, 30, 1_800)).anomalies).toEqual([
      { measure: 'hour', now: dollars(30), usual: dollars(10), times: 3 },
    ]);
    expect(judge(hour(168, 29.99, 1_800)).anomalies).toEqual([]);
  });

  it('of as many calls, each of them dearer, is one by both measures', () => {
    const { anomalies } = judge(hour(168, 40));
    expect(anomalies).toMatchObject([
      { measure: 'hour', times: 4 },
      { measure: 'minute', times: 4, usual: dollars(10) / 600 },
    ]);
  });

  it('of few calls that have become dearer is one by the minute alone', () => {
    expect(judge(hour(168, 10, 100)).anomalies).toMatchObject([{ measure: 'minute', times: 6 }]);
  });

  it('is not judged by the minute where it had hardly any', () => {
    expect(judge(hour(168, 10, 9.9)).anomalies).toEqual([]);
  });

  it('that costs next to nothing is none, however much more than usual', () => {
    const cheap = week(0.01);
    expect(judge(hour(168, 4.99), cheap).anomalies).toEqual([]);
    expect(judge(hour(168, 5), cheap).anomalies).toHaveLength(2);
  });

  it('without calls is none', () => {
    expect(judge(null).anomalies).toEqual([]);
    expect(judge(hour(168, 0, 0)).anomalies).toEqual([]);
  });

  it('that costs something where everything was free is one', () => {
    expect(judge(hour(168, 6), week(0)).anomalies[0]).toMatchObject({
      usual: 0,
      times: Number.POSITIVE_INFINITY,
    });
  });
});

describe('what is usual', () => {
  it('is the median: a bad night does not become it', () => {
    const night = week().map((past) => (past.hour >= 140 && past.hour < 150 ? hour(past.hour, 900) : past));
    expect(judge(hour(168, 30, 1_800), night).anomalies).toHaveLength(1);
    expect(judge(hour(168, 30), night).baseline.hour).toBe(dollars(10));
  });

  it('is of the hours with calls: quiet nights make no busy morning an anomaly', () => {
    const days = week().map((past) => (past.hour % 24 < 18 ? hour(past.hour, 0, 0) : past));
    expect(judge(hour(168, 12), days)).toEqual({
      anomalies: [],
      baseline: { hour: dollars(10), minute: dollars(10) / 600 },
    });
  });

  it('is not known of a deployment that is a day old or younger', () => {
    const young = week().slice(-23);
    expect(judge(hour(168, 500), young)).toEqual({ anomalies: [], baseline: { hour: null, minute: null } });
    expect(judge(hour(168, 500), week().slice(-24)).anomalies).toHaveLength(2);
  });

  it('is of the last seven days, and not of the hour that is judged nor of later ones', () => {
    const dearOnce = Array.from({ length: 500 }, (_, at) => hour(at - 500, 1_000));
    const later = [hour(169, 1_000), hour(170, 1_000)];
    expect(judge(hour(168, 30, 1_800), [...dearOnce, ...later, ...week()]).baseline.hour).toBe(dollars(10));
  });

  it('is the same by however many shards it was counted', () => {
    const halves = week(5, 300);
    const whole = judge(hour(168, 40));
    expect(judgeHour([...halves, ...halves, hour(168, 15, 300), hour(168, 25, 300)], 168)).toEqual(whole);
  });
});

it('the hour to be judged is the last one that is over', async () => {
  const clock = new FakeClock(Date.UTC(2026, 10, 23, 10, 59, 59, 999));
  const nine = Date.UTC(2026, 10, 23, 9) / 3_600_000;
  expect(lastWholeHour(clock.now())).toBe(nine);
  await clock.advance(1);
  expect(lastWholeHour(clock.now())).toBe(nine + 1);
});
