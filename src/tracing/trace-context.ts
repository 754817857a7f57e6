import { isSpanContextValid, type SpanContext, TraceFlags } from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';
import type { Random } from '../call/clock.ts';
import type { Principal } from '../call/principal.ts';

/** What is kept of a call's trace, so that an object that takes the call up goes on with it. */
export interface CallTraceFacts {
  /** 32 hexadecimal digits. The field `trace` of the log, and `metadata.traceId` of the call's row. */
  traceId: string;
  /** Of the call's own span, 16 digits. */
  spanId: string;
  sampled: boolean;
  /** The span of whoever asked for the call. */
  parentSpanId?: string;
}

/** W3C Trace Context: https://www.w3.org/TR/trace-context/#traceparent-header */
export const TRACEPARENT = 'traceparent';

/**
 * A random UUID, one by time with random digits behind it, or one of a hash, as calls that are placed have (RFC 9562 versions 4, 7 and 8);
 * Kamailio adds how often it has tried.
 */
const RANDOM_UUID =
  /^([0-9a-f]{8})-([0-9a-f]{4})-([478][0-9a-f]{3})-([89ab][0-9a-f]{3})-([0-9a-f]{12})(?:-\d{1,3})?$/i;

/**
 * The trace of the call of this id. A UUID is one already, without its dashes: whoever has the id at the proxy or on a node has the
 * trace. Any other id may be somebody's number, of which no derivation may get out; its trace is random, and stands in the log and the row.
 */
export function traceIdOf(callId: string, random: Random): string {
  const uuid = RANDOM_UUID.exec(callId);
  return (uuid === null ? random.id().replaceAll('-', '') : uuid.slice(1).join('')).toLowerCase();
}

export function newSpanId(random: Random): string {
  // Of a version 4 UUID the half that has no version in it.
  return random.id().replaceAll('-', '').slice(16);
}

/**
 * The span that a request for a call is a part of. Nodes and the operator's programs are believed; a person could put their call into
 * somebody else's trace, and theirs begins one of its own (https://www.w3.org/TR/trace-context/#security-considerations).
 */
export function carriedTraceparent(request: Request, { kind }: Principal): string | undefined {
  const traceparent = request.headers.get(TRACEPARENT);
  const believed = kind === 'node' || kind === 'service' || kind === 'anonymous';
  return believed && readTraceparent(traceparent) !== null ? traceparent! : undefined;
}

/** Null: there is none, or none that can be read. */
export function readTraceparent(traceparent: string | null | undefined): SpanContext | null {
  // Version 00 has 55 characters; a later one may have more, which are not read.
  if (!traceparent || traceparent.length > 128) return null;
  const read = parseTraceParent(traceparent);
  return read !== null && isSpanContextValid(read) ? { ...read, isRemote: true } : null;
}

export function traceparentOf(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-0${sampled ? TraceFlags.SAMPLED : TraceFlags.NONE}`;
}
