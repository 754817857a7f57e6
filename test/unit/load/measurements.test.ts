import { describe, expect, test } from 'vitest';
import { parseLoadArguments } from '../../../tools/load/arguments.ts';
import { Histogram } from '../../../tools/load/histogram.ts';
import { page } from '../../../tools/load/page.ts';
import { plot, ticks } from '../../../tools/load/plot.ts';
import { progressLine, reportText } from '../../../tools/load/print.ts';
import { exitCodeOf, loadReportSchema, Measurements } from '../../../tools/load/report.ts';
import { Tally } from '../../../tools/load/tally.ts';
import { Timeline } from '../../../tools/load/timeline.ts';
import { seeded } from '../../support/random.ts';

describe('a histogram', () => {
  test('has the percentiles of the sorted values, to half a percent', () => {
    const random = seeded(11);
    const values = Array.from({ length: 5_000 }, () => 0.02 + 10_000 * random.fraction() ** 4);
    const histogram = new Histogram();
    for (const value of values) histogram.add(value);
    const sorted = values.toSorted((a, b) => a - b);
    for (const q of [0.01, 0.5, 0.95, 0.99, 1]) {
      const exact = sorted[Math.ceil(q * sorted.length) - 1]!;
      expect(Math.abs(histogram.percentile(q)! / exact - 1)).toBeLessThan(0.0051);
    }
    const { average, max, count } = histogram.distribution()!;
    expect(average).toBeCloseTo(values.reduce((a, b) => a + b, 0) / values.length, 6);
    expect([max, count]).toEqual([sorted.at(-1), 5_000]);
  });

  test('of several processes is that of all their values', () => {
    const [whole, one, two] = [new Histogram(), new Histogram(), new Histogram()];
    for (let i = 0; i < 100; i++) {
      whole.add(i * i);
      (i % 3 === 0 ? one : two).add(i * i);
    }
    const merged = new Histogram();
    for (const part of [one, two, new Histogram()]) merged.merge(structuredClone(part.parts()));
    expect(merged.distribution()).toEqual(whole.distribution());
  });

  test('takes nothing, the least, the most and what is below 0', () => {
    const histogram = new Histogram();
    expect([histogram.percentile(0.5), histogram.distribution()]).toEqual([null, null]);
    histogram.add(5, 0);
    expect(histogram.count).toBe(0);
    histogram.add(-3);
    expect(histogram.distribution()).toEqual({ count: 1, average: 0, p50: 0, p95: 0, p99: 0, max: 0 });
    histogram.add(1e9, 3);
    expect(histogram.percentile(0.25)).toBe(0);
    expect(histogram.percentile(0.5)).toBeGreaterThan(3_500_000);
  });
});

describe('a tally', () => {
  test('is empty once it was taken', () => {
    const tally = new Tally();
    tally.count('placed', 2);
    tally.fault('refused', 'TOO_MANY_CALLS');
    tally.measure('setUpMs', 5);
    const sum = new Tally();
    sum.merge(structuredClone(tally.take()));
    sum.merge(tally.take());
    expect([sum.of('placed'), sum.faults(), sum.histogram('setUpMs').count]).toEqual([2, 1, 1]);
  });

  test('keeps apart what is known, and bounds what a service can make up', () => {
    const tally = new Tally();
    for (let i = 0; i < 200; i++) tally.fault('refused', `CODE_${i}`);
    tally.fault('dropped', '\u001b[2J');
    tally.fault('dropped', '__proto__');
    expect(Object.keys(tally.reasons('refused'))).toHaveLength(51);
    expect(tally.reasons('refused').OTHER).toBe(150);
    expect(Object.entries(tally.reasons('dropped'))).toEqual([
      ['OTHER', 1],
      ['__proto__', 1],
    ]);
    expect([tally.faults('refused'), tally.faults()]).toEqual([200, 202]);
  });
});

describe('the course of a run', () => {
  const second = (framesSent: number, roundTripMs?: number) => {
    const tally = new Tally();
    tally.count('framesSent', framesSent);
    if (roundTripMs !== undefined) tally.measure('roundTripMs', roundTripMs);
    return tally.take();
  };

  test('is told by seconds, of all processes together', () => {
    const timeline = new Timeline(10_000);
    timeline.add(1_001, 1, second(50, 10));
    timeline.add(1_003, 2, second(50, 30));
    timeline.add(2_002, 2, second(100));
    const [first, then, ...more] = timeline.points();
    expect(first).toMatchObject({ atSeconds: 0, seconds: 1, open: 2, framesSent: 100 });
    expect(first!.roundTripP95Ms).toBeCloseTo(30, 0);
    expect(then).toMatchObject({ atSeconds: 1, framesSent: 100, roundTripP50Ms: null });
    expect(more).toEqual([]);
  });

  test('is bounded, however long it is', () => {
    const timeline = new Timeline(24 * 3_600_000);
    for (let atMs = 1_000; atMs <= 26 * 3_600_000; atMs += 60_000) timeline.add(atMs, 1, second(50));
    const points = timeline.points();
    expect(points).toHaveLength(300);
    expect(points[1]).toMatchObject({ atSeconds: 288, seconds: 288 });
    expect(points.reduce((sum, { framesSent }) => sum + framesSent, 0)).toBe(26 * 60 * 50);
  });
});

/** A run of two processes and three seconds. */
function measured(change: (tally: Tally) => void = () => {}, cpuShare = 0.2): Measurements {
  const measurements = new Measurements(2, 3_000);
  for (let i = 1; i <= 3; i++) {
    for (const process of [0, 1]) {
      const tally = new Tally();
      if (i === 1) {
        for (const counter of ['placed', 'accepted', 'greeted'] as const) tally.count(counter, 5);
        change(tally);
      }
      tally.count('framesSent', 250);
      tally.count('framesSpoken', 125);
      tally.measure('lateMs', 1, 250);
      tally.measure('roundTripMs', 10 * i, 5);
      measurements.second(process, {
        atMs: i * 1_000,
        open: 5,
        tally: tally.take(),
        cpuShare,
        memoryBytes: 2 ** 26,
      });
    }
  }
  return measurements;
}

function reportOf(measurements: Measurements, args: string[] = []) {
  const run = { startedAt: new Date(0), durationMs: 3_000, end: 'complete' as const };
  const url = new URL('ws://localhost/ws/call-session?token=secret');
  return measurements.report(parseLoadArguments(args), url, run);
}

describe('the report', () => {
  test('has the documented shape and all processes’ figures', () => {
    const report = reportOf(measured());
    expect(loadReportSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(report);
    expect(report.calls).toMatchObject({ placed: 10, accepted: 10, mostOpen: 10, errorRate: 0 });
    expect(report.roundTripMs).toMatchObject({ count: 30, average: 20, max: 30 });
    expect(report.audio).toMatchObject({ framesSent: 1_500, talkShare: 0.5 });
    expect(report.answerMs).toBeNull();
    expect(JSON.stringify(report)).not.toContain('secret');
    expect(exitCodeOf(report)).toBe(0);
  });

  test('counts what went wrong against what was placed, and fails', () => {
    const report = reportOf(
      measured((tally) => {
        tally.count('cancelled');
        tally.fault('refused', 'TOO_MANY_CALLS');
        tally.fault('dropped', 'CLOSE_1006');
      }),
    );
    expect(report.calls).toMatchObject({ refused: { TOO_MANY_CALLS: 2 }, dropped: { CLOSE_1006: 2 } });
    expect(report.calls.errorRate).toBe(4 / 8);
    expect(exitCodeOf(report)).toBe(1);
    expect(reportText(report)).toContain('Error rate');
    expect(reportText(report)).toContain('2 TOO_MANY_CALLS');
  });

  test('fails where no call was taken', () => {
    expect(exitCodeOf(reportOf(new Measurements(1, 1_000)))).toBe(1);
  });

  test.each([
    ['late', (tally: Tally) => tally.measure('lateMs', 40, 50), 0.2],
    ['stood still', (tally: Tally) => tally.count('slippedMs', 300), 0.2],
    ['busy', () => {}, 0.95],
  ])('blames this client where it was %s', (word, change, cpuShare) => {
    const report = reportOf(measured(change, cpuShare));
    expect(report.client.bottleneck.join()).toContain(word);
    expect(exitCodeOf(report)).toBe(1);
    expect(reportText(report)).toContain('This client was the bottleneck');
    expect(page(report)).toContain('This client was the bottleneck');
    expect(reportText(reportOf(measured()))).toContain('it was not the bottleneck');
  });

  test('blames this client for a process that died', () => {
    const measurements = measured();
    measurements.lost(1);
    expect(measurements.open).toBe(5);
    expect(reportOf(measurements).client.bottleneck).toEqual(['1 of its processes died']);
  });

  test('is one page that fetches nothing and runs nothing', () => {
    const html = page(reportOf(measured(), ['--say', 'x']));
    expect(html.match(/<svg /g)).toHaveLength(1);
    // The name of SVG's elements is no address that is fetched.
    expect(html.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|<script|src=|<link/);
  });
});

test('progress is one line', () => {
  expect(progressLine(61, 120, 10, measured())).toBe(
    '1:01 of 2:00 · 10 of 10 calls · no errors · p95 of pings 30 ms, of answers – · client 1 ms late',
  );
  const wrong = measured((tally) => tally.fault('failed', 'SILENT'));
  expect(progressLine(0, 60, 10, wrong)).toContain('2 failed');
});

describe('the plot', () => {
  test('has ticks at round numbers up to above the most', () => {
    expect(ticks(100, 4)).toEqual([0, 50, 100]);
    expect(ticks(7, 4)).toEqual([0, 2, 4, 6, 8]);
    expect(ticks(0, 4)).toEqual([0, 0.5]);
    expect(ticks(2_345, 4)).toEqual([0, 1_000, 2_000, 3_000]);
  });

  test('breaks a line where nothing was measured, and escapes names', () => {
    const svg = plot(
      [0, 1, 2, 3],
      [{ title: 'a < b & "c"', unit: 'ms', series: [{ name: 'p50', values: [0, 10, null, 5] }] }],
    );
    expect(svg).toContain('a &lt; b &amp; &quot;c&quot;');
    const [, line] = /<path d="(M[^"]*)" fill="none"/.exec(svg) ?? [];
    // From the lower left, up to the top; then a short line at the right, half way up.
    expect(line).toBe('M70 162L340 34M880 98h2');
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  test('stands without any values', () => {
    expect(plot([], [{ title: 'none', unit: '', series: [{ name: 'p50', values: [] }] }])).not.toMatch(
      /NaN|Infinity|undefined/,
    );
  });
});
