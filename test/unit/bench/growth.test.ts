import { describe, expect, it } from 'vitest';
import { Calendar } from '../../../bench/growth/calendar.ts';
import { simulateDay } from '../../../bench/growth/day.ts';
import { simulateDialling } from '../../../bench/growth/dialling.ts';
import { ObjectLoads } from '../../../bench/growth/loads.ts';
import { CALLS, dayOf, diallingOf, fullOf, STEADY } from '../../../bench/growth/scenes.ts';
import { Users } from '../../../bench/growth/users.ts';
import { seeded } from '../../support/random.ts';

/** 2,000 calls. */
const SCALE = 0.01;

describe('requests that are counted by object and second', () => {
  it('have a mean, a second of a hundred, and a most, of a phase and of all', () => {
    const loads = new ObjectLoads(['a', 'b']);
    for (let second = 0; second < 100; second++) {
      for (let i = 0; i < (second === 50 ? 30 : 2); i++) loads.request(0);
      loads.endSecond(second < 50 ? 'calm' : 'busy');
    }
    // 200 seconds of an object: 100 without any, 99 with 2, one with 30.
    expect(loads.of()).toEqual({ objects: 2, mean: (99 * 2 + 30) / 200, p99: 2, max: 30 });
    expect(loads.of('calm')).toEqual({ objects: 2, mean: 1, p99: 2, max: 2 });
    expect(loads.of('busy')).toMatchObject({ p99: 2, max: 30 });
    expect(loads.busiest).toBe('busy');
    expect(loads.total).toBe(228);
    expect(loads.of('never')).toEqual({ objects: 2, mean: 0, p99: 0, max: 0 });
  });
});

describe('what is due', () => {
  it('is due in its tick, once, in the order in which it was put, and never after the end', () => {
    const calendar = new Calendar(1_000);
    calendar.put(199, 1);
    calendar.put(100, 2);
    calendar.put(200, 3);
    calendar.put(1_000, 4);
    expect(calendar.take(1)).toEqual([1, 2]);
    expect(calendar.take(1)).toEqual([]);
    expect(calendar.take(2)).toEqual([3]);
    expect(calendar.take(10)).toEqual([]);
  });
});

describe('users', () => {
  it('have calls by Zipf’s law', () => {
    const users = new Users(4);
    const random = seeded(1);
    const calls = [0, 0, 0, 0];
    for (let i = 0; i < 25_000; i++) calls[users.of(random)]!++;
    // 1, 1/2, 1/3 and 1/4 of 25/12.
    expect(users.largest).toBeCloseTo(12 / 25);
    for (const [k, of] of [12_000, 6_000, 4_000, 3_000].entries()) {
      expect(Math.abs(calls[k]! - of), `of user ${k}`).toBeLessThan(300);
    }
  });
});

describe('a simulated day', () => {
  it('makes the requests that calls of exponential length make by arithmetic', async () => {
    const scene = dayOf(SCALE);
    const day = await simulateDay(scene);
    const perSecond = (SCALE * CALLS) / scene.callSeconds;
    // One at the start, one at the end, one for each minute that is full: 2 + 1 / (e^(60/180) - 1).
    const reports = 2 + 1 / (Math.exp(60 / 180) - 1);
    expect(near(day.metrics.of(STEADY).mean * 16, perSecond * reports)).toBeLessThan(0.05);
    // Places: taken, given back, and renewed each 45 s.
    const places = 2 + 1 / (Math.exp(45 / 180) - 1);
    expect(near(day.userCalls.of(STEADY).mean * scene.users, perSecond * places)).toBeLessThan(0.05);
    expect(day.mostLive).toBeGreaterThan(SCALE * CALLS);
    expect(day.refused, 'the ceiling is out of the way').toBe(0);
    const { started, ended, active, toldStarted } = day.firstShard;
    expect(started).toBe(toldStarted);
    expect(started - ended).toBe(active);
    expect(near(started * 16, day.calls)).toBeLessThan(0.1);
  });

  it('is the same again, by its seed', async () => {
    const scene = { ...dayOf(SCALE), phases: [{ name: STEADY, seconds: 120, from: 11, to: 11 }] };
    expect(await simulateDay(scene)).toEqual(await simulateDay(scene));
    expect(await simulateDay({ ...scene, seed: 9 })).not.toEqual(await simulateDay(scene));
  });

  it('never has more calls than the ceiling, and nearly as many', async () => {
    const full = await simulateDay(fullOf(SCALE));
    expect(full.mostLive).toBeLessThanOrEqual(SCALE * CALLS);
    expect(full.last.meanLive).toBeGreaterThan(0.9 * SCALE * CALLS);
    expect(full.fewestAtRefusal).toBeGreaterThan(0.8 * SCALE * CALLS);
    // Of 115 for 100 places 13 per cent are too many.
    expect(full.last.refused).toBeGreaterThan(0.1);
    expect(full.last.refused).toBeLessThan(0.25);
  });
});

describe('simulated calls that the service places', () => {
  it.each([1, 16])('make the requests that are counted, with %d objects', (shards) => {
    const scene = { ...diallingOf(SCALE, shards), nodes: 10, seconds: 60 };
    const { loads, asked, begun, left, waitedMs } = simulateDialling(scene);
    expect(near(asked, scene.perSecond * scene.seconds)).toBeLessThan(0.3);
    expect(begun + left).toBe(asked);
    expect(waitedMs).toHaveLength(begun);
    const polls = scene.nodes * scene.seconds * Math.min(shards, 4);
    // Put in, begun; and of those that had the time: rung, over, and found by the call.
    expect(loads.total).toBeGreaterThanOrEqual(polls + asked + begun);
    expect(loads.total).toBeLessThanOrEqual(polls + asked + 4 * begun);
    expect(left).toBeLessThan(10);
  });
});

/** How far a figure is off, as a part of what it should be. */
function near(figure: number, expected: number): number {
  return Math.abs(figure / expected - 1);
}
