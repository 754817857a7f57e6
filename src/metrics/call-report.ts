import type { CallCounts } from '../call/call-counts.ts';
import type { JournaledCall } from '../call/journal.ts';
import type { TurnLatency } from '../dialects/native-messages.ts';
import { durationBounds, latencyBoundsMs, observe } from './histogram.ts';
import { addOne, type Sums } from './sums.ts';

/** How often a call in progress reports: its turns so far, and that it lives. */
export const REPORT_MS = 60_000;
/** A call that has not reported for so long is not active any more: two reports may be lost. */
export const REPORT_LEASE_MS = 150_000;

/**
 * How a call stands. Cumulative: each report has everything that those before it had, so that only the last one has to arrive, and a
 * repeat changes nothing. Made from the call's journal (`reportOf`), delivered by its outbox at the start, every minute and at the end.
 */
export interface CallReport {
  /** Names the call for as long as repeats are recognized; nobody can find the call's id by it. */
  call: string;
  /** Milliseconds since the epoch, as all times here. */
  startedAt: number;
  /** When the report was made. */
  at: number;
  /** Until then the call is active, if nothing more is heard of it. */
  aliveUntil: number;
  /** Null while the call lasts. */
  end: { at: number; reason: string; failed: boolean } | null;
  /** By family, see {@link families}. */
  sums: Sums;
}

/** Parts of a turn's latency: the ledger's three, which add up to the total, and the steps that its moments lie between. */
export const latencyParts = [
  'total',
  'endpoint_wait',
  'processing',
  'provider',
  /** The turn was over → its last transcript. */
  'transcription',
  /** Transcript → first whole sentence of the answer. */
  'model',
  /** First sentence → its first audio. */
  'speech',
] as const;
export type LatencyPart = (typeof latencyParts)[number];

/** Families of {@link Sums}. */
export const families = {
  /** `started`, `ended`, `failed`, `durationMs`. Counted by the shard. */
  calls: 'calls',
  /** Of ended calls, by reason; and of those that failed. Counted by the shard. */
  ends: 'ends',
  failedEnds: 'failedEnds',
  /** Histogram, in milliseconds. Counted by the shard. */
  duration: 'duration',
  /** `caller`, `agent`. */
  turns: 'turns',
  /** Histograms, in milliseconds. */
  latency: (part: LatencyPart) => `latency ${part}` as const,
  /** Of `CallCounts`, by its names. */
  counts: 'counts',
  /** Answers that a provider has charged for, by provider. */
  answers: 'answers',
  /** By provider and kind: see {@link failureLabel}. */
  failures: 'failures',
  /** Millionths of a US dollar, by provider; of those whose price is known. */
  costMicroUsd: 'costMicroUsd',
  /** Counted by isolates: see `refusals.ts`. */
  refusals: 'refusals',
} as const;

/** No provider: the service's own failures. */
export const SERVICE = 'service';

/** Two labels in one; no kind has a space in it. */
export function failureLabel(provider: string | null, code: string): string {
  return `${provider ?? SERVICE} ${code.replace(/^PROVIDER_/, '').toLowerCase()}`;
}

/** The two labels of one: what stands before the last space, and after it. */
export function twoLabels(label: string): [string, string] {
  const at = label.lastIndexOf(' ');
  return at < 0 ? [label, label] : [label.slice(0, at), label.slice(at + 1)];
}

/** What a call has counted so far, of what shards add up. */
export interface ReportedCall extends Pick<JournaledCall, 'turns' | 'failures' | 'answers'> {
  counts: CallCounts | null;
  /** By provider; a provider without a price has none. */
  costMicroUsd?: Readonly<Record<string, number>>;
}

export function sumsOf({ turns, failures, answers, counts, costMicroUsd = {} }: ReportedCall): Sums {
  const sums: Sums = {};
  for (const { role, latency } of turns) {
    addOne(sums, families.turns, role, 1);
    if (latency !== null) observeLatency(sums, latency);
  }
  for (const { provider, code } of failures) addOne(sums, families.failures, failureLabel(provider, code), 1);
  for (const [provider, count] of Object.entries(answers)) addOne(sums, families.answers, provider, count);
  for (const [name, count] of Object.entries(counts ?? {})) addOne(sums, families.counts, name, count);
  for (const [provider, cost] of Object.entries(costMicroUsd))
    addOne(sums, families.costMicroUsd, provider, cost);
  return sums;
}

function observeLatency(sums: Sums, latency: TurnLatency): void {
  const { totalMs, endpointWaitMs, processingMs, providerMs, moments = {} } = latency;
  const { decided, transcript, firstSentence, firstAudio } = moments;
  const parts: Record<LatencyPart, number | null> = {
    total: totalMs,
    endpoint_wait: endpointWaitMs,
    processing: processingMs,
    provider: providerMs,
    transcription: step(decided, transcript),
    model: step(transcript, firstSentence),
    speech: step(firstSentence, firstAudio),
  };
  for (const part of latencyParts) {
    const ms = parts[part];
    if (ms !== null) observe(sums, families.latency(part), latencyBoundsMs, ms);
  }
}

/** Null where one of them did not come: ready audio was not synthesized. */
function step(from: number | undefined, to: number | undefined): number | null {
  return from === undefined || to === undefined ? null : Math.max(0, to - from);
}

export function observeDuration(sums: Sums, ms: number): void {
  observe(
    sums,
    families.duration,
    durationBounds.map((seconds) => seconds * 1_000),
    ms,
  );
}
