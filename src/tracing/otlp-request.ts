import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import type { Clock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import { retryAfterMs } from '../providers/attempts.ts';
import { bytesOf } from '../providers/bodies.ts';
import { type TracingSettings, tracesUrl } from './settings.ts';

/** What became of one request. `again`: the same spans may be sent once more, after `afterMs` at the earliest. */
export type Sent =
  | { outcome: 'taken'; rejected: number }
  | { outcome: 'again'; afterMs: number; why: string }
  | { outcome: 'refused'; why: string };

/** Sends spans to a collector, in one request. Never rejects, and ends in time. */
export type SendSpans = (spans: readonly ReadableSpan[]) => Promise<Sent>;

/** After these the same request may succeed; after every other error it must not be repeated. https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes */
const RETRIED = new Set([429, 502, 503, 504]);
/** An answer holds a number and a message; whatever is longer is none. */
const MOST_ANSWER_BYTES = 64 * 1024;

/** OTLP over HTTP, as the settings say it; null where they name no collector. */
export function otlpOverHttp(settings: TracingSettings, clock: Clock): SendSpans | null {
  const url = tracesUrl(settings);
  if (url === null) return null;
  const json = settings.OTEL_EXPORTER_OTLP_PROTOCOL === 'http/json';
  const serializer = json ? JsonTraceSerializer : ProtobufTraceSerializer;
  const headers = {
    ...settings.OTEL_EXPORTER_OTLP_HEADERS,
    'content-type': json ? 'application/json' : 'application/x-protobuf',
  };
  return async (spans) => {
    try {
      const body = serializer.serializeRequest([...spans]) as Uint8Array<ArrayBuffer>;
      // A redirect would carry the headers to an address that nobody has configured.
      const init = { method: 'POST', headers, body, redirect: 'manual' } as const;
      return await within(clock, settings.OTEL_EXPORTER_OTLP_TIMEOUT, async (signal) => {
        const response = await fetch(url, { ...init, signal });
        const { status } = response;
        if (!response.ok) {
          response.body?.cancel().catch(() => {});
          if (!RETRIED.has(status)) return { outcome: 'refused', why: `status ${status}` };
          const afterMs = retryAfterMs(response.headers, clock);
          return { outcome: 'again', afterMs, why: `status ${status}` };
        }
        return { outcome: 'taken', rejected: rejectedOf(await answerOf(response, signal), serializer) };
      });
    } catch (error) {
      // The connection failed, or the answer did not come: https://opentelemetry.io/docs/specs/otlp/#otlphttp-connection
      return { outcome: 'again', afterMs: 0, why: error instanceof Error ? error.message : String(error) };
    }
  };
}

async function answerOf(response: Response, signal: AbortSignal): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  if (response.body !== null) {
    for await (const piece of bytesOf(response.body as ReadableStream<Uint8Array>, signal)) {
      length += piece.length;
      if (length > MOST_ANSWER_BYTES) return new Uint8Array(0);
      pieces.push(piece);
    }
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** How many spans the collector says that it has not taken. An answer that cannot be read changes nothing: the status counts. */
function rejectedOf(
  answer: Uint8Array,
  serializer: Pick<typeof ProtobufTraceSerializer, 'deserializeResponse'>,
): number {
  if (answer.length === 0) return 0;
  try {
    const rejected = Number(serializer.deserializeResponse(answer).partialSuccess?.rejectedSpans ?? 0);
    return Number.isFinite(rejected) && rejected > 0 ? rejected : 0;
  } catch {
    return 0;
  }
}
