import type { LoadReport, Measurements } from './report.ts';
import { faults } from './tally.ts';

/** What the source document `001` has under "Tested with 10,000 concurrent calls", for comparison. */
const claims = {
  averageRoundTrip: '23 ms',
  p95RoundTrip: '67 ms',
  averageAnswer: '387 ms',
  p95Answer: '892 ms',
  errorRate: '0.03 %',
};

type Distribution = LoadReport['answerMs'];

/** Milliseconds for people: three digits, `–` of none. */
export function inMs(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–';
  return `${ms >= 100 ? Math.round(ms).toLocaleString('en') : Number(ms.toPrecision(2))} ms`;
}

function inPercent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}

/** One line about how it stands, for a terminal that is not wide. */
export function progressLine(atSeconds: number, ofSeconds: number, calls: number, so: Measurements): string {
  const { total } = so;
  const of = (what: 'roundTripMs' | 'answerMs', q: number) => inMs(total.histogram(what).percentile(q));
  const wrong = faults
    .filter((fault) => total.faults(fault) > 0)
    .map((fault) => `${total.faults(fault)} ${fault}`);
  return [
    `${minutes(atSeconds)} of ${minutes(ofSeconds)}`,
    `${so.open} of ${calls} calls`,
    wrong.join(', ') || 'no errors',
    `p95 of pings ${of('roundTripMs', 0.95)}, of answers ${of('answerMs', 0.95)}`,
    `client ${inMs(total.histogram('lateMs').percentile(0.99))} late`,
  ].join(' · ');
}

function minutes(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** The figures of a report, as rows of a name and a value. */
export function figures(report: LoadReport): [name: string, value: string][] {
  const { calls, client, utterances, pings, audio, options } = report;
  const spread = (of: Distribution) =>
    of === null ? '–' : `p50 ${inMs(of.p50)}, p95 ${inMs(of.p95)}, p99 ${inMs(of.p99)}, most ${inMs(of.max)}`;
  const wrong = (kind: Record<string, number>) =>
    Object.entries(kind)
      .map(([reason, times]) => `${times} ${reason}`)
      .join(', ') || 'none';
  return [
    [
      'calls',
      `${calls.placed} placed, ${calls.accepted} taken, ${calls.mostOpen} of ${options.calls} open at once`,
    ],
    [
      'ended',
      `${calls.ended} by the caller, ${calls.endedByService} by the service, ${calls.cancelled} not taken yet at the end`,
    ],
    ['refused', wrong(calls.refused)],
    ['dropped', wrong(calls.dropped)],
    ['failed', wrong(calls.failed)],
    ['errors in calls that went on', wrong(report.errors)],
    ['set-up', spread(report.setUpMs)],
    ['greeting', `heard in ${calls.greeted} calls; ${spread(report.greetingMs)}`],
    ['round trip', `${spread(report.roundTripMs)}; ${pings.lost} of ${pings.sent} pings lost`],
    ['answer', `${utterances.answered} of ${utterances.said}; ${spread(report.answerMs)}`],
    [
      'audio',
      `${audio.framesSent.toLocaleString('en')} frames sent, ${inPercent(audio.talkShare)} of them speech; ${Math.round(audio.secondsReceived).toLocaleString('en')} s received`,
    ],
    [
      'this client',
      `frames late: ${spread(client.lateMs)}; CPU ${client.processes
        .map(({ cpuShare, cpuShareMost }) => `${inPercent(cpuShare)} (most ${inPercent(cpuShareMost)})`)
        .join(', ')} of a core`,
    ],
  ];
}

/** The lines that the document has, with what it says there. */
export function comparison(report: LoadReport): [metric: string, here: string, document: string][] {
  const { roundTripMs, answerMs, calls } = report;
  return [
    ['Average WebSocket latency', inMs(roundTripMs?.average), claims.averageRoundTrip],
    ['P95 WebSocket latency', inMs(roundTripMs?.p95), claims.p95RoundTrip],
    ['Average AI response time', inMs(answerMs?.average), claims.averageAnswer],
    ['P95 AI response time', inMs(answerMs?.p95), claims.p95Answer],
    ['Error rate', inPercent(calls.errorRate), claims.errorRate],
  ];
}

/** What the figures are worth. */
export function verdict({ client, end, calls }: LoadReport): string[] {
  const lines: string[] = [];
  if (end === 'interrupted') lines.push('Interrupted: the figures are of what there was.');
  if (end === 'gave-up') lines.push('Given up: no call stood for 30 s.');
  if (client.bottleneck.length > 0) {
    lines.push(
      `This client was the bottleneck: ${client.bottleneck.join('; ')}. Late answers, round trips and drops may be its own: they say ` +
        'nothing of the service. Call from a machine of its own, or with fewer calls.',
    );
  } else if (calls.accepted > 0) {
    lines.push('This client kept pace: it was not the bottleneck.');
  }
  return lines;
}

/** The whole of it for a terminal. */
export function reportText(report: LoadReport): string {
  const rows = figures(report);
  const lines = rows.map(([name, value]) => `${name.padEnd(28)} ${value}`);
  const table: [string, string, string][] = [
    ['', `${report.calls.mostOpen} calls here`, 'document 001, 10,000 calls'],
    ...comparison(report),
  ];
  const cells = table.map(
    ([metric, here, document]) => `${metric.padEnd(26)} ${here.padStart(16)} ${document.padStart(28)}`,
  );
  return [...lines, '', ...cells, '', ...verdict(report)].join('\n');
}
