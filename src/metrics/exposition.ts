import type { Exposed, ExposedHistogram, Labels } from './exposed.ts';

/** Content types of the two text formats. */
export const textTypes = {
  /** https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  /** https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md */
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const;
export type TextFormat = keyof typeof textTypes;

/** The metrics as text. A metric without samples has its help and type, so that its name can be found. */
export function expositionText(metrics: readonly Exposed[], format: TextFormat): string {
  const lines = metrics.flatMap((metric) => {
    const { name, help, type } = metric;
    // An OpenMetrics counter's family has the name without `_total`; the sample has it.
    const family = format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name;
    const samples =
      metric.type === 'histogram'
        ? metric.samples.flatMap(({ labels, histogram }) => histogramLines(name, labels, histogram, format))
        : metric.samples.map(({ labels, value }) => `${name}${labelText(labels)} ${value}`);
    return [`# HELP ${family} ${escapeHelp(help, format)}`, `# TYPE ${family} ${type}`, ...samples];
  });
  if (format === 'openmetrics') lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function histogramLines(
  name: string,
  labels: Labels,
  { buckets, count, sum }: ExposedHistogram,
  format: TextFormat,
): string[] {
  const bucket = (le: string, cumulative: number) =>
    `${name}_bucket${labelText({ ...labels, le })} ${cumulative}`;
  return [
    ...buckets.map(({ bound, cumulative }) => bucket(boundText(bound, format), cumulative)),
    bucket('+Inf', count),
    `${name}_sum${labelText(labels)} ${sum}`,
    `${name}_count${labelText(labels)} ${count}`,
  ];
}

/** OpenMetrics wants a bound to look like a float: `1.0`. */
function boundText(bound: number, format: TextFormat): string {
  return format === 'openmetrics' && Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(help: string, format: TextFormat): string {
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return format === 'openmetrics' ? escaped.replaceAll('"', '\\"') : escaped;
}
