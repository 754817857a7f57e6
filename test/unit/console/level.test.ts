import { describe, expect, it } from 'vitest';
import { FLOOR_DB, levelDb, Meter, shareOf } from '../../../src/console/audio/level.ts';

describe('a level', () => {
  it('is the root mean square in dB of full scale', () => {
    expect(levelDb(new Int16Array(160).fill(16_384))).toBeCloseTo(-6.02, 2);
    const sine = Int16Array.from({ length: 1_600 }, (_, i) => 32_767 * Math.sin(i / 8));
    expect(levelDb(sine)).toBeCloseTo(-3.01, 1);
  });

  it('of silence, and of nothing, is the floor', () => {
    expect(levelDb(new Int16Array(160))).toBe(FLOOR_DB);
    expect(levelDb(new Int16Array(0))).toBe(FLOOR_DB);
    expect(levelDb(new Int16Array(160).fill(1))).toBe(FLOOR_DB);
  });

  it('is shown between the floor and full scale', () => {
    expect([-90, -60, -30, 0, 6].map(shareOf)).toEqual([0, 0, 0.5, 1, 1]);
  });
});

describe('a meter', () => {
  it('rises at once and falls slowly', () => {
    const meter = new Meter();
    meter.update(-10, 20);
    expect(meter.db).toBe(-10);
    meter.update(-60, 500);
    expect(meter.db).toBeCloseTo(-22);
    meter.update(-15, 20);
    expect(meter.db).toBe(-15);
    meter.update(-60, 60_000);
    expect(meter.db).toBe(FLOOR_DB);
  });

  it('points out the loudest for a moment, then lets it fall to the bar, not below', () => {
    const meter = new Meter();
    meter.update(-5, 20);
    for (let i = 0; i < 50; i++) meter.update(-40, 20);
    expect(meter.peakDb).toBe(-5);
    for (let i = 0; i < 20; i++) meter.update(-40, 20);
    expect(meter.peakDb).toBeLessThan(-5);
    for (let i = 0; i < 200; i++) meter.update(-40, 20);
    expect(meter.peakDb).toBe(-40);
    meter.update(-20, 20);
    expect(meter.peakDb).toBe(-20);
  });
});
