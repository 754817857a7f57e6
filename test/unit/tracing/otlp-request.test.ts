import { trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/call/clock.ts';
import { loadConfig } from '../../../src/config.ts';
import { otlpOverHttp } from '../../../src/tracing/otlp-request.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { OtlpCollector } from '../../support/otlp-collector.ts';
import { createTrace } from '../../support/traced-call.ts';

let collector: OtlpCollector;
beforeEach(async () => {
  collector = await OtlpCollector.start();
});
afterEach(async () => {
  await collector.close();
});

/** Spans of a short call, as the service makes them. */
async function someSpans(): Promise<ReadableSpan[]> {
  const clock = new FakeClock();
  const {
    trace: ofCall,
    spans,
    background,
  } = createTrace(clock, {
    env: { OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging' },
  });
  const call = { userId: 'u', campaignId: 'c', phoneNumber: null, metadata: {}, sampleRate: 8000 as const };
  const callId = '9a10e5a9-9825-4a0b-b1d4-63e82a9c50a3';
  const facts = { ...call, callId, startTime: clock.now(), recording: true, chunkSamples: 1 };
  ofCall.hear({ type: 'call.started', call: facts }, clock.now());
  ofCall.hear(
    { type: 'failure', code: 'PROVIDER_TIMEOUT', provider: 'openai/gpt', message: '' },
    clock.now() + 5,
  );
  ofCall.hear({ type: 'leg.resumed', callId, afterMs: 100 }, clock.now() + 200);
  const end = { reason: 'error', status: 'failed', endTime: clock.now() + 1_500 } as const;
  ofCall.hear({ type: 'call.closed', ...end }, clock.now() + 1_500);
  await Promise.all(background);
  return spans;
}

const sender = (env: object = {}, clock = systemClock as FakeClock | typeof systemClock) =>
  otlpOverHttp(loadConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env }), clock)!;

describe.each(['http/protobuf', 'http/json'])('traces over %s', (protocol) => {
  it('are what OpenTelemetry’s own schema reads', async () => {
    const send = sender({
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-api-key=a%20secret, x-team=voice',
    });
    expect(await send(await someSpans())).toEqual({ outcome: 'taken', rejected: 0 });
    const [request] = collector.exports;
    expect(request).toMatchObject({
      path: '/v1/traces',
      headers: { 'x-api-key': 'a secret', 'x-team': 'voice' },
    });
    const [lost, call] = collector.spans;
    const start = 1_700_000_000_000n * 1_000_000n;
    expect(lost).toMatchObject({
      traceId: '9a10e5a998254a0bb1d463e82a9c50a3',
      parentSpanId: call!.spanId,
      name: 'leg lost',
      kind: 1,
      startTimeUnixNano: String(start + 100_000_000n),
      endTimeUnixNano: String(start + 200_000_000n),
    });
    expect(call).toMatchObject({
      parentSpanId: '',
      name: 'call',
      kind: 2,
      status: { code: 2, message: 'error' },
      events: [
        {
          name: 'exception',
          attributes: { 'exception.type': 'PROVIDER_TIMEOUT', 'gen_ai.provider.name': 'openai' },
        },
      ],
      resource: { 'service.name': 'ai-call-handler', 'deployment.environment.name': 'staging' },
    });
    expect(call!.attributes).toMatchObject({ 'call.recorded': true, 'call.sample_rate': 8000 });
  });

  it('that the collector takes in part are counted', async () => {
    collector.behaviours.push('partial');
    const send = sender({ OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
    expect(await send(await someSpans())).toEqual({ outcome: 'taken', rejected: 1 });
  });

  it.each(['garbage', 'endless'] as const)(
    'are taken, whatever follows the status: %s',
    async (behaviour) => {
      collector.behaviours.push(behaviour);
      const send = sender({ OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
      expect(await send(await someSpans())).toEqual({ outcome: 'taken', rejected: 0 });
    },
  );
});

describe('a collector', () => {
  it.each([429, 502, 503, 504])('that answers %d is asked again, when it says', async (status) => {
    collector.behaviours.push({ status, headers: { 'retry-after': '7' } }, { status });
    const send = sender();
    const spans = await someSpans();
    expect(await send(spans)).toEqual({ outcome: 'again', afterMs: 7_000, why: `status ${status}` });
    expect(await send(spans)).toEqual({ outcome: 'again', afterMs: 0, why: `status ${status}` });
  });

  it.each([400, 401, 404, 413, 500, 501])('that answers %d is not', async (status) => {
    collector.behaviours.push({ status, headers: { 'retry-after': '7' } });
    expect(await sender()(await someSpans())).toEqual({ outcome: 'refused', why: `status ${status}` });
  });

  it('does not send the headers on to another address', async () => {
    collector.behaviours.push({ status: 307, headers: { location: `${collector.url}/elsewhere` } });
    expect(await sender()(await someSpans())).toEqual({ outcome: 'refused', why: 'status 307' });
    expect(collector.exports.map(({ path }) => path)).toEqual(['/v1/traces']);
  });

  it('that breaks off is asked again', async () => {
    collector.behaviours.push('cut');
    expect(await sender()(await someSpans())).toMatchObject({ outcome: 'again', afterMs: 0 });
  });

  it('that is not there is asked again', async () => {
    const send = sender({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    expect(await send(await someSpans())).toMatchObject({ outcome: 'again' });
  });

  it('that hangs is given up in time', async () => {
    collector.behaviours.push('hang');
    const clock = new FakeClock();
    const spans = await someSpans();
    const sent = sender({ OTEL_EXPORTER_OTLP_TIMEOUT: '2000' }, clock)(spans);
    await collector.received(1);
    await clock.advance(2_000);
    expect(await sent).toEqual({ outcome: 'again', afterMs: 0, why: 'no answer within 2000 ms' });
  });
});

describe('the settings', () => {
  it.each([
    ['none', {}, null],
    ['a base address', { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otlp.example/otlp/' }, 'otlp'],
    [
      'switched off',
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otlp.example', OTEL_SDK_DISABLED: 'true' },
      null,
    ],
  ])('say whether traces are made: %s', (_, env, expected) => {
    const send = otlpOverHttp(loadConfig(env), systemClock);
    expect(send === null).toBe(expected === null);
  });

  it('take the address for traces as it is', async () => {
    const url = `${collector.url}/my/traces`;
    await sender({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: url,
    })([]);
    expect(collector.exports.map(({ path }) => path)).toEqual(['/my/traces']);
  });

  it.each([
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'no pair'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=b,=c'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=b%0d%0ax-forged: 1'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ftp://otlp.example'],
    ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
    ['OTEL_TRACES_SAMPLER_ARG', '2'],
  ])('refuse %s=%s', (name, value) => {
    expect(() => loadConfig({ [name]: value })).toThrow(name);
  });

  it('make no global tracer: a vendor’s own client would write the conversation into it', async () => {
    await sender()(await someSpans());
    expect(trace.getTracer('a client').startSpan('a request').isRecording()).toBe(false);
  });
});
