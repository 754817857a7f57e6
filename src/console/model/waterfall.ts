import type { LatencyMoment, TurnLatency } from '../../dialects/native-messages.ts';

export type PartName = 'endpointWait' | 'processing' | 'provider';

/** The three parts of a turn's latency; they add up to its total. */
export interface LatencyPart {
  name: PartName;
  label: string;
  ms: number;
  /** Of the total, 0 to 1. */
  share: number;
}

/** What was waited for between two moments. */
export interface Step {
  moment: LatencyMoment;
  label: string;
  /** The part of the latency that such a wait belongs to. */
  part: PartName;
  /** Milliseconds from the caller's last voiced sample. */
  fromMs: number;
  untilMs: number;
}

const partLabels: Record<PartName, string> = {
  endpointWait: 'Endpoint wait',
  processing: 'Processing',
  provider: 'Providers',
};

/** What ends with each moment, and to which part the wait for it belongs. */
const waits: Record<LatencyMoment, { label: string; part: PartName }> = {
  decided: { label: 'Turn judged over', part: 'endpointWait' },
  transcript: { label: 'Transcript', part: 'provider' },
  firstToken: { label: 'First token', part: 'provider' },
  firstSentence: { label: 'First sentence', part: 'provider' },
  firstAudio: { label: 'First audio', part: 'provider' },
  firstSent: { label: 'Sent to you', part: 'processing' },
};

const moments = Object.keys(waits) as LatencyMoment[];

/** The three parts, in the order of the contract. */
export function partsOf({ endpointWaitMs, processingMs, providerMs, totalMs }: TurnLatency): LatencyPart[] {
  const of = (name: PartName, ms: number): LatencyPart => ({
    name,
    label: partLabels[name],
    ms,
    share: totalMs > 0 ? ms / totalMs : 0,
  });
  return [of('endpointWait', endpointWaitMs), of('processing', processingMs), of('provider', providerMs)];
}

/**
 * The moments as a waterfall: each step begins where the one before it ended. An answer that was begun early has
 * moments before the turn was decided to be over, so the order is that of time.
 */
export function stepsOf(latency: Pick<TurnLatency, 'moments'>): Step[] {
  const known = moments.flatMap((moment) => {
    const untilMs = latency.moments[moment];
    return untilMs === undefined ? [] : [{ moment, untilMs }];
  });
  known.sort((a, b) => a.untilMs - b.untilMs);
  return known.map(({ moment, untilMs }, i) => ({
    moment,
    ...waits[moment],
    fromMs: known[i - 1]?.untilMs ?? 0,
    untilMs,
  }));
}

/** The middle value; null of none. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
