import { ROOT_CONTEXT, type SpanContext, SpanKind, trace } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';
import type { Clock, Random } from '../call/clock.ts';
import type { CallEvent, StartedCallFacts } from '../call/events.ts';
import { maskId } from '../privacy/mask.ts';
import type { ToolRun } from '../tools/tool.ts';
import { CallSpans } from './call-spans.ts';
import type { SendSpans } from './otlp-request.ts';
import type { TracingSettings } from './settings.ts';
import { SpanExport } from './span-export.ts';
import { SpanMaker } from './span-maker.ts';
import { type CallTraceFacts, newSpanId, traceIdOf, traceparentOf } from './trace-context.ts';

/** Tools' requests under way; a call has one or two. */
const MOST_REQUESTS = 64;

export interface CallTraceOptions {
  settings: TracingSettings;
  /** Null: nobody wants the spans. The call has its trace id all the same. */
  send: SendSpans | null;
  clock: Clock;
  random: Random;
  /** Of the service. */
  version: string;
  background(work: Promise<void>): void;
  onTrouble(trouble: { traceId: string; lost: number; why?: string }): void;
}

/** What a trace is told of the call that begins. */
type Started = Pick<
  StartedCallFacts,
  'callId' | 'campaignId' | 'startTime' | 'startedBy' | 'sampleRate' | 'recording'
>;

/** The trace of one call: its id from the start on, and its spans, where somebody wants them. Listens to the call; nothing waits for it. */
export class CallTrace {
  readonly #options: CallTraceOptions;
  readonly #carried: SpanContext | null;
  #facts: CallTraceFacts | null = null;
  #maker: SpanMaker | null = null;
  #spans: CallSpans | null = null;
  /** By idempotency key: ids that the spans of tools' runs will have. */
  readonly #requests = new Map<string, string>();

  /** @param carried the span of whoever asked for the call. */
  constructor(options: CallTraceOptions, carried: SpanContext | null) {
    this.#options = options;
    this.#carried = carried;
  }

  /** Null before the call has begun. */
  get facts(): CallTraceFacts | null {
    return this.#facts;
  }

  #begin(call: Started): void {
    const { random } = this.#options;
    const carried = this.#carried;
    const traceId = carried?.traceId ?? traceIdOf(call.callId, random);
    const facts: CallTraceFacts = {
      traceId,
      spanId: newSpanId(random),
      sampled: this.#samples(traceId),
      ...(carried === null ? {} : { parentSpanId: carried.spanId }),
    };
    this.goOn(call, facts);
  }

  /** The call was begun by an object that has lost it. */
  goOn(call: Started, facts: CallTraceFacts): void {
    this.#facts = facts;
    const { settings, send, clock, random, version, background, onTrouble } = this.#options;
    if (!facts.sampled || send === null) return;
    const spanExport = new SpanExport({
      send,
      clock,
      random,
      delayMs: settings.OTEL_BSP_SCHEDULE_DELAY,
      background,
      onTrouble: (trouble) => onTrouble({ traceId: facts.traceId, ...trouble }),
    });
    const { callId, campaignId, startTime, startedBy, sampleRate, recording } = call;
    this.#maker = new SpanMaker({ settings, version, facts, at: startTime, random, export: spanExport });
    this.#maker.root.setAttributes({
      'call.id': maskId(callId),
      ...(campaignId === null ? {} : { 'call.campaign.id': maskId(campaignId) }),
      // The kind alone: the rest is an id.
      ...(startedBy === undefined ? {} : { 'call.started_by': startedBy.split(':', 1)[0] }),
      'call.sample_rate': sampleRate,
      'call.recorded': recording,
    });
    this.#spans = new CallSpans(this.#maker, startTime, (run) => this.#takeSpanId(run));
  }

  hear(event: CallEvent, at: number): void {
    if (event.type === 'call.started') this.#begin(event.call);
    this.#spans?.hear(event, at);
    if (event.type === 'call.closed') this.#close();
  }

  /** The object has lost the call, and nobody came back to it. */
  closeLost(end: { reason: string; status: string; endTime: number }): void {
    this.#spans?.close(end, end.endTime);
    this.#close();
  }

  /** For the request of a tool's run to its server: what comes of it there is a part of this trace. */
  traceparentFor(idempotencyKey: string): string | null {
    if (this.#facts === null) return null;
    const { traceId, sampled } = this.#facts;
    let spanId = this.#requests.get(idempotencyKey);
    if (spanId === undefined) {
      spanId = newSpanId(this.#options.random);
      const [oldest] = this.#requests.keys();
      if (this.#requests.size >= MOST_REQUESTS && oldest !== undefined) this.#requests.delete(oldest);
      this.#requests.set(idempotencyKey, spanId);
    }
    return traceparentOf(traceId, spanId, sampled && this.#spans !== null);
  }

  #takeSpanId({ idempotencyKey }: ToolRun): string | undefined {
    if (idempotencyKey === null) return undefined;
    const spanId = this.#requests.get(idempotencyKey);
    this.#requests.delete(idempotencyKey);
    return spanId;
  }

  #close(): void {
    if (this.#maker !== null) this.#options.background(this.#maker.close());
    this.#maker = null;
    this.#spans = null;
  }

  #samples(traceId: string): boolean {
    if (this.#options.send === null) return false;
    const carried = this.#carried;
    const parent = carried === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, carried);
    const sampler = samplerOf(this.#options.settings);
    const { decision } = sampler.shouldSample(parent, traceId, 'call', SpanKind.SERVER, {}, []);
    return decision === SamplingDecision.RECORD_AND_SAMPLED;
  }
}

function samplerOf({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio }: TracingSettings): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}
