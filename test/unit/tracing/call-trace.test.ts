import { beforeEach, describe, expect, it } from 'vitest';
import type { CallEvent, StartedCallFacts } from '../../../src/call/events.ts';
import { loadConfig } from '../../../src/config.ts';
import type { ToolRun } from '../../../src/tools/tool.ts';
import { CallTrace } from '../../../src/tracing/call-trace.ts';
import { readTraceparent } from '../../../src/tracing/trace-context.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createTrace, seededIds, treeOf } from '../../support/traced-call.ts';

const uuid = '9a10e5a9-9825-4a0b-b1d4-63e82a9c50a3';
const traceId = uuid.replaceAll('-', '');
let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
});

const call = (callId: string): StartedCallFacts => ({
  callId,
  userId: 'u',
  campaignId: null,
  phoneNumber: null,
  startTime: clock.now(),
  metadata: {},
  sampleRate: 8000,
  recording: false,
  chunkSamples: 16_000,
});
const started = (callId: string): CallEvent => ({ type: 'call.started', call: call(callId) });
const closed = (): CallEvent => ({
  type: 'call.closed',
  reason: 'hangup',
  status: 'ended',
  endTime: clock.now(),
});

describe('the trace of a call', () => {
  it.each([
    ['a UUID, as this service mints it', uuid],
    ['a UUID, as the proxy hands it to a node', `${uuid}-0`],
    ['a node that was tried after another', `${uuid}-12`],
    ['in capitals', uuid.toUpperCase()],
    ['one of a hash, as a call has that is placed under a key', uuid.replace('-4a0b-', '-8a0b-')],
  ])('is the call’s id: %s', (_, callId) => {
    const { trace } = createTrace(clock);
    trace.hear(started(callId), clock.now());
    expect(trace.facts?.traceId).toBe(callId.slice(0, 36).replaceAll('-', '').toLowerCase());
  });

  it.each([
    ['a number', '4917012345678'],
    ['a number as a UUID: no random one', '00000000-0000-1000-8000-004917012345'],
    ['a name', 'my-call-1'],
    ['a UUID and more', `${uuid}-4917012345678`],
  ])('is random where the id may be somebody’s: %s', (_, callId) => {
    const traces = [1, 2].map((seed) => {
      const { trace } = createTrace(clock, { random: seededIds(seed) });
      trace.hear(started(callId), clock.now());
      return trace.facts!.traceId;
    });
    expect(traces[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(traces[0]).not.toBe(traces[1]);
    expect(traces.join()).not.toContain('4917012345');
  });

  it('is there where nobody wants the spans: the log has it, and the row', () => {
    const { trace, spans } = createTrace(clock, { send: null });
    trace.hear(started(uuid), clock.now());
    trace.hear(closed(), clock.now());
    expect(trace.facts).toEqual({ traceId, spanId: expect.stringMatching(/^[0-9a-f]{16}$/), sampled: false });
    expect(spans).toEqual([]);
  });

  it('goes on in another object: the same spans’ parent, told once', async () => {
    const before = createTrace(clock);
    before.trace.hear(started(uuid), clock.now());
    before.trace.hear({ type: 'leg.resumed', callId: uuid, afterMs: 10 }, clock.now() + 100);
    await clock.advance(6_000);
    const after = createTrace(clock, { random: seededIds(2) });
    after.trace.goOn({ ...call(uuid), startTime: clock.now() - 6_000 }, before.trace.facts!);
    after.trace.hear({ type: 'leg.resumed', callId: uuid, afterMs: 900 }, clock.now());
    after.trace.hear(closed(), clock.now());
    await Promise.all([...before.background, ...after.background]);
    expect(before.spans.map(({ name }) => name)).toEqual(['leg lost']);
    expect(treeOf([...before.spans, ...after.spans])).toEqual([
      'call 0–6000',
      '  leg lost 90–100',
      '  leg lost 5100–6000',
    ]);
  });

  it('ends where a lost call ended', async () => {
    const { trace, spans, background } = createTrace(clock);
    trace.goOn(call(uuid), { traceId, spanId: '00f067aa0ba902b7', sampled: true });
    trace.closeLost({ reason: 'disconnected', status: 'failed', endTime: clock.now() + 3_000 });
    await Promise.all(background);
    expect(treeOf(spans)).toEqual(['call 0–3000']);
    expect(spans[0]!.attributes).toMatchObject({
      'call.end_reason': 'disconnected',
      'error.type': 'disconnected',
    });
  });

  it('is a part of the one that it was asked for in', async () => {
    const theirs = readTraceparent('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
    const { spans, background, options } = optionsOf(clock);
    const trace = new CallTrace(options, theirs);
    trace.hear(started(uuid), clock.now());
    trace.hear(closed(), clock.now());
    await Promise.all(background);
    expect(spans[0]!.spanContext().traceId).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(spans[0]!.parentSpanContext?.spanId).toBe('00f067aa0ba902b7');
  });
});

function optionsOf(at: FakeClock, env: object = {}) {
  const made = createTrace(at);
  const options: ConstructorParameters<typeof CallTrace>[0] = {
    settings: loadConfig(env),
    send: async (batch) => {
      made.spans.push(...batch);
      return { outcome: 'taken', rejected: 0 };
    },
    clock: at,
    random: seededIds(1),
    version: '1.2.3',
    background: (work) => made.background.push(work),
    onTrouble: () => {},
  };
  return { ...made, options };
}

describe('which calls are traced', () => {
  const sampled = (env: object, carried: string | null, callId = uuid) => {
    const trace = new CallTrace(optionsOf(clock, env).options, readTraceparent(carried));
    trace.hear(started(callId), clock.now());
    return trace.facts!.sampled;
  };
  const theirs = (flag: string) => `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flag}`;

  it.each([
    [{}, null, true],
    [{}, '00', false],
    [{}, '01', true],
    [{ OTEL_TRACES_SAMPLER: 'always_off' }, '01', false],
    [{ OTEL_TRACES_SAMPLER: 'always_on' }, '00', true],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, null, false],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, '01', true],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, null, false],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '1' }, null, true],
  ])('%j, asked by one with the flag %s: %s', (env, flag, expected) => {
    expect(sampled(env, flag === null ? null : theirs(flag))).toBe(expected);
  });

  it('is a share of them by the settings, and the same for a call each time', () => {
    const env = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.1' };
    const { id } = seededIds(7);
    const ids = Array.from({ length: 1_000 }, id);
    const first = ids.map((callId) => sampled(env, null, callId));
    expect(ids.map((callId) => sampled(env, null, callId))).toEqual(first);
    const share = first.filter(Boolean).length / ids.length;
    expect(share).toBeGreaterThan(0.07);
    expect(share).toBeLessThan(0.13);
  });
});

describe('a tool’s request to its server', () => {
  const run = (idempotencyKey: string): ToolRun => ({
    id: '1',
    name: 'book',
    arguments: '{}',
    content: 'Done.',
    ok: true,
    at: clock.now(),
    tookMs: 40,
    idempotencyKey,
  });

  it('names the span that the run has in the trace', async () => {
    const { trace, spans, background } = createTrace(clock);
    trace.hear(started(uuid), clock.now());
    const traceparent = trace.traceparentFor('tool_1')!;
    expect(trace.traceparentFor('tool_1')).toBe(traceparent);
    expect(trace.traceparentFor('tool_2')).not.toBe(traceparent);
    trace.hear({ type: 'tool.ran', run: run('tool_1') }, clock.now() + 40);
    trace.hear(closed(), clock.now() + 50);
    await Promise.all(background);
    const span = spans.find(({ name }) => name === 'execute_tool book')!;
    expect(traceparent).toBe(`00-${traceId}-${span.spanContext().spanId}-01`);
  });

  it('says that the call is not traced where it is not', () => {
    const { trace } = createTrace(clock, { send: null });
    expect(trace.traceparentFor('tool_1')).toBeNull();
    trace.hear(started(uuid), clock.now());
    expect(trace.traceparentFor('tool_1')).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
  });
});
