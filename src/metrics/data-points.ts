import type { JournaledCall } from '../call/journal.ts';
import { maskText } from '../privacy/mask.ts';
import { failureLabel, twoLabels } from './call-report.ts';

/**
 * What Analytics Engine takes (https://developers.cloudflare.com/analytics/analytics-engine/limits/): twenty blobs of 16 KB together, twenty
 * doubles and one index of 96 bytes a point, and 25 points an invocation.
 */
export const dataPointLimits = {
  blobs: 20,
  blobBytes: 16_384,
  doubles: 20,
  indexBytes: 96,
  points: 25,
} as const;

/** Points of one delivery: the same invocation may have made another one. */
export const MOST_POINTS = 12;

/** One data point; docs/metrics.md has what stands where. */
export interface DataPoint {
  indexes: [string];
  blobs: string[];
  doubles: number[];
}

/** How far the points of a call have been written. */
export interface Written {
  start: boolean;
  turns: number;
  failures: number;
  end: boolean;
}

export const nothingWritten: Written = { start: false, turns: 0, failures: 0, end: false };

export interface AnalysedCall extends Pick<JournaledCall, 'call' | 'turns' | 'failures' | 'end' | 'counts'> {
  /** Stands for the user; nobody can find them by it who has not the key. Empty: for nobody. */
  user: string;
  /** Of the whole call so far, in millionths of a US dollar; null where no price is known. */
  costMicroUsd: number | null;
}

/**
 * The next points of a call, and how far they are written then; `more`: there are others. A turn that may still change waits: the last one,
 * until the call has ended.
 *
 * The index is what Analytics Engine samples by, equally for each: calls and turns by campaign, errors by code, so that a rare one is not drowned,
 * users by user.
 */
export function nextPoints(
  call: AnalysedCall,
  written: Written,
): { points: DataPoint[]; written: Written; more: boolean } {
  const { turns, failures, end } = call;
  const points: DataPoint[] = [];
  const now = { ...written };
  const settled = end === null ? turns.length - 1 : turns.length;
  const room = () => points.length < MOST_POINTS;
  if (!now.start) {
    points.push(startOf(call));
    now.start = true;
  }
  for (; now.turns < settled && room(); now.turns++) points.push(turnOf(call, now.turns));
  for (; now.failures < failures.length && room(); now.failures++) {
    points.push(errorOf(call, now.failures));
  }
  let more = now.turns < settled || now.failures < failures.length;
  if (end !== null && !now.end) {
    more ||= points.length > MOST_POINTS - 2;
    if (!more) {
      points.push(endOf(call, end), userOf(call, end));
      now.end = true;
    }
  }
  return { points, written: now, more };
}

type Kind = 'start' | 'turn' | 'error' | 'call' | 'user';

function point(
  { call, user }: AnalysedCall,
  kind: Kind,
  index: string,
  blobs: string[],
  doubles: number[],
): DataPoint {
  const campaign = maskText(call.campaignId ?? '');
  return { indexes: [cut(`${kind}:${index}`)], blobs: [kind, user, campaign, ...blobs], doubles };
}

function startOf(call: AnalysedCall): DataPoint {
  return point(call, 'start', campaignOf(call), [], []);
}

function turnOf(call: AnalysedCall, place: number): DataPoint {
  const { role, startMs, endMs, interrupted, latency } = call.turns[place]!;
  const { totalMs = 0, endpointWaitMs = 0, processingMs = 0, providerMs = 0 } = latency ?? {};
  const parts = [totalMs, endpointWaitMs, processingMs, providerMs];
  return point(
    call,
    'turn',
    campaignOf(call),
    [role, latency === null ? '' : 'answered'],
    [endMs - startMs, interrupted ? 1 : 0, ...parts],
  );
}

function errorOf(call: AnalysedCall, place: number): DataPoint {
  const { code, provider } = call.failures[place]!;
  const [source, kind] = twoLabels(failureLabel(provider, code));
  return point(call, 'error', kind, [kind, source], []);
}

function endOf(call: AnalysedCall, end: NonNullable<JournaledCall['end']>): DataPoint {
  const { turns, failures, counts } = call;
  const answered = turns.flatMap(({ latency }) => latency?.totalMs ?? []);
  const latencySum = answered.reduce((sum, ms) => sum + ms, 0);
  return point(
    call,
    'call',
    campaignOf(call),
    [end.status, end.reason],
    [
      secondsOf(call, end),
      turns.length,
      answered.length,
      latencySum,
      failures.length,
      counts?.interruptions ?? 0,
      counts?.drops ?? 0,
      ...(call.costMicroUsd === null ? [] : [call.costMicroUsd]),
    ],
  );
}

function userOf(call: AnalysedCall, end: NonNullable<JournaledCall['end']>): DataPoint {
  const failed = end.status === 'failed' ? 1 : 0;
  const cost = call.costMicroUsd === null ? [] : [call.costMicroUsd];
  return point(call, 'user', call.user, [end.status], [secondsOf(call, end), failed, ...cost]);
}

function secondsOf({ call }: AnalysedCall, end: NonNullable<JournaledCall['end']>): number {
  return Math.max(0, end.endTime - call.startTime) / 1_000;
}

function campaignOf({ call }: AnalysedCall): string {
  return maskText(call.campaignId ?? '');
}

/** To the bytes that an index may have, whole characters. */
function cut(index: string): string {
  const bytes = new TextEncoder().encode(index).subarray(0, dataPointLimits.indexBytes);
  return new TextDecoder().decode(bytes).replace(/\uFFFD+$/, '');
}

/** What the pseudonyms are made for: nothing else that is made with the same secret is equal to one. */
const PSEUDONYM_LABEL = 'ai-call-handler analytics user v1\n';

/** What stands for a user in the data points: HMAC-SHA256 under a secret, in hexadecimal, 128 bits of it. */
export async function userPseudonym(secret: string, userId: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), algorithm, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, encoder.encode(PSEUDONYM_LABEL + userId));
  const hex = Array.from(new Uint8Array(mac), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.slice(0, 32);
}
