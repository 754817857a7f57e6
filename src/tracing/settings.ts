import { parseKeyPairsIntoRecord } from '@opentelemetry/core';
import { z } from 'zod';
import { emptyIsUnset, flag, url, whole } from '../settings.ts';

/** `key=value` pairs, comma-separated, values percent-encoded: as of W3C Baggage, without properties. */
const pairs = (name: RegExp, value: RegExp) =>
  z.preprocess(
    (text) => (typeof text === 'string' ? readPairs(text) : text),
    z.record(z.string().regex(name), z.string().regex(value)).default({}),
  );

function readPairs(text: string): unknown {
  const entries = text.split(',').filter((entry) => entry.trim() !== '');
  try {
    const read = parseKeyPairsIntoRecord(text);
    // What the library cannot read it leaves out; a key that is left out is found when nothing arrives.
    return Object.keys(read).length === entries.length ? read : text;
  } catch {
    return text;
  }
}

/** https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#general-sdk-configuration */
export const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** `grpc` needs HTTP/2 trailers, which a Worker's `fetch` does not show. */
export const protocols = ['http/protobuf', 'http/json'] as const;

/**
 * The settings of OpenTelemetry's own names.
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
export const tracingSchema = {
  /** Where the traces go, a collector's base address; without it none are made. `/v1/traces` is added. */
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  /** The whole address, where it is another one. */
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url,
  /** Sent with each request; a secret as a rule. */
  OTEL_EXPORTER_OTLP_HEADERS: pairs(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, /^[\x20-\x7e]{0,4096}$/),
  OTEL_EXPORTER_OTLP_PROTOCOL: z.preprocess(emptyIsUnset, z.enum(protocols).default('http/protobuf')),
  /** The longest request, in milliseconds. */
  OTEL_EXPORTER_OTLP_TIMEOUT: whole(10_000, 100, 60_000),
  /** How long finished spans wait for more, in milliseconds. */
  OTEL_BSP_SCHEDULE_DELAY: whole(5_000, 100, 60_000),
  OTEL_SERVICE_NAME: z.preprocess(emptyIsUnset, z.string().max(255).default('ai-call-handler')),
  /** More about this deployment, e.g. `deployment.environment.name=production`. */
  OTEL_RESOURCE_ATTRIBUTES: pairs(/^[\x21-\x7e]{1,255}$/, /^.{0,255}$/u),
  /** Which calls are traced. */
  OTEL_TRACES_SAMPLER: z.preprocess(emptyIsUnset, z.enum(samplers).default('parentbased_always_on')),
  /** Of the ratio samplers: the share of calls, 0 to 1. */
  OTEL_TRACES_SAMPLER_ARG: z.preprocess(emptyIsUnset, z.coerce.number().min(0).max(1).default(1)),
  OTEL_SDK_DISABLED: flag(false),
};

const tracingSettings = z.object(tracingSchema);
export type TracingSettings = z.output<typeof tracingSettings>;

/** Where traces are sent; null: nowhere. */
export function tracesUrl(settings: TracingSettings): string | null {
  if (settings.OTEL_SDK_DISABLED) return null;
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: whole, OTEL_EXPORTER_OTLP_ENDPOINT: base } = settings;
  if (whole !== undefined) return whole;
  return base === undefined ? null : `${base.replace(/\/+$/, '')}/v1/traces`;
}
