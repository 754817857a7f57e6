import { describe, expect, it } from 'vitest';
import {
  everyNodeDown,
  heartbeatSchema,
  NODE_SILENT_MS,
  type NodeReport,
  nodeCounts,
} from '../../../src/metrics/nodes.ts';

const now = 1_800_000_000_000;
const node = (name: string, more: Partial<NodeReport> = {}): NodeReport => ({
  name,
  at: now - 4_000,
  state: 'up',
  calls: 12,
  maxCalls: 1_200,
  callsPerSecond: 3,
  idleCpu: 81.5,
  loadAverage: 0.7,
  cores: 8,
  ...more,
});

describe('nodes', () => {
  it('count as what they say, and as silent once three heartbeats did not come', () => {
    const nodes = [
      node('a'),
      node('b', { state: 'draining' }),
      node('c', { state: 'failing' }),
      node('d', { at: now - NODE_SILENT_MS }),
      node('e', { at: now - NODE_SILENT_MS + 1 }),
    ];
    expect(nodeCounts(nodes, now)).toEqual({ up: 2, draining: 1, failing: 1, silent: 1 });
  });

  it('are all down when none of them takes calls; where there are none, nothing is down', () => {
    expect(everyNodeDown([], now)).toBe(false);
    expect(everyNodeDown([node('a'), node('b', { at: 0 })], now)).toBe(false);
    expect(everyNodeDown([node('a', { state: 'draining' }), node('b', { at: 0 })], now)).toBe(true);
  });

  it('report numbers within bounds and nothing else', () => {
    const { name, at, ...report } = node('a');
    expect(heartbeatSchema.safeParse(report).success).toBe(true);
    const wrong = [
      { ...report, name },
      { ...report, at },
      { ...report, state: 'fine' },
      { ...report, calls: -1 },
      { ...report, calls: '1' },
      { ...report, idleCpu: 101 },
      { ...report, loadAverage: Number.NaN },
      {},
      null,
    ];
    for (const each of wrong) expect(heartbeatSchema.safeParse(each).success).toBe(false);
  });
});
