import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import type { CallEvent } from '../../../src/call/events.ts';
import { ProviderError } from '../../../src/providers/ports.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { childrenOf, createTrace, createTracedCall, treeOf } from '../../support/traced-call.ts';

type Traced = ReturnType<typeof createTracedCall>;

async function hangUp({ call, background }: Traced): Promise<void> {
  call.from.hangUp();
  await call.clock.advance(60_000);
  await Promise.all(background);
}

/** By the first word of their names. */
const named = (spans: Traced['spans'], name: string) =>
  spans.filter((span) => span.name.split(' ')[0] === name);
const eventNames = (spans: Traced['spans']) =>
  spans.flatMap(({ name, events }) => events.map((event) => `${name}: ${event.name}`));

describe('the spans of a call', () => {
  it('are its turns, and below each what the caller waited for', async () => {
    const traced = createTracedCall({
      script: {
        transcripts: ['When are you open?'],
        transcriptMs: 50,
        answer: () => ['Until ', 'six.'],
        firstTokenMs: 200,
        tokenMs: 30,
        firstAudioMs: 120,
      },
    });
    const { call } = traced;
    await call.start();
    await call.silence(2_000);
    await call.speak(600);
    await call.silence(3_000);
    await hangUp(traced);
    expect(treeOf(traced.spans)).toEqual([
      'call 0–5600',
      '  turn 120–720',
      '    playout 120–720',
      '  turn 1800–4030',
      '    caller speech 1800–2600',
      '    endpointing 2600–3100',
      '    speech_to_text 3100–3150',
      '    chat model 3150–3410',
      '    text_to_speech 3410–3530',
      '    wait to speak 3530–3530',
      '    playout 3530–4030',
    ]);
  });

  it('say what the conventions for such requests have names for, and the ledger’s parts', async () => {
    const traced = createTracedCall({ script: { transcripts: ['Hello?'], firstTokenMs: 250 } });
    const { call, spans } = traced;
    await call.start();
    await call.speak(600);
    await call.silence(2_000);
    await hangUp(traced);
    const [chat] = named(spans, 'chat');
    expect(chat).toMatchObject({
      kind: SpanKind.CLIENT,
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'scripted',
        'gen_ai.request.model': 'model',
        'gen_ai.response.time_to_first_chunk': 0.25,
      },
    });
    const [latency] = call.ofType('latency');
    expect(named(spans, 'turn').at(-1)?.attributes).toMatchObject({
      'call.turn.by': 'caller',
      'call.turn.interrupted': false,
      'call.turn.total_ms': latency!.totalMs,
      'call.turn.provider_ms': 250,
      'call.turn.endpoint_wait_ms': 500,
      'call.turn.processing_ms': 0,
    });
    expect(spans[0]!.resource.attributes).toEqual({
      'service.name': 'ai-call-handler',
      'service.version': '1.2.3',
    });
    expect(spans.at(-1)).toMatchObject({ name: 'call', kind: SpanKind.SERVER });
    expect(spans.at(-1)!.attributes).toMatchObject({
      'call.status': 'ended',
      'call.end_reason': 'hangup',
      'call.count.answered': 1,
    });
  });

  it('are sent while the call lasts', async () => {
    const traced = createTracedCall({ script: { transcripts: ['Hello?'] } });
    const { call, spans } = traced;
    await call.start();
    await call.speak(600);
    await call.silence(10_000);
    expect(named(spans, 'turn')).toHaveLength(2);
    expect(named(spans, 'call')).toEqual([]);
    await hangUp(traced);
    expect(new Set(spans.map((span) => span.spanContext().spanId)).size).toBe(spans.length);
    expect(named(spans, 'call')).toHaveLength(1);
  });

  it('tell of an interruption in the turn that it cut off', async () => {
    const answer = 'We are open from Tuesday to Saturday and the workshop takes bicycles of every kind.';
    const traced = createTracedCall({
      agent: { greeting: '' },
      script: { transcripts: ['When?', 'Stop, please.'], answer: () => [answer] },
    });
    const { call, spans } = traced;
    await call.start();
    await call.speak(600);
    await call.silence(2_000);
    await call.speak(600);
    await call.silence(8_000);
    await hangUp(traced);
    const turns = named(spans, 'turn');
    expect(turns.map((turn) => turn.attributes['call.turn.interrupted'])).toEqual([true, false]);
    expect(eventNames(turns)).toEqual(['turn: call.overlap']);
    expect(turns[0]!.events[0]!.attributes).toEqual({
      'call.overlap.outcome': 'interrupted',
      'call.overlap.because': 'speech',
    });
  });

  it('have one turn where the caller went on before he heard an answer', async () => {
    const traced = createTracedCall({
      agent: { greeting: '' },
      script: { transcripts: ['I have a bike.', 'It is broken.'], firstTokenMs: 1_500 },
    });
    const { call, spans } = traced;
    await call.start();
    await call.speak(600);
    await call.silence(700);
    await call.speak(600);
    await call.silence(5_000);
    await hangUp(traced);
    const turns = named(spans, 'turn');
    expect(turns).toHaveLength(1);
    expect(eventNames(turns)).toEqual(['turn: call.turn.reopened']);
    expect(childrenOf(spans, turns[0]!).filter(({ name }) => name === 'playout')).toHaveLength(1);
  });

  it('tell of failures, and of a call that failed', async () => {
    const down = new ProviderError('openai/gpt', 'unavailable', 'openai/gpt: status 503 for +4917012345678', {
      requestId: 'req_1',
    });
    const traced = createTracedCall({
      agent: { greeting: '' },
      script: { transcripts: ['Hello?'], answer: () => [down] },
    });
    const { call, spans, trace } = traced;
    await call.start();
    await call.speak(600);
    await call.silence(4_000);
    const end = { type: 'call.closed', reason: 'error', status: 'failed' } as const;
    trace.hear({ ...end, endTime: call.clock.now() }, call.clock.now());
    await call.clock.advance(10_000);
    const [turn] = named(spans, 'turn');
    expect(turn!.status).toEqual({ code: SpanStatusCode.ERROR, message: 'PROVIDER_UNAVAILABLE' });
    expect(turn!.events.map(({ name, attributes }) => ({ name, attributes }))).toEqual([
      {
        name: 'exception',
        attributes: {
          'exception.type': 'PROVIDER_UNAVAILABLE',
          'gen_ai.provider.name': 'openai',
          'gen_ai.request.model': 'gpt',
          'call.provider.request_id': 'req_1',
        },
      },
    ]);
    const root = spans.find(({ name }) => name === 'call')!;
    expect(root.status).toEqual({ code: SpanStatusCode.ERROR, message: 'error' });
    expect(root.attributes['error.type']).toBe('error');
  });

  it('hold nobody’s words and no number', async () => {
    const canary = 'My Visa is 4111 1111 1111 1111, says Zaphodine';
    const number = '+4917012345678';
    const traced = createTracedCall({
      script: {
        transcripts: [canary, new ProviderError('openai/gpt', 'rejected', `openai/gpt: ${canary}`)],
        answer: () => [`Thank you, Zaphodine at ${number}.`],
      },
    });
    const { call, spans } = traced;
    await call.start({
      callId: number.slice(1),
      userId: 'zaphodine@example.com',
      metadata: { phoneNumber: number, campaignId: number, name: 'Zaphodine' },
    });
    await call.speak(600);
    await call.silence(4_000);
    for (const digit of '4111') call.from.dtmf(digit, 100);
    await call.speak(600);
    await call.silence(4_000);
    await hangUp(traced);
    expect(named(spans, 'turn').length).toBeGreaterThan(1);
    const all = JSON.stringify(
      spans.map(({ name, attributes, events, status, resource }) => {
        return { name, attributes, events, status, resource: resource.attributes };
      }),
    );
    for (const word of ['Zaphodine', 'zaphodine', '4111', '170123', 'Visa', 'Thank', 'example.com']) {
      expect(all).not.toContain(word);
    }
  });
});

describe('events in whatever order', () => {
  const clock = new FakeClock();
  const started: CallEvent = {
    type: 'call.started',
    call: {
      callId: 'a',
      userId: 'u',
      campaignId: null,
      phoneNumber: null,
      startTime: clock.now(),
      metadata: {},
      sampleRate: 8000,
      recording: false,
      chunkSamples: 16_000,
    },
  };
  const closed: CallEvent = {
    type: 'call.closed',
    reason: 'hangup',
    status: 'ended',
    endTime: clock.now() + 90_000,
  };
  const caller = (turn: number, position: number, startMs: number): CallEvent[] => [
    { type: 'transcript', role: 'caller', turn, text: 'x', final: true },
    {
      type: 'turn.recorded',
      turn: {
        position,
        role: 'caller',
        text: 'x',
        startMs,
        endMs: startMs + 500,
        interrupted: false,
        latency: null,
      },
    },
  ];

  function hear(...events: CallEvent[]) {
    const traced = createTrace(clock);
    for (const [i, event] of [started, ...events, closed].entries()) {
      traced.trace.hear(event, clock.now() + i * 1_000);
    }
    return traced;
  }

  it('end every span with the call, however many turns are open', async () => {
    const { spans, background } = hear(
      ...Array.from({ length: 12 }, (_, i) => caller(i, i, i * 1_000)).flat(),
    );
    await Promise.all(background);
    expect(spans.filter(({ name }) => name === 'turn')).toHaveLength(12);
    expect(spans.every(({ ended, duration }) => ended && duration[0] >= 0 && duration[1] >= 0)).toBe(true);
  });

  it('bounds the spans of a call, and says how many it has not made', async () => {
    const { spans, background, troubles } = hear(
      ...Array.from({ length: 6_000 }, (_, i) => caller(i, i, i)).flat(),
    );
    await Promise.all(background);
    const root = spans.find(({ name }) => name === 'call');
    expect(root!.attributes['call.spans_lost']).toBeGreaterThan(12_000 - 8_192);
    expect(troubles.at(-1)?.lost).toBeGreaterThan(0);
  });

  it('leave a turn alone when the reply before it is over', async () => {
    const traced = createTrace(clock);
    const at = clock.now();
    const heard = {
      position: 1,
      role: 'agent',
      text: 'x',
      startMs: 900,
      endMs: 2_000,
      interrupted: true,
      latency: null,
    } as const;
    const [words, first] = caller(1, 0, 0);
    const [more, second] = caller(2, 2, 1_500);
    for (const [afterMs, event] of [
      [0, started],
      [800, words!],
      [800, first!],
      [900, { type: 'transcript', role: 'agent', turn: 1, text: 'x', final: false }],
      [1_900, more!],
      [1_900, second!],
      [2_000, { type: 'turn.recorded', turn: heard }],
      [2_000, { type: 'agent.sentence', state: 'over' }],
      [2_500, { type: 'transcript', role: 'agent', turn: 2, text: 'x', final: false }],
      [90_000, closed],
    ] as [number, CallEvent][]) {
      traced.trace.hear(event, at + afterMs);
    }
    await Promise.all(traced.background);
    expect(treeOf(traced.spans)).toEqual([
      'call 0–90000',
      '  turn 0–2000',
      '    caller speech 0–500',
      '    playout 900–2000',
      '  turn 1500–90000',
      '    caller speech 1500–2000',
      '    playout 2500–90000',
    ]);
  });

  it('have the bills of their own turn, whenever they come', async () => {
    const traced = createTrace(clock);
    const at = clock.now();
    const latency = (turn: number): CallEvent => ({
      type: 'latency',
      turn,
      ...{ totalMs: 400, endpointWaitMs: 100, processingMs: 0, providerMs: 300, providers: [] },
      moments: {
        decided: 100,
        transcript: 200,
        firstToken: 250,
        firstSentence: 300,
        firstAudio: 350,
        firstSent: 400,
      },
    });
    const heard = (position: number, startMs: number): CallEvent => ({
      type: 'turn.recorded',
      turn: {
        ...{ position, role: 'agent', text: 'x', startMs, endMs: startMs + 500, interrupted: false },
        latency: null,
      },
    });
    const bill = (turn: number | null, units: object): CallEvent => ({
      type: 'usage',
      usage: { provider: 'x/model', ...units },
      turn,
    });
    for (const [afterMs, event] of [
      [0, started],
      // Of nobody's turn: a line that is made ready.
      [10, bill(null, { characters: 1_000 })],
      ...Array.from({ length: 100 }, (): [number, CallEvent] => [100, bill(1, { audioSeconds: 0.5 })]),
      // Of an answer that is begun before the turn is over.
      [400, bill(1, { inputTokens: 10, outputTokens: 1 })],
      ...caller(1, 0, 0).map((event): [number, CallEvent] => [600, event]),
      [900, latency(1)],
      [900, { type: 'transcript', role: 'agent', turn: 1, text: 'x', final: false }],
      [1_000, bill(1, { characters: 7 })],
      [1_400, heard(1, 900)],
      [1_500, bill(2, { audioSeconds: 2 })],
      ...caller(2, 2, 1_500).map((event): [number, CallEvent] => [2_100, event]),
      // Of an answer that is over, and of the one that is made.
      [2_200, bill(1, { inputTokens: 5_000, outputTokens: 5_000 })],
      [2_300, bill(2, { inputTokens: 20, outputTokens: 2 })],
      [2_400, latency(2)],
      [2_400, { type: 'transcript', role: 'agent', turn: 2, text: 'x', final: false }],
      [2_900, heard(3, 2_400)],
      [90_000, closed],
    ] as [number, CallEvent][]) {
      traced.trace.hear(event, at + afterMs);
    }
    await Promise.all(traced.background);
    const attributes = (operation: string, name: string) =>
      named(traced.spans, operation).map((span) => span.attributes[name]);
    expect(attributes('speech_to_text', 'call.usage.audio_seconds')).toEqual([50, 2]);
    expect(attributes('chat', 'gen_ai.usage.input_tokens')).toEqual([10, 20]);
    expect(attributes('chat', 'gen_ai.usage.output_tokens')).toEqual([1, 2]);
    expect(attributes('text_to_speech', 'call.usage.characters')).toEqual([7, undefined]);
  });

  it('tell of a transfer, and not to whom', async () => {
    const at = clock.now() + 1_000;
    const transfer = {
      to: '+4930901820',
      at,
      ringingAt: at + 2_000,
      endedAt: at + 9_000,
      cause: 'USER_BUSY +49',
      sipStatus: 486,
    };
    const { spans, background } = hear({
      type: 'transfer',
      state: 'over',
      transfer: { ...transfer, outcome: 'busy' },
    });
    await Promise.all(background);
    expect(treeOf(spans)).toEqual(['call 0–90000', '  transfer 1000–10000']);
    const span = spans.find(({ name }) => name === 'transfer')!;
    expect(span.attributes).toEqual({ 'call.transfer.outcome': 'busy', 'call.transfer.sip_status': 486 });
    expect(eventNames([span])).toEqual(['transfer: call.transfer.ringing']);
  });

  it('tells how long a lost leg was away', async () => {
    const { spans, background } = hear(
      { type: 'leg.lost' },
      { type: 'leg.resumed', callId: 'a', afterMs: 700 },
    );
    await Promise.all(background);
    expect(treeOf(spans)).toEqual(['call 0–90000', '  leg lost 1300–2000']);
    expect(eventNames(spans)).toEqual(['call: call.leg.lost']);
  });
});
