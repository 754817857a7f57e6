import OpenAI from 'openai';
import type { ServerEvent, SessionConfig } from 'openai/resources/live/live';
import { LiveWS } from 'openai/resources/live/ws';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../support/eavesdrop.ts';
import { OpenAiLiveDouble } from '../../support/openai-live-double.ts';

let double: OpenAiLiveDouble;
let errors: string[];
let client: LiveWS;
beforeEach(async () => {
  double = await OpenAiLiveDouble.start();
  errors = [];
});
afterEach(async () => {
  client.close();
  await double.close();
});

/** OpenAI's own client. */
function openClient(apiKey = 'key'): ServerEvent[] {
  const events: ServerEvent[] = [];
  client = new LiveWS(new OpenAI({ apiKey, baseURL: double.baseUrl.replace(/^ws/, 'http') }));
  client.on('event', (event) => events.push(event));
  client.on('error', (error) => errors.push(error.message));
  return events;
}

const session: SessionConfig = {
  model: 'gpt-live-1',
  instructions: 'Be kind.',
  audio: { format: { type: 'audio/pcmu', rate: 8000 }, output: { voice: 'marin' } },
  delegation: { type: 'client' },
  input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello.' }] }],
};
const typesOf = (events: ServerEvent[]) => events.map(({ type }) => type);
const silence = (ms: number) => Buffer.alloc(ms * 8, 0xff).toString('base64');

describe('the double of the Live API, driven by the openai package', () => {
  it('starts a session, hears and speaks, delegates, takes the answer, and closes with its usage', async () => {
    const events = openClient();
    client.send({ type: 'session.start', event_id: 'start_1', session });
    await until(() => events.length === 1);
    expect(events[0]).toMatchObject({
      type: 'session.started',
      session: { id: 'live_0', model: 'gpt-live-1', status: 'active', audio: session.audio! },
    });
    client.send({ type: 'session.input_audio.append', audio: silence(100) });
    await until(() => double.last.timeMs === 100);
    double.last.hear(' When', 0, 100);
    double.last.say(new Uint8Array(800).fill(3), ' One moment.');
    const delegation = double.last.delegate();
    await until(() => typesOf(events).includes('session.delegation.created'));
    client.send({
      type: 'session.commentary.append',
      event_id: 'answer_1',
      delegation_id: delegation,
      content: 'At nine.',
    });
    client.send({ type: 'session.input_audio.append', audio: silence(100) });
    await until(() => typesOf(events).includes('session.commentary.appended'));
    double.last.use(15);
    client.send({ type: 'session.close' });
    await until(() => typesOf(events).includes('session.closed'));
    expect(typesOf(events)).toEqual([
      'session.started',
      'session.input_transcript.delta',
      'session.output_transcript.delta',
      'session.output_audio.delta',
      'session.delegation.created',
      'session.commentary.appended',
      'session.usage.updated',
      'session.closed',
    ]);
    expect(events.find(({ type }) => type === 'session.commentary.appended')).toMatchObject({
      client_event_id: 'answer_1',
      start_ms: 200,
    });
    expect(events.at(-1)).toMatchObject({ reason: 'close_requested', usage: { seconds: 1 } });
    expect(errors).toEqual([]);
  });

  it('takes no append before its start, of an unknown delegation, too long, or for another delegation mode', async () => {
    const events = openClient();
    client.send({ type: 'session.thinking.append', delegation_id: null, content: 'Too early.' });
    client.send({ type: 'session.start', session });
    client.send({ type: 'session.thinking.append', delegation_id: 'item_9', content: 'Whose?' });
    client.send({ type: 'session.thinking.append', delegation_id: null, content: 'x'.repeat(2_000) });
    client.send({ type: 'response.create', event_id: 'mine' });
    await until(() => errors.length === 4);
    expect(double.last.errors.map(({ code }) => code)).toEqual([
      'session_not_started',
      'unknown_delegation',
      'invalid_value',
      'unknown_event',
    ]);
    expect(typesOf(events).filter((type) => type === 'session.started')).toHaveLength(1);
  });

  it('tells of an append that nobody has read: its time goes by with the audio it gets', async () => {
    const events = openClient();
    client.send({ type: 'session.start', session });
    client.send({ type: 'session.instructions.append', delegation_id: null, content: 'Greet.' });
    client.send({ type: 'session.close' });
    await until(() => typesOf(events).includes('session.closed'));
    expect(typesOf(events)).toEqual(['session.started', 'error', 'session.closed']);
    expect(double.last.errors[0]?.code).toBe('context_injection_incomplete');
  });

  it('turns another key away', async () => {
    openClient('another');
    await until(() => errors.length > 0);
    expect(double.dials).toBe(1);
    expect(double.sessions).toHaveLength(0);
  });
});
