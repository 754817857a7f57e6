import {
  type Attributes,
  type Context,
  INVALID_SPAN_CONTEXT,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { millisToHrTime } from '@opentelemetry/core';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOnSampler, TracerProvider } from '@opentelemetry/sdk-trace';
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions';
import type { Random } from '../call/clock.ts';
import type { TracingSettings } from './settings.ts';
import type { SpanExport } from './span-export.ts';
import { type CallTraceFacts, newSpanId } from './trace-context.ts';

/** Spans of one call. A turn has about eight: this is four hours of quick talk. */
const MOST_SPANS = 8_192;
/** Characters of an attribute; what stands in one is an id, a name or a word of this service's own. */
const MOST_CHARACTERS = 256;
/** Of one span, each. */
const MOST_EVENTS = 64;
const MOST_ATTRIBUTES = 64;

export interface SpanParts {
  /** Milliseconds since the epoch. */
  at: number;
  kind?: SpanKind;
  attributes?: Attributes;
  /** Where a span's id had to be known before it. */
  spanId?: string;
  /** Default: the call's own span. */
  under?: Span;
}

/** Makes the spans of one call that is traced: bounded in number and size, and with ids that are chosen here. */
export class SpanMaker {
  readonly #tracer: Tracer;
  readonly #random: Random;
  readonly #export: SpanExport;
  readonly #context: Context;
  /** The call's own. */
  readonly root: Span;
  #nextId: string | null = null;
  #made = 0;
  #unmade = 0;

  /** @param at when the call began, in milliseconds since the epoch. */
  constructor(options: {
    settings: TracingSettings;
    version: string;
    facts: CallTraceFacts;
    at: number;
    random: Random;
    export: SpanExport;
  }) {
    const { settings, version, facts, at, random } = options;
    this.#random = random;
    this.#export = options.export;
    const provider = new TracerProvider({
      resource: resourceOf(settings, version),
      // Whether the call is traced was decided when it began, once for all objects that have it.
      sampler: new AlwaysOnSampler(),
      spanProcessors: [options.export],
      spanLimits: {
        attributeCountLimit: MOST_ATTRIBUTES,
        attributeValueLengthLimit: MOST_CHARACTERS,
        eventCountLimit: MOST_EVENTS,
        attributePerEventCountLimit: MOST_ATTRIBUTES,
      },
      idGenerator: {
        generateTraceId: () => facts.traceId,
        generateSpanId: () => {
          const id = this.#nextId ?? newSpanId(random);
          this.#nextId = null;
          return id;
        },
      },
    });
    this.#tracer = provider.getTracer('ai-call-handler', version);
    this.#nextId = facts.spanId;
    const span = { kind: SpanKind.SERVER, startTime: millisToHrTime(at) };
    this.root = this.#tracer.startSpan('call', span, parentContext(facts));
    this.#context = trace.setSpan(ROOT_CONTEXT, this.root);
  }

  /** Spans that were not made, or that no collector has. */
  get lost(): number {
    return this.#unmade + this.#export.lost;
  }

  start(name: string, { at, kind, attributes, spanId, under }: SpanParts): Span {
    if (this.#made >= MOST_SPANS) {
      this.#unmade++;
      return trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
    }
    this.#made++;
    this.#nextId = spanId ?? newSpanId(this.#random);
    const context = under === undefined ? this.#context : trace.setSpan(ROOT_CONTEXT, under);
    const options = { kind: kind ?? SpanKind.INTERNAL, startTime: millisToHrTime(at) };
    return this.#tracer.startSpan(name, { ...options, ...(attributes ? { attributes } : {}) }, context);
  }

  /** A span that is over already. */
  add(name: string, parts: SpanParts, until: number): Span {
    const span = this.start(name, parts);
    endSpan(span, Math.max(parts.at, until));
    return span;
  }

  /** The call is over. */
  close(): Promise<void> {
    return this.#export.shutdown();
  }
}

/** Times are given as pairs: the SDK takes a small number for one of `performance.now()`. */
export function endSpan(span: Span, at: number): void {
  span.end(millisToHrTime(at));
}

export function addEvent(span: Span, name: string, at: number, attributes: Attributes = {}): void {
  span.addEvent(name, attributes, millisToHrTime(at));
}

function parentContext({ traceId, parentSpanId }: CallTraceFacts): Context {
  if (parentSpanId === undefined) return ROOT_CONTEXT;
  const parent: SpanContext = { traceId, spanId: parentSpanId, traceFlags: 1, isRemote: true };
  return trace.setSpanContext(ROOT_CONTEXT, parent);
}

function resourceOf(settings: TracingSettings, version: string): Resource {
  return resourceFromAttributes({
    ...settings.OTEL_RESOURCE_ATTRIBUTES,
    [ATTR_SERVICE_NAME]: settings.OTEL_SERVICE_NAME,
    [ATTR_SERVICE_VERSION]: version,
  });
}
