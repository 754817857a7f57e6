import type { CallCost, PricedUsage } from '../cost/call-cost.ts';
import type { MicroUsd } from '../cost/price.ts';
import type {
  EndedCall,
  RecordedFailure,
  RecordedTransfer,
  RecordedTurn,
  StartedCall,
} from './call-records.ts';

/**
 * What is cut from a record before it is sent, so that hostile input can neither swell the database nor make a
 * record unwritable: an over-long field, a character Postgres does not store, or JSON nested beyond what its
 * parser takes would be refused at every repeat, and the call's log be lost with it. The same numbers stand as
 * CHECK constraints in `supabase/migrations`. Lengths are UTF-16 code units, never fewer than Postgres'
 * characters.
 */
export const recordLimits = {
  userIdCharacters: 128,
  campaignIdCharacters: 128,
  phoneNumberCharacters: 64,
  endReasonCharacters: 128,
  recordingCharacters: 512,
  /** Of one turn: some nine minutes of speech without a pause. */
  turnCharacters: 8_000,
  /** Of all turns of a call together, some eighteen hours of talk; hosted Supabase takes bodies of several megabytes. */
  transcriptCharacters: 1_000_000,
  turns: 5_000,
  failures: 500,
  failureCodeCharacters: 64,
  failureMessageCharacters: 2_000,
  providerCharacters: 128,
  usageEntries: 200,
  /** Of a call's usage by turn: five hours of turns with three providers each. */
  turnUsageEntries: 5_000,
  transfers: 20,
  transferToCharacters: 512,
  /** `metadata` as JSON; the native dialect takes a quarter of it. */
  metadataCharacters: 64 * 1024,
  /** Levels of nesting in `metadata`; what lies deeper is left out. */
  metadataDepth: 32,
  /** Postgres' `integer`, in milliseconds 24 days. */
  milliseconds: 2_147_483_647,
} as const;

/** The argument of the SQL function `call_started`. Times are ISO 8601 in UTC. */
export interface StartedPayload {
  callId: string;
  userId: string;
  campaignId: string | null;
  phoneNumber: string | null;
  startTime: string;
  metadata: Record<string, unknown>;
}

/** The argument of the SQL function `call_ended`. */
export interface EndedPayload extends StartedPayload {
  status: EndedCall['status'];
  endReason: string;
  endTime: string;
  recording: string | null;
  turns: RecordedTurn[];
  failures: (Omit<RecordedFailure, 'at'> & { at: string })[];
  usage: EndedCall['usage'];
  counts: EndedCall['counts'];
}

/** One entry of `call_logs.transfers`. */
export interface TransferPayload extends Omit<RecordedTransfer, 'at' | 'ringingAt' | 'endedAt'> {
  at: string;
  ringingAt: string | null;
  endedAt: string;
}

/** @throws RangeError where `startTime` is no time. */
export function startedPayload(call: StartedCall): StartedPayload {
  return {
    callId: call.callId,
    userId: cut(call.userId, recordLimits.userIdCharacters),
    campaignId: cutOrNull(call.campaignId, recordLimits.campaignIdCharacters),
    phoneNumber: cutOrNull(call.phoneNumber, recordLimits.phoneNumberCharacters),
    startTime: isoTime(call.startTime),
    metadata: boundMetadata(call.metadata),
  };
}

/**
 * What had to be left out is counted in one more failure, `RECORD_TRUNCATED`.
 * @throws RangeError where a time is none.
 */
export function endedPayload(call: EndedCall): EndedPayload {
  const turns = boundTurns(call.turns);
  const failures = call.failures.slice(0, recordLimits.failures - 1).map((failure) => ({
    position: failure.position,
    at: isoTime(failure.at),
    code: cut(failure.code, recordLimits.failureCodeCharacters) || 'UNKNOWN',
    provider: cutOrNull(failure.provider, recordLimits.providerCharacters),
    message: cut(failure.message, recordLimits.failureMessageCharacters),
  }));
  const usage = call.usage
    .slice(0, recordLimits.usageEntries)
    .map((entry) => ({ ...entry, provider: cut(entry.provider, recordLimits.providerCharacters) }));
  const leftOut = [
    [call.turns.length - turns.length, 'turns'],
    [call.failures.length - failures.length, 'failures'],
    [call.usage.length - usage.length, 'usage entries'],
  ].filter(([count]) => count !== 0);
  if (leftOut.length > 0) {
    failures.push({
      position: failures.reduce((last, failure) => Math.max(last, failure.position), -1) + 1,
      at: isoTime(call.endTime),
      code: 'RECORD_TRUNCATED',
      provider: null,
      message: `left out: ${leftOut.map(([count, what]) => `${count} ${what}`).join(', ')}`,
    });
  }
  return {
    ...startedPayload(call),
    status: call.status,
    endReason: cut(call.endReason, recordLimits.endReasonCharacters) || 'unknown',
    endTime: isoTime(call.endTime),
    recording: cutOrNull(call.recording, recordLimits.recordingCharacters),
    turns,
    failures,
    usage,
    counts: call.counts,
  };
}

/** The argument of the SQL function `call_costed`; amounts in US dollars. */
export interface CostPayload {
  cost: number | null;
  unpriced: string[];
  providers: { provider: string; cost: number | null }[];
  turns: (Omit<PricedUsage, 'costMicroUsd'> & { cost: number | null })[];
}

/** What is beyond the bounds is left out of the lists, never of the sum. */
export function costPayload({ costMicroUsd, unpriced, providers, turns }: CallCost): CostPayload {
  const { usageEntries, turnUsageEntries } = recordLimits;
  const name = (provider: string) => cut(provider, recordLimits.providerCharacters);
  return {
    cost: dollars(costMicroUsd),
    unpriced: unpriced.slice(0, usageEntries).map(name),
    providers: providers.slice(0, usageEntries).map((part) => ({
      provider: name(part.provider),
      cost: dollars(part.costMicroUsd),
    })),
    turns: turns.slice(0, turnUsageEntries).map(({ costMicroUsd: cost, ...usage }) => ({
      ...usage,
      provider: name(usage.provider),
      cost: dollars(cost),
    })),
  };
}

/** The nearest number to a decimal of six places is written as that decimal. */
function dollars(microUsd: MicroUsd): number | null {
  return microUsd === null ? null : microUsd / 1_000_000;
}

/** @throws RangeError where a time is none. */
export function transfersPayload(transfers: readonly RecordedTransfer[]): TransferPayload[] {
  return transfers.slice(0, recordLimits.transfers).map((transfer) => ({
    ...transfer,
    to: cut(transfer.to, recordLimits.transferToCharacters),
    cause: cutOrNull(transfer.cause, recordLimits.failureCodeCharacters),
    at: isoTime(transfer.at),
    ringingAt: transfer.ringingAt === null ? null : isoTime(transfer.ringingAt),
    endedAt: isoTime(transfer.endedAt),
  }));
}

/**
 * The turns as the SQL functions take them: whole milliseconds, one turn a position (the last of equal ones, since
 * one statement cannot write a row twice), the first ones where there are too many.
 */
export function boundTurns(turns: readonly RecordedTurn[]): RecordedTurn[] {
  const bounded: RecordedTurn[] = [];
  let characters = 0;
  for (const turn of new Map(turns.map((turn) => [turn.position, turn])).values()) {
    const text = cut(turn.text, recordLimits.turnCharacters);
    characters += text.length;
    if (bounded.length === recordLimits.turns || characters > recordLimits.transcriptCharacters) break;
    const startMs = milliseconds(turn.startMs);
    bounded.push({
      position: turn.position,
      role: turn.role,
      text,
      startMs,
      endMs: Math.max(startMs, milliseconds(turn.endMs)),
      interrupted: turn.interrupted,
      latency: turn.latency,
    });
  }
  return bounded;
}

/** Metadata that Postgres stores as `jsonb`; `{ truncated: true }` where it is too large as a whole. */
export function boundMetadata(metadata: Record<string, unknown>): Record<string, unknown> {
  const storable = storableObject(metadata, 0);
  return JSON.stringify(storable).length <= recordLimits.metadataCharacters ? storable : { truncated: true };
}

function storableObject(value: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, item]) => [storableText(key), storable(item, depth + 1)]);
  return Object.fromEntries(entries);
}

function storable(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return storableText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= recordLimits.metadataDepth) return null;
  return Array.isArray(value) ? value.map((item) => storable(item, depth + 1)) : storableObject(value, depth);
}

/** Postgres stores neither U+0000 nor half a surrogate pair: both become U+FFFD. */
function storableText(text: string): string {
  return text.replaceAll('\u0000', '\uFFFD').toWellFormed();
}

/** At most `length` UTF-16 code units; half a pair at the cut becomes U+FFFD. */
function cut(text: string, length: number): string {
  return storableText(text.slice(0, length));
}

/** Null for null and for the empty string, which names nothing. */
function cutOrNull(text: string | null, length: number): string | null {
  return text === null || text === '' ? null : cut(text, length);
}

function milliseconds(value: number): number {
  return Math.min(recordLimits.milliseconds, Math.max(0, Math.round(value)));
}

function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
