import { reset, runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CallSessionDO } from '../../src/CallSessionDO.ts';
import { anonymous } from '../../src/call/principal.ts';
import type { Env } from '../../src/env.ts';
import { writeLegRequest } from '../../src/http/leg-request.ts';
import { bearer, guardedService } from './auth-support.ts';
import { bindings, database, scriptVendor, TestClient } from './support.ts';

beforeAll(() => reset());
afterEach(() => vi.restoreAllMocks());

const collectorUrl = 'http://127.0.0.1:2/otlp';

/** Of OTLP's JSON, what is looked at. */
interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  events: { name: string; attributes: { key: string; value: Record<string, unknown> }[] }[];
}

/** Stands in for the collector within this isolate, before the scripted vendor. */
function collect(answer: () => Promise<Response> = async () => Response.json({})) {
  const spans: Span[] = [];
  const requests = { count: 0 };
  const scripted = vi.mocked(globalThis.fetch).getMockImplementation()!;
  vi.mocked(globalThis.fetch).mockImplementation(async (input, init) => {
    if (String(input) !== `${collectorUrl}/v1/traces`) return scripted(input, init);
    requests.count++;
    const body = JSON.parse(new TextDecoder().decode(init!.body as Uint8Array)) as {
      resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
    };
    spans.push(...body.resourceSpans.flatMap((each) => each.scopeSpans.flatMap((scope) => scope.spans)));
    return await answer();
  });
  return { spans, requests };
}

/** A leg of this call at an object whose Worker exports traces. Everything that is done with its socket happens in there. */
async function tracedLeg(
  callId: string,
  converse: (client: TestClient, state: DurableObjectState) => Promise<void>,
  more: { resumeToken?: string; traceparent?: string } = {},
): Promise<void> {
  const stub = bindings.CALL_SESSION.get(bindings.CALL_SESSION.idFromName(callId));
  await runInDurableObject(stub, async (_, state) => {
    const env = {
      ...bindings,
      OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    } as unknown as Env;
    const object = new CallSessionDO(state, env);
    const request = new Request('http://service.test/', { headers: { Upgrade: 'websocket' } });
    const { traceparent, resumeToken } = more;
    const leg = { callId, dialect: 'call-session', bound: true, principal: anonymous, traceparent };
    const response = await object.fetch(writeLegRequest(request, leg));
    const client = TestClient.on(response.webSocket!);
    client.send({
      type: 'start_call',
      callId,
      userId: 'user-1',
      metadata: { from: 'the client' },
      features: ['transcript'],
      ...(resumeToken === undefined ? {} : { resumeToken }),
    });
    await converse(client, state);
  });
}

async function answered(client: TestClient): Promise<void> {
  client.audio(800, true);
  client.audio(700, false);
  await client.until((c) => c.ofType('transcript').some((m) => m.role === 'agent' && m.final), 'the answer');
}

async function hangUp(client: TestClient): Promise<void> {
  client.send({ type: 'end_call' });
  await client.until((c) => c.closed !== null, 'the close');
}

const rowOf = (callId: string) =>
  vi.waitFor(
    async () => {
      const { data } = await database()
        .from('call_logs')
        .select('*, call_failures(code, message)')
        .eq('call_id', callId)
        .maybeSingle();
      expect(data?.end_reason).toBeTruthy();
      return data as Record<string, unknown>;
    },
    { timeout: 15_000, interval: 100 },
  );

const allSent = (spans: Span[]) =>
  vi.waitFor(() => expect(spans.map(({ name }) => name)).toContain('call'), { timeout: 10_000 });

describe('a call that is traced', () => {
  it('is followed by one id, through the log, the row and the spans, to the vendor’s own id of what failed', async () => {
    const lines: Record<string, unknown>[] = [];
    for (const method of ['log', 'warn', 'error'] as const) {
      vi.spyOn(console, method).mockImplementation((line: string) => void lines.push(JSON.parse(line)));
    }
    scriptVendor({ transcripts: ['When do you close?'] });
    const { spans } = collect();
    const real = vi.mocked(globalThis.fetch).getMockImplementation()!;
    const requestId = 'req_0f3a5c77aa12b4c6d8e0f1a2b3c4d5e6';
    vi.mocked(globalThis.fetch).mockImplementation(async (input, init) => {
      const { pathname } = new URL(input instanceof Request ? input.url : String(input));
      if (!pathname.endsWith('/chat/completions')) return real(input, init);
      const headers = { 'x-request-id': requestId };
      return Response.json({ error: { message: 'no such model' } }, { status: 404, headers });
    });
    const uuid = crypto.randomUUID();
    const callId = `${uuid}-0`;
    const trace = uuid.replaceAll('-', '');
    await tracedLeg(callId, async (client) => {
      await client.untilStatus('Listening');
      client.audio(800, true);
      client.audio(700, false);
      await client.until((c) => c.ofType('error').length > 0, 'the failure');
      await hangUp(client);
    });
    const row = await rowOf(callId);
    await allSent(spans);
    expect(row.metadata).toEqual({ from: 'the client', traceId: trace });

    const ofCall = lines.filter((line) => line.leg === callId || line.callId === callId);
    expect(ofCall.map(({ message }) => message)).toEqual([
      'call started',
      'failure in a call',
      'call counted',
      'call ended',
    ]);
    for (const line of ofCall) expect(line.trace).toBe(trace);
    expect(ofCall[1]).toMatchObject({ code: 'PROVIDER_REJECTED', requestId });

    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([trace]));
    const exception = spans.flatMap(({ events }) => events).find(({ name }) => name === 'exception');
    expect(exception?.attributes).toContainEqual({
      key: 'call.provider.request_id',
      value: { stringValue: requestId },
    });
  });

  it('goes on in the same trace when its object is killed, and each span is sent once', async () => {
    scriptVendor({ transcripts: ['When do you close?', 'And on Sunday?'] });
    const { spans } = collect();
    const callId = crypto.randomUUID();
    let resumeToken = '';
    const killed = tracedLeg(callId, async (client, state) => {
      await client.untilStatus('Listening');
      resumeToken = String((client.messages[0] as { resumeToken?: string }).resumeToken);
      await answered(client);
      // Both turns, while the call lasts.
      await vi.waitFor(() => expect(spans.filter(({ name }) => name === 'turn').length).toBe(2), {
        timeout: 10_000,
      });
      await state.storage.sync();
      state.abort('killed by the test');
    });
    await expect(killed).rejects.toThrow('killed by the test');
    const before = spans.length;
    await tracedLeg(
      callId,
      async (client) => {
        await client.untilStatus('The call goes on');
        await answered(client);
        await hangUp(client);
      },
      { resumeToken },
    );
    await rowOf(callId);
    await allSent(spans);
    expect(spans.length).toBeGreaterThan(before);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
    const [call, ...others] = spans.filter(({ name }) => name === 'call');
    expect(others).toEqual([]);
    const below = spans.filter(({ parentSpanId }) => parentSpanId === call!.spanId);
    expect(below.map(({ name }) => name).toSorted()).toEqual(['leg lost', 'turn', 'turn', 'turn']);
  });

  it('is not disturbed by a collector that hangs', async () => {
    scriptVendor({ transcripts: ['When do you close?'] });
    const { requests } = collect(() => new Promise<Response>(() => {}));
    const callId = crypto.randomUUID();
    await tracedLeg(callId, async (client) => {
      await client.untilStatus('Listening');
      await answered(client);
      await hangUp(client);
    });
    expect(await rowOf(callId)).toMatchObject({ status: 'ended', end_reason: 'hangup' });
    expect(requests.count).toBe(1);
  });
});

describe('the trace of whoever asks for a call', () => {
  const theirs = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

  it('is gone on with, through a single-call token', async () => {
    scriptVendor();
    const service = await guardedService();
    const response = await service.ask('/api/v1/calls', {
      method: 'POST',
      headers: { ...bearer(service.tokens.service), traceparent: theirs },
      body: JSON.stringify({ userId: 'user-1' }),
    });
    const { callId, token } = await response.json<{ callId: string; token: string }>();
    const client = await service.connect('/ws/call-session', {
      'Sec-WebSocket-Protocol': `call, call-token.${token}`,
      // The token's holder is somebody else than who asked for it.
      traceparent: '00-11111111111111111111111111111111-2222222222222222-01',
    });
    client.send({ type: 'start_call', callId, userId: 'user-1', metadata: {} });
    await client.untilStatus('Listening');
    await hangUp(client);
    expect((await rowOf(callId)).metadata).toEqual({ traceId: theirs.slice(3, 35) });
  });
});
