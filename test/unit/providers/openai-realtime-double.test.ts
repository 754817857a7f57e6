import { connect } from 'node:net';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import type { RealtimeServerEvent } from 'openai/resources/realtime/realtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../support/eavesdrop.ts';
import { OpenAiRealtimeDouble } from '../../support/openai-realtime-double.ts';

let double: OpenAiRealtimeDouble;
let errors: string[];
let client: OpenAIRealtimeWS;
beforeEach(async () => {
  double = await OpenAiRealtimeDouble.start();
  errors = [];
});
afterEach(async () => {
  client.close();
  await double.close();
});

/** OpenAI's own client. It insists on TLS, which loopback has not: the socket beneath it is a plain one. */
function openClient(connection: { model: string } | { intent: 'transcription' }): RealtimeServerEvent[] {
  const events: RealtimeServerEvent[] = [];
  const openai = new OpenAI({ apiKey: 'key', baseURL: double.baseUrl.replace(/^ws/, 'http') });
  const port = Number(new URL(double.baseUrl).port);
  client = new OpenAIRealtimeWS(
    { ...connection, options: { createConnection: () => connect(port, '127.0.0.1') } } as never,
    openai,
  );
  client.on('event', (event) => events.push(event));
  client.on('error', (error) => errors.push(error.message));
  return events;
}

const typesOf = (events: RealtimeServerEvent[]) => events.map(({ type }) => type);
const silence = (bytes: number) => Buffer.alloc(bytes, 0xff).toString('base64');

describe('the double of the Realtime API, driven by the openai package', () => {
  it('transcribes an utterance that is committed', async () => {
    double.hearings.push({ deltas: ['Hel', 'lo.'], text: 'Hello.' });
    const events = openClient({ intent: 'transcription' });
    await until(() => events.length === 1);
    client.send({
      type: 'session.update',
      session: {
        type: 'transcription',
        audio: {
          input: {
            format: { type: 'audio/pcmu' },
            transcription: { model: 'gpt-live-transcribe', languages: ['en'] },
            turn_detection: null,
          },
        },
      },
    });
    client.send({ type: 'input_audio_buffer.append', audio: silence(800) });
    client.send({ type: 'input_audio_buffer.commit' });
    await until(() => typesOf(events).includes('conversation.item.input_audio_transcription.completed'));
    expect(typesOf(events)).toEqual([
      'session.created',
      'session.updated',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.input_audio_transcription.delta',
      'conversation.item.input_audio_transcription.delta',
      'conversation.item.input_audio_transcription.completed',
    ]);
    expect(errors).toEqual([]);
  });

  it('speaks, calls a tool, takes its result, and is cancelled and truncated', async () => {
    double.answers.push({
      words: ['One ', 'moment.'],
      audio: [new Uint8Array(160)],
      calls: [{ id: 'call_1', name: 'look_up', arguments: '{"name":"Ada"}' }],
    });
    double.answers.push({ words: ['Ada is'], audio: [new Uint8Array(160)], holdAfter: 'audio' });
    const events = openClient({ model: 'gpt-realtime-2.1' });
    const done = () => events.filter(({ type }) => type === 'response.done');
    await until(() => events.length === 1);
    client.send({
      type: 'session.update',
      session: { type: 'realtime', audio: { input: { turn_detection: null } } },
    });
    client.send({ type: 'response.create' });
    await until(() => done().length === 1);
    client.send({
      type: 'conversation.item.create',
      item: { type: 'function_call_output', call_id: 'call_1', output: 'here' },
    });
    client.send({ type: 'response.create', response: { metadata: { n: '2' } } });
    await until(() => double.last.running.length === 1);
    const item = double.last.items.at(-1)?.id as string;
    client.send({ type: 'response.cancel' });
    client.send({ type: 'conversation.item.truncate', item_id: item, content_index: 0, audio_end_ms: 10 });
    await until(() => typesOf(events).includes('conversation.item.truncated'));
    expect(done()).toMatchObject([
      { response: { status: 'completed', usage: { input_tokens: 10, output_tokens: 20 } } },
      {
        response: {
          status: 'cancelled',
          metadata: { n: '2' },
          status_details: { reason: 'client_cancelled' },
        },
      },
    ]);
    const called = events.find(({ type }) => type === 'response.function_call_arguments.done');
    expect(called).toMatchObject({ name: 'look_up', call_id: 'call_1' });
    expect(errors).toEqual([]);
  });

  it.each([
    ['a commit of too little', { type: 'input_audio_buffer.commit' }, 'buffer too small'],
    ['a cancel of nothing', { type: 'response.cancel' }, 'Cancellation failed'],
    [
      'a result without its call',
      { type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'x', output: '' } },
      'no function call x',
    ],
  ] as const)('refuses %s as the API does', async (_, event, message) => {
    const events = openClient({ model: 'gpt-realtime-2.1' });
    await until(() => events.length === 1);
    client.send({ ...event, event_id: 'mine' } as never);
    await until(() => errors.length === 1);
    expect(errors[0]).toContain(message);
    expect(events.at(-1)).toMatchObject({ type: 'error', error: { event_id: 'mine' } });
  });
});
