import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { loadConfig } from '../../src/config.ts';
import { CallTrace, type CallTraceOptions } from '../../src/tracing/call-trace.ts';
import { createCall } from './call-harness.ts';
import type { FakeClock } from './fake-clock.ts';
import { seeded } from './random.ts';

/** Ids of the kind that production has, from a seed. */
export function seededIds(seed: number) {
  const { fraction, whole } = seeded(seed);
  const digits = (count: number) => Array.from({ length: count }, () => whole(16).toString(16)).join('');
  return { fraction, id: () => `${digits(8)}-${digits(4)}-4${digits(3)}-a${digits(3)}-${digits(12)}` };
}

/** A trace whose spans are taken at once, on a fake clock. */
export function createTrace(clock: FakeClock, more: Partial<CallTraceOptions> & { env?: object } = {}) {
  const { env = {}, ...options } = more;
  const spans: ReadableSpan[] = [];
  const background: Promise<void>[] = [];
  const troubles: { traceId: string; lost: number; why?: string }[] = [];
  const trace = new CallTrace(
    {
      settings: loadConfig(env),
      send: async (batch) => {
        spans.push(...batch);
        return { outcome: 'taken', rejected: 0 };
      },
      clock,
      random: seededIds(1),
      version: '1.2.3',
      background: (work) => background.push(work),
      onTrouble: (trouble) => troubles.push(trouble),
      ...options,
    },
    null,
  );
  return { trace, spans, background, troubles };
}

/** A call on a fake clock, as {@link createCall}, with a trace that listens to it. */
export function createTracedCall(options: NonNullable<Parameters<typeof createCall>[0]> = {}) {
  let traced: ReturnType<typeof createTrace> | null = null;
  const call = createCall({ ...options, listen: (event, at) => traced?.trace.hear(event, at) });
  traced = createTrace(call.clock);
  return { call, ...traced };
}

/** Spans as lines: `name from–until` in milliseconds since the call's start, indented below their parents, in the order of time. */
export function treeOf(spans: readonly ReadableSpan[]): string[] {
  const root = spans.find(({ name }) => name === 'call');
  if (root === undefined) return [];
  const start = millisecondsOf(root.startTime);
  const lines: string[] = [];
  const add = (span: ReadableSpan, indent: string) => {
    const from = millisecondsOf(span.startTime) - start;
    lines.push(`${indent}${span.name} ${from}–${millisecondsOf(span.endTime) - start}`);
    for (const child of childrenOf(spans, span)) add(child, `${indent}  `);
  };
  add(root, '');
  return lines;
}

export function childrenOf(spans: readonly ReadableSpan[], parent: ReadableSpan): ReadableSpan[] {
  return spans
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent.spanContext().spanId)
    .sort((a, b) => millisecondsOf(a.startTime) - millisecondsOf(b.startTime));
}

function millisecondsOf([seconds, nanoseconds]: [number, number]): number {
  return seconds * 1000 + nanoseconds / 1e6;
}
