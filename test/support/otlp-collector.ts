import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';

/** A span as the collector has read it. */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  /** As in the schema: 2 is a server's, 3 a client's. */
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Record<string, string | number | boolean>;
  events: { name: string; attributes: Record<string, string | number | boolean> }[];
  /** Of the schema: 2 is an error. */
  status: { code: number; message: string };
  resource: Record<string, string | number | boolean>;
}

export interface ReceivedExport {
  path: string;
  headers: IncomingMessage['headers'];
  spans: ReceivedSpan[];
}

/**
 * What a collector does with a request. A number: that status. `hang`: it never answers. `cut`: the connection breaks in the middle of the answer.
 * `garbage`: 200, and a body that is none. `partial`: it takes all spans but one. `endless`: 200, and a body without end.
 */
export type Behaviour =
  | 'takes'
  | 'hang'
  | 'cut'
  | 'garbage'
  | 'partial'
  | 'endless'
  | { status: number; headers?: Record<string, string> };

type Schema = Record<'ExportTraceServiceRequest' | 'ExportTraceServiceResponse', SchemaType>;
interface SchemaType {
  decode(bytes: Uint8Array): unknown;
  toObject(message: unknown, options: object): unknown;
  encode(message: object): { finish(): Uint8Array };
}

/**
 * OpenTelemetry's own schema, as compiled into an older version of its package: the service's encoder is a newer one and shares no code
 * with it.
 */
const { opentelemetry } = createRequire(import.meta.url)('otlp-schema/build/src/generated/root.js') as {
  opentelemetry: { proto: { collector: { trace: { v1: Schema } } } };
};
const schema = opentelemetry.proto.collector.trace.v1;

/** An OTLP/HTTP receiver on loopback that decodes what it gets, and misbehaves as it is told. */
export class OtlpCollector {
  readonly exports: ReceivedExport[] = [];
  /** For the next requests, one after the other; then it takes them. */
  readonly behaviours: Behaviour[] = [];
  readonly #server: Server;
  #arrived: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => void this.#take(request, response));
  }

  static async start(): Promise<OtlpCollector> {
    const server = createServer();
    const collector = new OtlpCollector(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get spans(): ReceivedSpan[] {
    return this.exports.flatMap(({ spans }) => spans);
  }

  /** Resolves when so many requests have come. */
  async received(count: number): Promise<void> {
    while (this.exports.length < count) await new Promise<void>((resolve) => this.#arrived.push(resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const json = request.headers['content-type'] === 'application/json';
    const spans = json
      ? spansOf(JSON.parse(Buffer.concat(pieces).toString()))
      : readProtobuf(Buffer.concat(pieces));
    this.exports.push({ path: request.url ?? '', headers: request.headers, spans });
    for (const arrived of this.#arrived.splice(0)) arrived();
    answer(this.behaviours.shift() ?? 'takes', response, json);
  }
}

function answer(behaviour: Behaviour, response: ServerResponse, json: boolean): void {
  const type = { 'content-type': json ? 'application/json' : 'application/x-protobuf' };
  const rejected = { partialSuccess: { rejectedSpans: 1, errorMessage: 'one was too large' } };
  if (behaviour === 'hang') return;
  if (typeof behaviour === 'object') {
    response.writeHead(behaviour.status, behaviour.headers).end();
  } else if (behaviour === 'cut') {
    response.writeHead(200, { ...type, 'content-length': '100' });
    response.write('a', () => response.destroy());
  } else if (behaviour === 'garbage') {
    response.writeHead(200, type).end('<html>\u0000\u0001</html>');
  } else if (behaviour === 'endless') {
    response.writeHead(200, type);
    const more = () => response.destroyed || response.write(Buffer.alloc(65_536), more);
    more();
  } else if (behaviour === 'partial') {
    const bytes = json
      ? JSON.stringify(rejected)
      : schema.ExportTraceServiceResponse.encode(rejected).finish();
    response.writeHead(200, type).end(bytes);
  } else {
    response.writeHead(200, type).end(json ? '{}' : '');
  }
}

function readProtobuf(bytes: Buffer): ReceivedSpan[] {
  const message = schema.ExportTraceServiceRequest.decode(bytes);
  const options = { longs: String, bytes: Array, defaults: true };
  return spansOf(schema.ExportTraceServiceRequest.toObject(message, options) as Export);
}

type KeyValue = { key: string; value: Record<string, string | number | boolean> };
type Id = string | number[];
interface Export {
  resourceSpans: {
    resource: { attributes: KeyValue[] };
    scopeSpans: {
      spans: {
        traceId: Id;
        spanId: Id;
        parentSpanId?: Id;
        name: string;
        kind: number;
        startTimeUnixNano: string;
        endTimeUnixNano: string;
        attributes: KeyValue[];
        events: { name: string; attributes: KeyValue[] }[];
        status: { code?: number; message?: string };
      }[];
    }[];
  }[];
}

function spansOf({ resourceSpans }: Export): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans
      .flatMap(({ spans }) => spans)
      .map((span) => ({
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId ?? ''),
        name: span.name,
        kind: span.kind,
        startTimeUnixNano: span.startTimeUnixNano,
        endTimeUnixNano: span.endTimeUnixNano,
        attributes: valuesOf(span.attributes),
        events: span.events.map(({ name, attributes }) => ({ name, attributes: valuesOf(attributes) })),
        status: { code: span.status.code ?? 0, message: span.status.message ?? '' },
        resource: valuesOf(resource.attributes),
      })),
  );
}

function hex(id: Id): string {
  return typeof id === 'string' ? id : Buffer.from(id).toString('hex');
}

function valuesOf(attributes: KeyValue[]): Record<string, string | number | boolean> {
  const read = ({ intValue, doubleValue, stringValue, boolValue }: KeyValue['value']) =>
    stringValue !== undefined && stringValue !== ''
      ? stringValue
      : intValue !== undefined && Number(intValue) !== 0
        ? Number(intValue)
        : doubleValue !== undefined && doubleValue !== 0
          ? doubleValue
          : (boolValue ?? intValue ?? stringValue ?? '');
  return Object.fromEntries(attributes.map(({ key, value }) => [key, read(value)]));
}
