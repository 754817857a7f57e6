import { describe, expect, it } from 'vitest';
import { dashboard, writtenRules } from '../../support/monitoring.ts';

const { all, panels, templating } = dashboard();

describe('the dashboard', () => {
  it('has panels that do not lie on each other', () => {
    const cells = new Set<string>();
    for (const { gridPos, title } of all) {
      const { x, y, w, h } = gridPos;
      expect(x + w, title).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect(cells.has(`${column}/${line}`), `${title} lies on another panel`).toBe(false);
          cells.add(`${column}/${line}`);
        }
      }
    }
  });

  it('has an id for each panel, and a letter for each question of it', () => {
    const ids = all.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { targets, title } of panels) {
      const letters = targets.map(({ refId }) => refId);
      expect(new Set(letters).size, title).toBe(letters.length);
    }
  });

  it('uses its variables, and no others', () => {
    const declared = templating.list.map(({ name }) => name);
    const text = JSON.stringify(panels);
    const used = new Set([...text.matchAll(/\$\{?([a-z]\w*)/g)].map(([, name]) => name));
    expect([...used].sort()).toEqual(declared.sort());
  });

  it('names sums only that the rules record', () => {
    const recorded = writtenRules().filter(({ kind }) => kind === 'record');
    for (const { targets } of panels) {
      for (const { expr } of targets) {
        for (const [name] of expr.matchAll(/instance:[a-z0-9_:]+/g)) {
          expect(recorded.map((rule) => rule.name)).toContain(name);
        }
      }
    }
  });
});
