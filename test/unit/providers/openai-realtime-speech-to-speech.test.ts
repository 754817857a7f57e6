import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import {
  type OpenAiRealtimeSpeechToSpeechSettings,
  openAiRealtimeSpeechToSpeech,
} from '../../../src/providers/openai-realtime/speech-to-speech.ts';
import type { SpeechToSpeechEvent, SpeechToSpeechOptions } from '../../../src/providers/speech-to-speech.ts';
import { eavesdrop, until } from '../../support/eavesdrop.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type Answer, OpenAiRealtimeDouble } from '../../support/openai-realtime-double.ts';

const provider = 'openai/gpt-realtime-2.1';

let double: OpenAiRealtimeDouble;
let clock: FakeClock;
let abort: AbortController;
let ear: ReturnType<typeof eavesdrop>;
beforeEach(async () => {
  double = await OpenAiRealtimeDouble.start();
  clock = new FakeClock();
  abort = new AbortController();
  ear = eavesdrop();
});
afterEach(async () => {
  abort.abort();
  expect(clock.pending).toBe(0);
  await double.close();
});

const bytes = (length: number, from = 0) => Uint8Array.from({ length }, (_, i) => (i + from) % 127);
const speech = (ms: number, from = 0) => decodeMulaw(bytes(ms * 8, from));
const said = (text: string, ...audio: Uint8Array[]): Answer => ({
  words: text.split(/(?<= )/),
  audio: audio.length === 0 ? [bytes(160)] : audio,
});

function open(
  settings: Partial<OpenAiRealtimeSpeechToSpeechSettings> = {},
  options: Partial<SpeechToSpeechOptions> = {},
) {
  const session = openAiRealtimeSpeechToSpeech(
    {
      apiKey: 'key',
      baseUrl: double.baseUrl,
      dial: ear.dial,
      silenceMs: Number.POSITIVE_INFINITY,
      ...settings,
    },
    clock,
    { fraction: () => 1 },
  ).open({
    sampleRate: 8000,
    instructions: 'Be kind.',
    voice: 'marin',
    maxOutputTokens: 500,
    signal: abort.signal,
    ...options,
  });
  const events: SpeechToSpeechEvent[] = [];
  const state = { error: null as unknown };
  const over = (async () => {
    try {
      for await (const event of session.events) events.push(event);
    } catch (error) {
      state.error = error;
    }
  })();
  /** Without usage. */
  const told = () => events.filter(({ type }) => type !== 'usage');
  const audioOf = (response: number) =>
    Uint8Array.from(
      events.flatMap((event) =>
        event.type === 'audio' && event.response === response ? [...encodeMulaw(event.samples)] : [],
      ),
    );
  const got = (type: SpeechToSpeechEvent['type'], times = 1) =>
    until(() => events.filter((event) => event.type === type).length >= times, `${type} (${times})`);
  return { session, events, told, audioOf, got, over, state };
}

const heard = (type: string, times = 1) =>
  until(() => ear.heard.filter((other) => other === type).length >= times, `${type} (${times})`);
const ready = (sessions = 1) => heard('session.updated', sessions);
const creates = (session = double.last) => session.received('response.create');
/** The conversation as the server has it: role or type, and text. */
const remembered = (session = double.last) =>
  session.items.map((item) => {
    if (item.type === 'function_call') return `call ${item.name}(${item.arguments})`;
    if (item.type === 'function_call_output') return `result ${item.output}`;
    if (item.type !== 'message') return item.type;
    const [part] = item.content;
    return `${item.role}: ${part !== undefined && 'text' in part ? part.text : '(audio)'}`;
  });

describe('OpenAI Realtime speech to speech', () => {
  it('answers an utterance, μ-law both ways, and never by itself', async () => {
    double.hearings.push({ text: 'Good morning.' });
    double.answers.push(said('Hello there.', bytes(160), bytes(80, 40)));
    const { session, told, got, audioOf } = open({}, { language: 'en', keywords: ['Ada'] });
    await ready();
    expect(double.last.connection.url.search).toBe('?model=gpt-realtime-2.1');
    expect(double.last.config).toEqual({
      type: 'realtime',
      instructions: 'Be kind.',
      output_modalities: ['audio'],
      max_output_tokens: 500,
      audio: {
        input: {
          format: { type: 'audio/pcmu' },
          transcription: { model: 'gpt-live-transcribe', languages: ['en'], keywords: ['Ada'] },
          turn_detection: null,
        },
        output: { format: { type: 'audio/pcmu' }, voice: 'marin' },
      },
      tools: [],
      tool_choice: 'none',
    });
    session.push(speech(200));
    expect(session.endUtterance()).toBe(0);
    await got('final');
    expect(creates()).toHaveLength(0);
    expect(session.respond()).toBe(0);
    await got('responded');
    expect(double.last.committed).toEqual([bytes(1600)]);
    expect(told().filter(({ type }) => type !== 'audio')).toEqual([
      { type: 'final', utterance: 0, text: 'Good morning.' },
      { type: 'text', response: 0, text: 'Hello ' },
      { type: 'text', response: 0, text: 'there.' },
      { type: 'responded', response: 0 },
    ]);
    expect(audioOf(0)).toEqual(Uint8Array.from([...bytes(160), ...bytes(80, 40)]));
    expect(creates()[0]?.response).toEqual({
      output_modalities: ['audio'],
      metadata: { response: '0' },
    });
  });

  it('calls tools, tells their results, and asks for the next response only when it is told to', async () => {
    double.answers.push({
      ...said('One moment.'),
      calls: [{ id: 'call_1', name: 'look_up', arguments: '{"a":1}' }],
    });
    const { session, events, got } = open(
      {},
      { tools: [{ name: 'look_up', description: 'Looks up.', parameters: { type: 'object' } }] },
    );
    session.respond();
    await got('responded');
    expect(double.last.config).toMatchObject({
      tools: [
        { type: 'function', name: 'look_up', description: 'Looks up.', parameters: { type: 'object' } },
      ],
      tool_choice: 'auto',
    });
    expect(events).toContainEqual({
      type: 'toolCall',
      response: 0,
      call: { id: 'call_1', name: 'look_up', arguments: '{"a":1}' },
    });
    session.toolResult('call_1', 'here');
    session.add({ role: 'user', content: 'Pressed 5.' });
    await until(() => double.last.items.length === 4);
    expect(remembered()).toEqual([
      'assistant: (audio)',
      'call look_up({"a":1})',
      'result here',
      'user: Pressed 5.',
    ]);
    expect(creates()).toHaveLength(1);
    expect(double.last.errors).toEqual([]);
  });

  it('takes a response that is a tool call and nothing else for one', async () => {
    double.answers.push({ calls: [{ id: 'call_1', name: 'hang_up', arguments: '{}' }] });
    const { session, told, got } = open();
    session.respond();
    await got('responded');
    expect(told().map(({ type }) => type)).toEqual(['toolCall', 'responded']);
  });

  it('asks for one response after the other, since the conversation takes one at a time', async () => {
    double.answers.push({ ...said('First.'), holdAfter: 'audio' }, said('Second.'));
    const { session, told, got } = open();
    session.respond();
    session.respond();
    await got('audio');
    expect(creates()).toHaveLength(1);
    double.last.finish();
    await got('responded', 2);
    expect(told().filter(({ type }) => type === 'responded')).toEqual([
      { type: 'responded', response: 0 },
      { type: 'responded', response: 1 },
    ]);
    expect(double.last.errors).toEqual([]);
  });

  it('lets nothing of a cancelled response out, and starts the next only after its end', async () => {
    double.answers.push(
      { ...said('First.', bytes(160)), holdAfter: 'audio' },
      said('Second.', bytes(160, 60)),
    );
    const { session, told, got, audioOf } = open();
    session.respond();
    await got('audio');
    const [response] = double.last.running;
    session.cancel(0);
    session.respond();
    double.last.send({
      type: 'response.output_audio.delta',
      response_id: response!,
      item_id: 'item_x',
      output_index: 0,
      content_index: 0,
      delta: Buffer.alloc(800).toString('base64'),
    });
    await got('responded');
    expect(double.last.received('response.cancel')).toMatchObject([{ response_id: response }]);
    expect(audioOf(0)).toEqual(bytes(160));
    expect(audioOf(1)).toEqual(bytes(160, 60));
    expect(told().filter((event) => event.type === 'responded')).toEqual([
      { type: 'responded', response: 1 },
    ]);
    expect(double.last.errors).toEqual([]);
  });

  it('cancels a response whose id it does not know yet as soon as it does', async () => {
    double.answers.push({ ...said('First.'), holdAfter: 'nothing' });
    const { session, events } = open();
    session.respond();
    await until(() => double.sessions.length === 1 && creates().length === 1);
    session.cancel(0);
    double.last.finish();
    await until(() => double.last.received('response.cancel').length === 1);
    expect(events.filter(({ type }) => type === 'audio')).toEqual([]);
  });

  it('never asks for a response that was cancelled while it waited', async () => {
    double.answers.push({ ...said('First.'), holdAfter: 'audio' });
    const { session, got } = open();
    session.respond();
    session.respond();
    await got('audio');
    session.cancel(1);
    double.last.finish();
    await got('responded');
    expect(creates()).toHaveLength(1);
  });

  it('replaces a connection that does not end a cancelled response', async () => {
    double.answers.push({ ...said('First.'), holdAfter: 'audio' }, said('Second.'));
    const { session, got } = open();
    session.respond();
    await got('audio');
    double.last.mute = true;
    session.cancel(0);
    session.respond();
    await clock.advance(2_000);
    await clock.advance(200);
    await got('responded');
    expect(double.dials).toBe(2);
  });

  it('asks again where the server still was at another response', async () => {
    double.answers.push(
      {
        refused: {
          type: 'invalid_request_error',
          code: 'conversation_already_has_active_response',
          message: 'busy',
        },
      },
      said('Yes.'),
    );
    const { session, got, told } = open();
    session.respond();
    await heard('error');
    await clock.advance(100);
    await got('responded');
    expect(told().some(({ type }) => type === 'responseFailed')).toBe(false);
  });
});

describe('the memory of an OpenAI Realtime conversation', () => {
  it('is cut to what the caller heard, never past the audio there was', async () => {
    double.answers.push({ ...said('A long story.', bytes(1600)), holdAfter: 'audio' });
    const { session, got } = open();
    session.respond();
    await got('audio');
    session.cancel(0);
    session.truncate(0, 120, 'A long');
    await until(() => double.last.received('conversation.item.truncate').length === 1);
    session.truncate(0, 5_000, 'A long story.');
    await until(() => double.last.received('conversation.item.truncate').length === 2);
    const item = double.last.items[0]?.id;
    expect(double.last.received('conversation.item.truncate')).toMatchObject([
      { item_id: item, content_index: 0, audio_end_ms: 120 },
      { item_id: item, content_index: 0, audio_end_ms: 200 },
    ]);
  });

  it('holds nothing of a response of which nothing was heard', async () => {
    double.answers.push({ ...said('Never heard.'), holdAfter: 'audio' });
    const { session, got } = open();
    session.respond();
    await got('audio');
    session.cancel(0);
    session.truncate(0, 0, '');
    await until(() => double.last.received('conversation.item.delete').length === 1);
    expect(remembered()).toEqual([]);
  });

  it('begins with the history of a call that was resumed', async () => {
    open(
      {},
      {
        history: [
          { role: 'system', content: 'It rains.' },
          { role: 'user', content: 'Where is Ada?' },
          { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'find', arguments: '{}' }] },
          { role: 'tool', toolCallId: 'c1', content: 'outside' },
          { role: 'assistant', content: 'Outside.' },
        ],
      },
    );
    await until(() => double.sessions[0]?.items.length === 5);
    expect(remembered()).toEqual([
      'system: It rains.',
      'user: Where is Ada?',
      'call find({})',
      'result outside',
      'assistant: Outside.',
    ]);
    expect(double.last.errors).toEqual([]);
  });

  it('is told to the session that follows a lost one: words heard, and speech not yet understood as audio', async () => {
    double.hearings.push({ text: 'Good morning.' }, { silent: true });
    double.answers.push({ ...said('Hello to everybody.', bytes(800)), holdAfter: 'audio' });
    const { session, got, told } = open();
    session.push(speech(200));
    session.endUtterance();
    session.respond();
    await got('audio');
    await got('final');
    session.cancel(0);
    session.truncate(0, 50, 'Hello');
    session.push(speech(300, 9));
    session.endUtterance();
    await until(() => double.last.committed.length === 2);
    session.push(speech(100, 5));
    await until(() => double.last.buffer.length === 800);
    double.last.connection.cut();
    await heard('(closed)');
    session.add({ role: 'user', content: 'Pressed 1.' });
    double.hearings.push({ text: 'And then?' });
    double.answers.push(said('Then.'));
    const response = session.respond();
    await clock.advance(200);
    await got('responded');
    expect(remembered()).toEqual([
      'user: Good morning.',
      'assistant: Hello',
      'user: (audio)',
      'user: Pressed 1.',
      'assistant: (audio)',
    ]);
    expect(double.last.committed).toEqual([bytes(2400, 9)]);
    expect(double.last.buffer).toEqual(bytes(800, 5));
    expect(told().at(-1)).toEqual({ type: 'responded', response });
    expect(double.last.errors).toEqual([]);
  });

  it('#17 realtime session time cap: is told to a new session before the old one’s limit, when nobody speaks', async () => {
    double.hearings.push({ text: 'Good morning.' });
    double.answers.push(said('Hello.'), { ...said('Again.'), holdAfter: 'audio' });
    const { session, got } = open();
    await ready();
    session.push(speech(200));
    session.endUtterance();
    session.respond();
    await got('responded');
    session.respond();
    await got('audio', 2);
    await clock.advance(4_000);
    const [old] = double.sessions;
    old!.send({
      type: 'response.output_audio_transcript.delta',
      response_id: old!.running[0]!,
      item_id: 'item_x',
      output_index: 0,
      content_index: 0,
      delta: '',
    });
    old!.finish();
    await got('responded', 2);
    await clock.advance(3_600_000 - 124_000);
    await ready(2);
    await old!.connection.closed;
    await until(() => double.last.items.length === 3);
    expect(remembered()).toEqual(['user: Good morning.', 'assistant: Hello.', 'assistant: Again.']);
  });

  it('can still be cut to what was heard after its session was renewed', async () => {
    double.answers.push(said('A long story.'), said('Next.'));
    const { session, got } = open();
    session.respond();
    session.respond();
    await got('responded', 2);
    double.last.connection.cut();
    await heard('(closed)');
    await clock.advance(200);
    await ready(2);
    await until(() => double.last.items.length === 2);
    session.truncate(0, 100, 'A long');
    await until(() => remembered()[0] === 'assistant: A long');
    expect(remembered()).toEqual(['assistant: A long', 'assistant: Next.']);
    expect(double.last.errors).toEqual([]);
  });
});

describe('an OpenAI Realtime conversation that fails', () => {
  it('asks for a response again that failed before a word of it', async () => {
    double.answers.push({ status: 'failed', error: { type: 'server_error' } }, said('Yes.'));
    const { session, got, told } = open();
    session.respond();
    await heard('response.done');
    await clock.advance(200);
    await got('responded');
    expect(told().map(({ type }) => type)).toEqual(['text', 'audio', 'responded']);
  });

  it('fails a response that broke off after words of it', async () => {
    double.answers.push({
      ...said('Well'),
      status: 'failed',
      error: { type: 'server_error', message: 'no' },
    });
    const { session, got, told } = open();
    session.respond();
    await got('responseFailed');
    expect(told().at(-1)).toMatchObject({
      type: 'responseFailed',
      response: 0,
      error: { name: 'ProviderError', provider, failure: 'unavailable' },
    });
    expect(creates()).toHaveLength(1);
  });

  it('fails a response that is refused, and goes on', async () => {
    double.answers.push(
      { refused: { type: 'invalid_request_error', code: 'invalid_value', message: 'no' } },
      said('Yes.'),
    );
    const { session, got, told } = open();
    session.respond();
    session.respond();
    await got('responded');
    expect(told()[0]).toMatchObject({ type: 'responseFailed', response: 0, error: { failure: 'rejected' } });
    expect(told().at(-1)).toEqual({ type: 'responded', response: 1 });
  });

  it('asks a second connection where the first says nothing, and no third', async () => {
    double.answers.push({ holdAfter: 'nothing' }, { holdAfter: 'nothing' });
    const { session, got, told } = open();
    session.respond();
    await until(() => double.sessions.length === 1 && creates().length === 1);
    await clock.advance(4_000);
    await clock.advance(200);
    await ready(2);
    await until(() => creates().length === 1);
    await clock.advance(4_000);
    await got('responseFailed');
    expect(told()).toMatchObject([{ type: 'responseFailed', response: 0, error: { failure: 'timeout' } }]);
  });

  it('fails what the caller was hearing when the connection is cut', async () => {
    double.answers.push({ ...said('Well'), holdAfter: 'audio' });
    const { session, got, told } = open();
    session.respond();
    await got('audio');
    double.last.connection.cut();
    await got('responseFailed');
    expect(told().at(-1)).toMatchObject({ response: 0, error: { failure: 'unavailable' } });
  });

  it('goes on where an utterance is not transcribed in time', async () => {
    double.hearings.push({ silent: true });
    const { session, got, told } = open();
    await ready();
    session.push(speech(200));
    session.endUtterance();
    await until(() => double.last.committed.length === 1);
    await clock.advance(5_000);
    await got('failed');
    session.respond();
    await got('responded');
    expect(told()[0]).toMatchObject({ type: 'failed', utterance: 0, error: { failure: 'timeout' } });
    expect(double.dials).toBe(1);
  });

  it('throws where no session can be had', async () => {
    await double.close();
    double = await OpenAiRealtimeDouble.start({ upgrade: () => 401 });
    const { session, over, state, told } = open();
    session.push(speech(200));
    session.endUtterance();
    session.respond();
    await over;
    expect(state.error).toMatchObject({ name: 'ProviderError', failure: 'unauthorized', provider });
    expect(told().map(({ type }) => type)).toEqual(['failed', 'responseFailed']);
  });

  it('ends quietly when the signal fires', async () => {
    double.answers.push({ ...said('Well'), holdAfter: 'audio' });
    const { session, got, over, state, events } = open();
    session.respond();
    await got('audio');
    const { length } = events;
    abort.abort();
    await over;
    await double.last.connection.closed;
    session.push(speech(20));
    session.endUtterance();
    session.respond();
    session.cancel(0);
    session.truncate(0, 1, 'W');
    expect(state.error).toBeNull();
    expect(events).toHaveLength(length);
  });
});
