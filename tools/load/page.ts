import { escaped, type Panel, plot } from './plot.ts';
import { comparison, figures, verdict } from './print.ts';
import type { LoadReport } from './report.ts';

/** `report.html`: the plot and the figures, in one file that fetches nothing. */
export function page(report: LoadReport): string {
  const { options, timeline, startedAt } = report;
  const title = `${options.calls} calls, ${options.minutes} min, ${options.dialect}`;
  const row = (cells: readonly string[], tag = 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Load test: ${escaped(title)}</title>
<style>
  body { font: 15px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
  table { border-collapse: collapse; margin: 1rem 0; }
  td, th { border-bottom: 1px solid #ddd; padding: 0.25rem 1rem 0.25rem 0; text-align: left; vertical-align: top; }
</style>
<h1>Load test: ${escaped(title)}</h1>
<p>${escaped(options.url)}, ${escaped(startedAt)}, ${report.durationSeconds.toFixed(0)} s</p>
${verdict(report)
  .map((line) => `<p><strong>${escaped(line)}</strong></p>`)
  .join('\n')}
${plot(
  timeline.map(({ atSeconds }) => atSeconds),
  panels(timeline),
)}
<table>
${row(['Metric', `${report.calls.mostOpen} calls here`, 'document 001, 10,000 calls'], 'th')}
${comparison(report)
  .map((cells) => row(cells))
  .join('\n')}
</table>
<table>
${figures(report)
  .map((cells) => row(cells))
  .join('\n')}
</table>
</html>
`;
}

function panels(timeline: LoadReport['timeline']): Panel[] {
  const of = (name: string, value: (point: LoadReport['timeline'][number]) => number | null) => ({
    name,
    values: timeline.map(value),
  });
  return [
    { title: 'Calls open', unit: '', series: [of('calls', ({ open }) => open)] },
    {
      title: 'Round trip of a ping',
      unit: 'ms',
      series: [
        of('p50', ({ roundTripP50Ms }) => roundTripP50Ms),
        of('p95', ({ roundTripP95Ms }) => roundTripP95Ms),
      ],
    },
    {
      title: 'From the caller’s last word to the first audio of the answer',
      unit: 'ms',
      series: [of('p50', ({ answerP50Ms }) => answerP50Ms), of('p95', ({ answerP95Ms }) => answerP95Ms)],
    },
    {
      title: 'Calls refused, dropped, failed, a second',
      unit: '',
      series: [of('errors', ({ errors, seconds }) => errors / seconds)],
    },
    {
      title: 'How late this client’s own frames were',
      unit: 'ms',
      series: [of('p99', ({ lateP99Ms }) => lateP99Ms)],
    },
  ];
}
