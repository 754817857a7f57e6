import { type LatencyMoment, latencyMoments } from '../../src/dialects/native-messages.ts';
import type { CallerEvent, CallReport, Reply } from './types.ts';

/** A call's events as lines for a person, as they happen. */
export function conversationPrinter(print: (line: string) => void): (event: CallerEvent) => void {
  return (event) => {
    const line = describe(event);
    if (line !== null) print(`  ${clockTime(event.atMs)}  ${line}`);
    const moments = event.type === 'reply' && event.utterance !== null ? describeMoments(event.reply) : null;
    if (moments !== null) print(`                    ${moments}`);
  };
}

function describe(event: CallerEvent): string | null {
  switch (event.type) {
    case 'ready':
      return `call     ${event.callId}`;
    case 'sentence':
      return event.text === '' ? null : `agent    ${oneLine(event.text)}`;
    case 'said':
      return event.utterance.label === '' ? null : `caller   ${oneLine(event.utterance.label)}`;
    case 'reply':
      return event.utterance === null ? null : `         ${describeLatency(event.reply)}`;
    case 'dropped':
      return `line     lost (${`${event.code} ${oneLine(event.reason)}`.trimEnd()})`;
    case 'resumed':
      return `line     back after ${Math.round(event.afterMs)} ms, attempt ${event.attempts}`;
    case 'callee':
      return `callee   ${[event.state, event.cause ?? ''].join(' ').trimEnd()}`;
    case 'closed':
      return `closed   ${event.code} ${oneLine(event.reason)}`.trimEnd();
    case 'message': {
      const { message } = event;
      if (message.type === 'error') return `error    ${message.code}: ${oneLine(message.message)}`;
      if (message.type === 'clear') return 'agent    (stops)';
      if (message.type === 'transcript' && message.role === 'caller' && message.final) {
        return `         understood: ${oneLine(message.text)}`;
      }
      if (message.type === 'dtmf') return `keys     ${oneLine(message.digits)}`;
      if (message.type === 'cancel_transfer') return 'transfer given up';
      return message.type === 'transfer' ? `transfer ${oneLine(message.to)}` : null;
    }
  }
}

/** `answered after 812 ms (service: endpoint wait 510 + processing 12 + providers 270 = 792 ms)` */
export function describeLatency(reply: Reply): string {
  const own = reply.latencyMs === null ? 'answered' : `answered after ${Math.round(reply.latencyMs)} ms`;
  if (reply.service === null) return own;
  const { endpointWaitMs, processingMs, providerMs, totalMs } = reply.service;
  const [wait, processing, provider, total] = [endpointWaitMs, processingMs, providerMs, totalMs].map(
    Math.round,
  );
  return `${own} (service: endpoint wait ${wait} + processing ${processing} + providers ${provider} = ${total} ms)`;
}

const momentNames: Record<LatencyMoment, string> = {
  decided: 'turn over',
  transcript: 'transcript',
  firstToken: 'first token',
  firstSentence: 'first sentence',
  firstAudio: 'first audio',
  firstSent: 'sent',
};

/** `turn over 500 · transcript 502 · first token 610 · … ms after the last word`; null where the service told nothing. */
export function describeMoments(reply: Reply): string | null {
  const moments = reply.service?.moments ?? {};
  const told = latencyMoments.flatMap((name) => {
    const at = moments[name];
    return at === undefined ? [] : [`${momentNames[name]} ${Math.round(at)}`];
  });
  return told.length === 0 ? null : `${told.join(' · ')} ms after the last word`;
}

/** The whole call in a few lines. */
export function summarise(report: CallReport): string[] {
  const { frames, playout, utterances } = report;
  const answered = utterances.filter((utterance) => utterance.reply !== null);
  const latencies = answered.flatMap((utterance) => utterance.reply?.latencyMs ?? []).sort((a, b) => a - b);
  const median = latencies[Math.floor((latencies.length - 1) / 2)];
  const worst = latencies.at(-1);
  const lines = [
    `${(report.durationMs / 1000).toFixed(1)} s, ${answered.length} of ${utterances.length} utterances answered` +
      (median === undefined
        ? ''
        : `, latency median ${Math.round(median)} ms, worst ${Math.round(worst ?? 0)} ms`),
  ];
  if (frames.slippedMs > 0)
    lines.push(`This machine was too busy: ${Math.round(frames.slippedMs)} ms of frames were skipped.`);
  for (const { atMs, lastedMs } of report.drops) {
    const lasted =
      lastedMs === null ? 'and did not come back' : `and was back after ${Math.round(lastedMs)} ms`;
    lines.push(`The line was lost at ${(atMs / 1000).toFixed(1)} s ${lasted}.`);
  }
  if (playout.underruns > 0) {
    lines.push(
      `The agent's audio ran dry ${playout.underruns} times, ${Math.round(playout.underrunMs)} ms in all.`,
    );
  }
  return lines;
}

/** The report without audio, for `--json`. */
export function reportJson(report: CallReport): Record<string, unknown> {
  const { heard, sent, ...rest } = report;
  return {
    ...rest,
    heardMs: (heard.length / report.sampleRate) * 1000,
    sentMs: (sent.length / report.sampleRate) * 1000,
  };
}

function clockTime(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  return `${String(minutes).padStart(2, '0')}:${((ms % 60_000) / 1000).toFixed(1).padStart(4, '0')}`;
}

/** Of text from outside, nothing that moves a terminal's cursor. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim();
}
