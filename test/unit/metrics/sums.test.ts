import { describe, expect, it } from 'vitest';
import {
  add,
  addOne,
  growth,
  MOST_LABELS,
  OTHER,
  type Sums,
  sumAt,
  sumOf,
} from '../../../src/metrics/sums.ts';
import { seeded } from '../../support/random.ts';

describe('sums', () => {
  it('add up by family and label', () => {
    const sums: Sums = { turns: { caller: 1 } };
    add(sums, { turns: { caller: 2, agent: 3 }, calls: { started: 1 } });
    expect(sums).toEqual({ turns: { caller: 3, agent: 3 }, calls: { started: 1 } });
    expect([sumAt(sums, 'turns', 'caller'), sumAt(sums, 'no', 'where')]).toEqual([3, 0]);
    expect([sumOf(sums, 'turns'), sumOf(sums, 'no')]).toEqual([6, 0]);
  });

  it('have an end of labels: what comes after the last is counted together', () => {
    const sums: Sums = {};
    for (let i = 0; i < 2 * MOST_LABELS; i++) addOne(sums, 'providers', `p${i}`, 1);
    expect(Object.keys(sums.providers!)).toHaveLength(MOST_LABELS + 1);
    expect(sumAt(sums, 'providers', OTHER)).toBe(MOST_LABELS);
    addOne(sums, 'providers', 'p1', 1);
    expect(sumAt(sums, 'providers', 'p1')).toBe(2);
    expect(sumOf(sums, 'providers')).toBe(2 * MOST_LABELS + 1);
  });

  it('of a call grow by what a later report has more, and never shrink', () => {
    const before = { turns: { caller: 3, agent: 2 }, counts: { drops: 1 } };
    const now = { turns: { caller: 4, agent: 1 }, counts: { drops: 1 }, answers: { a: 2 } };
    expect(growth(before, now)).toEqual({
      grown: { turns: { caller: 1 }, answers: { a: 2 } },
      greatest: { turns: { caller: 4, agent: 2 }, counts: { drops: 1 }, answers: { a: 2 } },
    });
    expect(growth(now, now).grown).toEqual({});
  });

  it('of a call come to the last report, in whatever order and however often the reports arrive', () => {
    const random = seeded(11);
    for (let round = 0; round < 200; round++) {
      const reports: Sums[] = [{}];
      for (let i = 0; i < 6; i++) {
        const next = structuredClone(reports.at(-1)!);
        for (let j = random.whole(4); j > 0; j--) {
          addOne(next, random.of(['turns', 'counts']), random.of(['a', 'b', 'c']), 1 + random.whole(3));
        }
        reports.push(next);
      }
      const arriving = Array.from({ length: 12 }, () => random.of(reports));
      arriving.splice(random.whole(12), 0, reports.at(-1)!);
      const total: Sums = {};
      let kept: Sums = {};
      for (const report of arriving) {
        const { grown, greatest } = growth(kept, report);
        add(total, grown);
        kept = greatest;
      }
      expect(total).toEqual(reports.at(-1));
    }
  });
});
