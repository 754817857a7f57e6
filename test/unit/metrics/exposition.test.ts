import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { exposedAlerts } from '../../../src/alerts/exposed.ts';
import { type Exposed, exposed } from '../../../src/metrics/exposed.ts';
import { expositionText, type TextFormat } from '../../../src/metrics/exposition.ts';
import type { NodeReport } from '../../../src/metrics/nodes.ts';
import { noTotals } from '../../../src/metrics/totals.ts';
import { someTotals } from './some-totals.ts';

const now = 1_800_000_000_000;
const node = (name: string, at: number): NodeReport => ({
  name,
  at,
  state: 'up',
  calls: 12,
  maxCalls: 1_200,
  callsPerSecond: 3,
  idleCpu: 81.5,
  loadAverage: 0.7,
  cores: 8,
});
const nodes = [node('fs-1', now - 4_000), node('fs-2', now - 60_000)];
const alerts = {
  evaluatedAt: now - 20_000,
  firing: [{ rule: 'latency', severity: 'warning' as const, since: now }],
  waiting: { slack: 2 },
};
const all = [...exposed(someTotals, nodes, now, '1.2.3'), ...exposedAlerts(alerts)];
const nothing = exposed(noTotals, [], now, '1.2.3');

/** Debian's `promtool check metrics`, with its lint: what it complains of it prints. */
function promtool(text: string) {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text });
  return { status, says: `${stdout}${stderr}` };
}

describe('the text of /metrics', () => {
  it.each([
    ['with a bit of everything', all],
    ['where nothing has happened', nothing],
  ])('%s is accepted by promtool, which finds nothing to complain of', (_, metrics) => {
    expect(promtool(expositionText(metrics, 'prometheus'))).toEqual({ status: 0, says: '' });
  });

  it('is judged by a promtool that does complain', () => {
    const text = expositionText(nothing, 'prometheus');
    expect(promtool(text.replaceAll('calls_started_total', 'calls_started')).status).not.toBe(0);
    expect(promtool(`${text}nonsense{`).status).not.toBe(0);
  });

  it('has the numbers', () => {
    const text = expositionText(all, 'prometheus');
    for (const line of [
      'callhandler_build_info{version="1.2.3"} 1',
      'callhandler_calls_started_total 12',
      'callhandler_calls_active 2',
      'callhandler_calls_unaccounted 2',
      'callhandler_calls_ended_total{reason="error"} 2',
      'callhandler_calls_failed_total{reason="error"} 2',
      'callhandler_call_duration_seconds_bucket{le="5"} 0',
      'callhandler_call_duration_seconds_bucket{le="10"} 8',
      'callhandler_call_duration_seconds_sum 80',
      'callhandler_call_duration_seconds_count 8',
      'callhandler_turn_latency_seconds_bucket{part="total",le="0.63"} 0',
      'callhandler_turn_latency_seconds_bucket{part="total",le="0.8"} 1',
      'callhandler_turn_latency_seconds_bucket{part="total",le="1"} 2',
      'callhandler_turn_latency_seconds_bucket{part="total",le="+Inf"} 2',
      'callhandler_turn_latency_seconds_sum{part="total"} 1.8',
      'callhandler_speech_cache_lookups_total{outcome="miss"} 2',
      'callhandler_provider_answers_total{provider="openai/gpt-6-luna"} 7',
      'callhandler_provider_failures_total{provider="openai/gpt-6-luna",kind="timeout"} 2',
      'callhandler_service_failures_total{kind="internal_error"} 1',
      'callhandler_provider_cost_dollars_total{provider="openai/gpt-6-luna"} 1.5',
      'callhandler_refusals_total{at="request",code="RATE_LIMIT"} 9',
      'callhandler_outbox_waiting{delivery="log ended"} 2',
      'callhandler_nodes{state="silent"} 1',
      'callhandler_node_up{node="fs-1"} 1\ncallhandler_node_up{node="fs-2"} 0',
      'callhandler_node_silence_seconds{node="fs-2"} 60',
      'callhandler_node_idle_cpu_ratio{node="fs-1"} 0.815',
      'callhandler_alerts_evaluated_timestamp_seconds 1799999980',
      'callhandler_alert_firing{rule="latency",severity="warning"} 1',
      'callhandler_alert_firing{rule="nodes-down",severity="critical"} 0',
      'callhandler_alert_notices_waiting{webhook="slack"} 2',
    ]) {
      expect(text).toContain(`\n${line}\n`);
    }
  });

  it('says nothing of costs that are not known, and nothing of nodes where there are none', () => {
    const text = expositionText(nothing, 'prometheus');
    expect(text).not.toContain('cost_dollars');
    expect(text).not.toContain('node_up');
  });

  it('names a counter’s family without _total in OpenMetrics, writes bounds as floats, and ends', () => {
    const text = expositionText(all, 'openmetrics');
    expect(text).toContain(
      '\n# TYPE callhandler_calls_started counter\ncallhandler_calls_started_total 12\n',
    );
    expect(text).toContain('le="1.0"} 2\n');
    expect(text).not.toMatch(/le="\d+"/);
    expect(text).toMatch(/[^\n]\n# EOF\n$/);
  });

  it.each<TextFormat>(['prometheus', 'openmetrics'])(
    'escapes what stands in labels and help (%s)',
    (format) => {
      const odd: Exposed[] = [
        {
          type: 'gauge',
          name: 'odd',
          help: 'A \\ and\na "line".',
          samples: [{ labels: { provider: 'a"b\\c\nd' }, value: 1 }],
        },
      ];
      const text = expositionText(odd, format);
      expect(text).toContain('odd{provider="a\\"b\\\\c\\nd"} 1\n');
      expect(text).toContain(
        format === 'openmetrics'
          ? '# HELP odd A \\\\ and\\na \\"line\\".\n'
          : '# HELP odd A \\\\ and\\na "line".\n',
      );
      if (format === 'prometheus') expect(promtool(text)).toEqual({ status: 0, says: '' });
    },
  );

  it('has cumulative buckets that end with all values', () => {
    for (const metric of all) {
      if (metric.type !== 'histogram') continue;
      for (const { histogram } of metric.samples) {
        const counts = histogram.buckets.map(({ cumulative }) => cumulative);
        expect(counts).toEqual([...counts].sort((a, b) => a - b));
        expect(counts.at(-1)).toBe(histogram.count);
      }
    }
  });

  it('is what docs/metrics.md says, name by name', () => {
    const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
    const rows = page.split('\n').filter((line) => line.startsWith('| `callhandler_'));
    const documented = rows.flatMap((row) => {
      const [, names, type] = row.split('|').map((cell) => cell.trim());
      return [...names!.matchAll(/`(\w+)`/g)].map(([, name]) => `${name} ${type}`);
    });
    expect(documented.sort()).toEqual(all.map(({ name, type }) => `${name} ${type}`).sort());
  });
});
