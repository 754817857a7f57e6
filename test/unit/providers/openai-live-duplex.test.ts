import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import type { DuplexEvent, DuplexOptions } from '../../../src/providers/duplex.ts';
import { openAiLiveDuplex } from '../../../src/providers/openai-live/duplex.ts';
import type { OpenAiLiveSettings } from '../../../src/providers/openai-live/settings.ts';
import type { Message } from '../../../src/providers/ports.ts';
import { eavesdrop, until } from '../../support/eavesdrop.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type LiveDoubleOptions, OpenAiLiveDouble } from '../../support/openai-live-double.ts';

const provider = 'openai/gpt-live-1';

let double: OpenAiLiveDouble;
let clock: FakeClock;
let abort: AbortController;
let ear: ReturnType<typeof eavesdrop>;
const begin = async (options: LiveDoubleOptions = {}) => {
  double = await OpenAiLiveDouble.start({ expiresAt: () => clock.now() / 1000 + 7_200, ...options });
};
beforeEach(() => {
  clock = new FakeClock();
  abort = new AbortController();
  ear = eavesdrop();
});
afterEach(async () => {
  abort.abort();
  expect(clock.pending).toBe(0);
  await double.close();
});

const bytes = (ms: number, from = 0) => Uint8Array.from({ length: ms * 8 }, (_, i) => (i + from) % 127);
const loud = (ms: number, from = 0) => decodeMulaw(bytes(ms, from));

function open(settings: Partial<OpenAiLiveSettings> = {}, options: Partial<DuplexOptions> = {}) {
  const duplex = openAiLiveDuplex(
    {
      apiKey: 'key',
      baseUrl: double.baseUrl,
      dial: ear.dial,
      silenceMs: Number.POSITIVE_INFINITY,
      ...settings,
    },
    clock,
    { fraction: () => 1 },
  );
  const session = duplex.open({
    sampleRate: 8000,
    instructions: 'Be kind.',
    voice: 'marin',
    history: () => [],
    signal: abort.signal,
    ...options,
  });
  const events: DuplexEvent[] = [];
  const state = { error: null as unknown };
  const over = (async () => {
    try {
      for await (const event of session.events) events.push(event);
    } catch (error) {
      state.error = error;
    }
  })();
  const got = (type: DuplexEvent['type'], times = 1) =>
    until(() => events.filter((event) => event.type === type).length >= times, `${type} (${times})`);
  const ofType = <T extends DuplexEvent['type']>(type: T) =>
    events.filter((event): event is Extract<DuplexEvent, { type: T }> => event.type === type);
  return { duplex, session, events, ofType, got, over, state };
}

const heard = (type: string, times = 1) =>
  until(() => ear.heard.filter((other) => other === type).length >= times, `${type} (${times})`);

describe('OpenAI Live', () => {
  it('starts a session with its first message, μ-law both ways, and hears and speaks at the same time', async () => {
    await begin();
    const { session, events, ofType, got } = open();
    await got('begun');
    expect(double.last.connection.url.pathname + double.last.connection.url.search).toBe('/v1/live/sessions');
    expect(double.last.config).toEqual({
      model: 'gpt-live-1',
      instructions: 'Be kind.',
      audio: { format: { type: 'audio/pcmu', rate: 8000 }, output: { voice: 'marin' } },
      delegation: { type: 'client' },
    });
    for (let at = 0; at < 100; at += 20) session.push(loud(20, at * 8));
    await until(() => double.last.timeMs === 100);
    expect(double.last.input).toEqual(bytes(100));
    double.last.hear(' When', 0, 200);
    double.last.say(bytes(100, 7), ' At');
    double.last.hear(' do', 200, 400);
    double.last.say(bytes(60, 9), ' nine.');
    await got('audio', 2);
    expect(events.filter(({ type }) => type !== 'audio')).toEqual([
      { type: 'begun' },
      { type: 'callerText', text: ' When', fromMs: 0, untilMs: 200 },
      { type: 'agentText', text: ' At', fromMs: 0, untilMs: 100 },
      { type: 'callerText', text: ' do', fromMs: 200, untilMs: 400 },
      { type: 'agentText', text: ' nine.', fromMs: 100, untilMs: 160 },
    ]);
    expect(ofType('audio').map(({ atMs }) => atMs)).toEqual([0, 100]);
    expect(encodeMulaw(ofType('audio')[1]!.samples)).toEqual(bytes(60, 9));
  });

  it('passes 16 kHz without conversion, wherever the pieces were cut', async () => {
    await begin();
    const { session, ofType, got } = open({}, { sampleRate: 16_000 });
    await got('begun');
    expect(double.last.config?.audio?.format).toEqual({ type: 'audio/pcm', rate: 16_000 });
    const samples = Int16Array.from({ length: 320 }, (_, i) => i * 91 - 15_000);
    const raw = new Uint8Array(samples.buffer);
    session.push(samples);
    await until(() => double.last.timeMs === 20);
    expect(double.last.input).toEqual(raw);
    double.last.say(raw.subarray(0, 33));
    double.last.say(raw.subarray(33));
    await got('audio', 2);
    expect(ofType('audio').flatMap((event) => [...event.samples])).toEqual([...samples]);
  });

  it('notes, instructs and answers, each as the API has it, in pieces that it takes', async () => {
    await begin();
    const { session, ofType, got } = open();
    await got('begun');
    session.note('She said Ada.');
    session.instruct('Greet now.');
    const delegation = double.last.delegate();
    await got('delegated');
    expect(ofType('delegated')).toEqual([{ type: 'delegated', delegation }]);
    const long = Array.from({ length: 400 }, (_, i) => `word${i}`).join(' ');
    session.answer(delegation, long);
    session.answer('item_of_another_session', 'Late.');
    session.push(loud(20));
    await heard('session.commentary.appended', 3);
    const sent = double.last.events.slice(1);
    expect(sent[0]).toEqual({
      type: 'session.thinking.append',
      content: 'She said Ada.',
      delegation_id: null,
    });
    expect(sent[1]).toEqual({
      type: 'session.instructions.append',
      content: 'Greet now.',
      delegation_id: null,
    });
    const answers = double.last.received('session.commentary.append');
    expect(answers.map((event) => event.delegation_id)).toEqual([delegation, delegation, delegation, null]);
    expect(
      answers
        .slice(0, 3)
        .map(({ content }) => content)
        .join(' '),
    ).toBe(long);
    expect(double.last.errors).toEqual([]);
  });

  it('supplies silence where the line sends nothing, or the model would stand still', async () => {
    await begin();
    const { session, got } = open();
    await got('begun');
    session.push(loud(20));
    await clock.advance(1_000);
    session.push(loud(20));
    await clock.advance(0);
    await until(() => double.last.timeMs >= 840);
    expect(double.last.timeMs).toBeLessThanOrEqual(1_220);
    expect([...double.last.input.subarray(160, 320)].every((byte) => byte === 0xff)).toBe(true);
  });

  it('keeps what the caller says before there is a session, and is on time again after the next silence', async () => {
    await begin();
    const { session, got } = open({ keepMs: 1_000 });
    // The oldest goes first.
    for (let at = 0; at < 1_200; at += 20) session.push(loud(20, (at / 20) * 160));
    await got('begun');
    await until(() => double.last.timeMs === 1_000);
    expect(double.last.input.subarray(0, 160)).toEqual(bytes(20, 10 * 160));
    const quiet = new Int16Array(160).fill(20);
    for (let at = 0; at < 1_000; at += 20) {
      await clock.advance(20);
      session.push(at < 100 ? loud(20) : quiet);
    }
    await until(() => double.last.timeMs >= 1_200);
    await clock.advance(0);
    // 1,000 ms ahead, of which 100 more were words: all but 200 ms of it was made up for.
    expect(double.last.timeMs - 1_000).toBeLessThanOrEqual(220);
  });

  it('tells usage as what has come to it, though the API counts up', async () => {
    await begin();
    const { session, ofType, got, over } = open();
    await got('begun');
    double.last.use(15);
    double.last.use(15);
    double.last.use(31);
    await got('usage', 2);
    session.end();
    await until(() => double.last.received('session.close').length === 1);
    await over;
    expect(ofType('usage').map(({ usage }) => usage)).toEqual([
      { provider, audioSeconds: 15 },
      { provider, audioSeconds: 16 },
    ]);
  });

  it('ends with the words and the usage that are still to come', async () => {
    await begin({ unclosable: true });
    const { session, ofType, got, over, state } = open();
    await got('begun');
    session.end();
    session.push(loud(20));
    await until(() => double.last.received('session.close').length === 1);
    double.last.hear(' Goodbye.', 0, 200);
    double.last.finish('close_requested', 9);
    await over;
    expect(ofType('callerText').map(({ text }) => text)).toEqual([' Goodbye.']);
    expect(ofType('usage').map(({ usage }) => usage.audioSeconds)).toEqual([9]);
    expect(double.last.timeMs).toBe(0);
    expect(state.error).toBeNull();
  });

  it('does not wait for ever for the end', async () => {
    await begin({ unclosable: true });
    const { session, got, over, state } = open();
    await got('begun');
    session.end();
    await clock.advance(5_000);
    await over;
    expect(state.error).toBeNull();
    expect(clock.pending).toBe(0);
  });

  it('that is ended before there is a session leaves none behind', async () => {
    await begin({ unstartable: true });
    const { session, over } = open();
    await until(() => double.sessions.length === 1);
    session.end();
    await over;
    await double.last.connection.closed;
  });

  it('begins another session with the call’s history where one is lost, and its line goes on', async () => {
    await begin();
    const history: Message[] = [{ role: 'system', content: 'Be kind.' }];
    const { session, ofType, got } = open({}, { history: () => history });
    await got('begun');
    double.last.say(bytes(100), 'One moment.');
    const delegation = double.last.delegate();
    await got('delegated');
    history.push(
      { role: 'user', content: 'When do you open?' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'c', name: 'look_up', arguments: '{"a":1}' }] },
      { role: 'tool', toolCallId: 'c', content: '9:00' },
      { role: 'assistant', content: 'At nine.' },
    );
    double.last.connection.cut();
    await got('lost');
    expect(ofType('lost')[0]?.error).toMatchObject({ provider, failure: 'unavailable' });
    session.push(loud(20));
    session.note('Nobody reads this.');
    await got('begun', 2);
    expect(double.last.config?.input).toEqual([
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'When do you open?' }] },
      {
        type: 'message',
        role: 'developer',
        content: [{ type: 'input_text', text: 'A tool was used: look_up({"a":1})' }],
      },
      {
        type: 'message',
        role: 'developer',
        content: [{ type: 'input_text', text: 'The tool answered: 9:00' }],
      },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'At nine.' }] },
    ]);
    await until(() => double.last.timeMs === 20);
    double.last.say(bytes(50), 'Hello again.');
    double.last.hear('Yes.', 100, 200);
    await got('callerText');
    expect(ofType('audio').map(({ atMs }) => atMs)).toEqual([0, 100]);
    expect(ofType('agentText')[1]).toMatchObject({ fromMs: 100, untilMs: 150 });
    expect(ofType('callerText')[0]).toMatchObject({ fromMs: 200, untilMs: 300 });
    // What the lost session delegated is answered to the new one as news.
    session.answer(delegation, 'At nine.');
    await until(() => double.last.received('session.commentary.append').length === 1);
    expect(double.last.received('session.commentary.append')[0]?.delegation_id).toBeNull();
  });

  it('is given up at the second loss in a row, and renewed again after a good while', async () => {
    await begin();
    const { ofType, got, over, state } = open();
    await got('begun');
    await clock.advance(30_000);
    double.last.connection.cut();
    await got('begun', 2);
    await clock.advance(30_000);
    double.last.connection.cut();
    await got('begun', 3);
    double.last.connection.cut();
    await over;
    expect(ofType('lost')).toHaveLength(2);
    expect(state.error).toMatchObject({ provider, failure: 'unavailable' });
    expect(double.sessions).toHaveLength(3);
  });

  it('tries to connect three times, with growing waits, and not at all with a wrong key', async () => {
    await begin({ upgrade: () => 503 });
    const first = open();
    await heard('(refused)', 1);
    await clock.advance(200);
    await heard('(refused)', 2);
    await clock.advance(399);
    expect(double.dials).toBe(2);
    await clock.advance(1);
    await heard('(refused)', 3);
    await first.over;
    expect(first.state.error).toMatchObject({ failure: 'unavailable', status: 503 });
    const second = open({ baseUrl: `${double.baseUrl}/nowhere`, apiKey: 'another' });
    await until(() => double.dials === 4);
    second.session.end();
    await second.over;
    await double.close();
    await begin();
    const third = open({ apiKey: 'another' });
    await third.over;
    expect(third.state.error).toMatchObject({ failure: 'unauthorized' });
    expect(String(third.state.error)).not.toContain('another');
    expect(double.dials).toBe(1);
  });

  it.each([
    ['upgrade', { upgrade: () => 'hang' as const }],
    ['session', { unstartable: true }],
  ])('waits for the %s only so long', async (_what, options) => {
    await begin(options);
    const { over, state } = open({ maxRetries: 0, connectMs: 2_000 });
    await until(() => double.dials === 1 && (_what === 'upgrade' || double.sessions[0]?.events.length === 1));
    await clock.advance(2_000);
    await over;
    expect(state.error).toMatchObject({ failure: 'timeout' });
  });

  it('that is refused its start is not tried again', async () => {
    await begin();
    double.refusal = { type: 'invalid_request_error', code: 'model_not_found', message: 'no such model' };
    const { over, state } = open();
    await over;
    expect(state.error).toMatchObject({ failure: 'rejected', message: `${provider}: no such model` });
    expect(double.dials).toBe(1);
  });

  it('notices a session that has gone silent', async () => {
    await begin();
    const { ofType, got } = open({ silenceMs: 10_000 });
    await got('begun');
    await clock.advance(9_000);
    double.last.say(bytes(20));
    await got('audio');
    await clock.advance(9_999);
    expect(ofType('lost')).toHaveLength(0);
    await clock.advance(1);
    await got('lost');
    expect(ofType('lost')[0]?.error).toMatchObject({ failure: 'timeout' });
    await got('begun', 2);
  });

  it('survives a refused command, and loses a session that cannot be understood', async () => {
    await begin();
    const { ofType, got } = open();
    await got('begun');
    double.last.error({ type: 'invalid_request_error', code: 'invalid_value', message: 'too long' });
    await got('refused');
    expect(ofType('refused')[0]?.error).toMatchObject({ failure: 'rejected' });
    double.last.connection.send({ type: 'session.something.new', event_id: 'e' });
    double.last.say(bytes(20));
    await got('audio');
    double.last.connection.send({ type: 'session.output_audio.delta', delta: '*' });
    await got('lost');
    expect(ofType('lost')[0]?.error).toMatchObject({ failure: 'malformed' });
    await got('begun', 2);
  });

  it('that a safety filter ended is not begun again', async () => {
    await begin();
    const { got, over, state } = open();
    await got('begun');
    double.last.finish('content', 3);
    await over;
    expect(state.error).toMatchObject({ failure: 'rejected' });
    expect(double.sessions).toHaveLength(1);
  });

  it('takes another session before its limit, in a silence of the model’s, and hears on', async () => {
    await begin({ expiresAt: () => clock.now() / 1000 + 300 });
    const { session, ofType, got } = open();
    await got('begun');
    const old = double.last;
    await clock.advance(239_000);
    old.say(bytes(100), 'Well');
    await got('audio');
    await clock.advance(1_000);
    expect(double.sessions).toHaveLength(1);
    old.say(new Uint8Array(8_000).fill(0xff));
    await got('audio', 2);
    await clock.advance(500);
    await got('begun', 2);
    expect(double.sessions).toHaveLength(2);
    expect(double.sessions).toHaveLength(2);
    expect(ofType('lost')).toHaveLength(0);
    await until(() => old.received('session.close').length === 1);
    await got('usage');
    session.push(loud(20));
    await until(() => double.last.timeMs >= 20);
    expect(double.last).not.toBe(old);
  });

  it('takes another session in the middle of a speech, if the speech does not end', async () => {
    await begin({ expiresAt: () => clock.now() / 1000 + 300 });
    const { got, ofType } = open();
    await got('begun');
    double.last.say(bytes(100));
    await got('audio');
    await clock.advance(279_500);
    expect(double.sessions).toHaveLength(1);
    await clock.advance(1_000);
    await got('begun', 2);
    expect(ofType('lost')).toHaveLength(0);
  });

  it('yields nothing after its signal, and closes its socket', async () => {
    await begin();
    const { events, got, over, session } = open();
    await got('begun');
    abort.abort();
    session.push(loud(20));
    session.note('Nothing.');
    await over;
    await double.last.connection.closed;
    expect(events).toEqual([{ type: 'begun' }]);
  });
});
