import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeMulaw } from '../../../src/audio/g711.ts';
import {
  type OpenAiRealtimeSpeechToTextSettings,
  openAiRealtimeSpeechToText,
} from '../../../src/providers/openai-realtime/speech-to-text.ts';
import type { SpeechToTextEvent, SpeechToTextOptions } from '../../../src/providers/ports.ts';
import { eavesdrop, until } from '../../support/eavesdrop.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { OpenAiRealtimeDouble } from '../../support/openai-realtime-double.ts';

const provider = 'openai/gpt-live-transcribe';

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

/** `ms` of μ-law that counts up, as a leg's samples at 8 kHz. */
const bytes = (ms: number, from = 0) => Uint8Array.from({ length: ms * 8 }, (_, i) => (i + from) % 127);
const speech = (ms: number, from = 0) => decodeMulaw(bytes(ms, from));

function provide(settings: Partial<OpenAiRealtimeSpeechToTextSettings> = {}) {
  return openAiRealtimeSpeechToText(
    { apiKey: 'key', baseUrl: double.baseUrl, dial: ear.dial, ...settings },
    clock,
    { fraction: () => 1 },
  );
}

function open(
  settings: Partial<OpenAiRealtimeSpeechToTextSettings> = {},
  options: Partial<SpeechToTextOptions> = {},
) {
  const session = provide(settings).open({ sampleRate: 8000, signal: abort.signal, ...options });
  const events: SpeechToTextEvent[] = [];
  const over = (async () => {
    for await (const event of session.events) events.push(event);
  })();
  const texts = () => events.filter(({ type }) => type !== 'usage');
  return { session, events, texts, over };
}

const heard = (type: string, times = 1) =>
  until(() => ear.heard.filter((other) => other === type).length >= times, `${type} (${times})`);
const ready = (sessions = 1) => heard('session.updated', sessions);
const committed = (count = 1) => until(() => double.last.committed.length === count, 'a commit');

describe('OpenAI Realtime speech to text', () => {
  it('passes the leg’s μ-law through, byte for byte, and tells interim and final texts', async () => {
    double.hearings.push({ deltas: ['Good ', 'morning.'], text: 'Good morning.' });
    const { session, events } = open({}, { language: 'en-GB', keywords: ['Ada', 'a<b'] });
    await ready();
    expect(double.last.connection.url.search).toBe('?intent=transcription');
    expect(double.last.config).toEqual({
      type: 'transcription',
      audio: {
        input: {
          format: { type: 'audio/pcmu' },
          transcription: { model: 'gpt-live-transcribe', languages: ['en'], keywords: ['Ada', 'a b'] },
          turn_detection: null,
        },
      },
    });
    for (let i = 0; i < 13; i++) session.push(speech(20, i * 160));
    expect(session.endUtterance()).toBe(0);
    await until(() => events.length === 4);
    expect(events).toEqual([
      { type: 'interim', utterance: 0, text: 'Good' },
      { type: 'interim', utterance: 0, text: 'Good morning.' },
      { type: 'usage', usage: { provider, audioSeconds: 1 } },
      { type: 'final', utterance: 0, text: 'Good morning.' },
    ]);
    expect(double.last.committed).toEqual([bytes(260)]);
    // 100 ms a message, and the rest.
    expect(double.last.received('input_audio_buffer.append')).toHaveLength(3);
  });

  it('sends 24 kHz PCM from a leg at 16 kHz', async () => {
    const { session, texts } = open({}, { sampleRate: 16_000 });
    await ready();
    session.push(new Int16Array(16_000));
    session.endUtterance();
    await until(() => texts().length === 1);
    expect(double.last.config?.audio?.input?.format).toEqual({ type: 'audio/pcm', rate: 24_000 });
    expect(double.last.committed[0]).toHaveLength(48_000);
  });

  it('keeps what is said before the connection stands', async () => {
    double.hearings.push({ text: 'early' });
    const { session, texts } = open();
    session.push(speech(300));
    session.endUtterance();
    await until(() => texts().length === 1);
    expect(texts()).toEqual([{ type: 'final', utterance: 0, text: 'early' }]);
    expect(double.last.committed).toEqual([bytes(300)]);
  });

  it('fills an utterance up that is shorter than the API takes, and commits none that is empty', async () => {
    double.hearings.push({ text: 'a' });
    const { session, texts } = open();
    await ready();
    session.push(speech(20));
    session.endUtterance();
    session.endUtterance();
    await until(() => texts().length === 2);
    expect(texts()).toEqual([
      { type: 'final', utterance: 0, text: 'a' },
      { type: 'final', utterance: 1, text: '' },
    ]);
    expect(double.last.errors).toEqual([]);
    expect(double.last.committed[0]!.subarray(160)).toEqual(new Uint8Array(800).fill(0xff));
  });

  it('tells finals in the order of the audio, whichever text is complete first', async () => {
    double.hearings.push({ silent: true }, { silent: true });
    const { session, texts } = open();
    await ready();
    session.push(speech(200));
    session.endUtterance();
    session.push(speech(200));
    session.endUtterance();
    await committed(2);
    const [first, second] = double.last.items.map(({ id }) => id as string);
    double.last.complete(second!, { text: 'second' });
    double.last.complete(first!, { text: 'first' });
    await until(() => texts().length === 2);
    expect(texts()).toEqual([
      { type: 'final', utterance: 0, text: 'first' },
      { type: 'final', utterance: 1, text: 'second' },
    ]);
  });

  it('gives a delta that comes before its commit is confirmed to the utterance that is ending, not to the next', async () => {
    const { session, texts } = open();
    await ready();
    session.push(speech(200));
    await until(() => double.last.buffer.length === 1600);
    double.hearings.push({ silent: true }, { silent: true });
    session.endUtterance();
    session.push(speech(200));
    // The server's answer to the commit is on its way behind this one.
    double.last.hear('one');
    await until(() => texts().length === 1);
    await committed(1);
    await until(() => double.last.buffer.length === 1600);
    double.last.hear('two');
    session.endUtterance();
    await committed(2);
    const [first, second] = double.last.items.map(({ id }) => id as string);
    double.last.complete(first!, { text: 'one' });
    await until(() => texts().length === 3);
    double.last.complete(second!, { text: 'two' });
    await until(() => texts().length === 4);
    expect(texts()).toEqual([
      { type: 'interim', utterance: 0, text: 'one' },
      { type: 'final', utterance: 0, text: 'one' },
      { type: 'interim', utterance: 1, text: 'two' },
      { type: 'final', utterance: 1, text: 'two' },
    ]);
  });

  it('calls an interim text stable once it has settled after a pause, and again for another pause', async () => {
    const { session, texts } = open({ settleMs: 250 });
    await ready();
    session.push(speech(150));
    session.pause();
    // All that was said is out at once, not only whole pieces.
    await until(() => double.last.buffer.length === 1200);
    double.last.hear('one');
    await until(() => texts().length === 1);
    await clock.advance(200);
    double.last.hear(' two');
    await until(() => texts().length === 2);
    await clock.advance(200);
    expect(texts()).toHaveLength(2);
    await clock.advance(50);
    await until(() => texts().length === 3);
    double.last.hear('!');
    await until(() => texts().length === 4);
    await clock.advance(250);
    await until(() => texts().length === 5);
    session.push(speech(20));
    session.pause();
    await clock.advance(250);
    await until(() => texts().length === 6);
    expect(texts()).toEqual([
      { type: 'interim', utterance: 0, text: 'one' },
      { type: 'interim', utterance: 0, text: 'one two' },
      { type: 'interim', utterance: 0, text: 'one two', stable: true },
      { type: 'interim', utterance: 0, text: 'one two!' },
      { type: 'interim', utterance: 0, text: 'one two!', stable: true },
      { type: 'interim', utterance: 0, text: 'one two!', stable: true },
    ]);
  });

  it('shows nothing more of discarded speech that was being transcribed', async () => {
    double.hearings.push({ text: 'hello' });
    const { session, texts } = open();
    await ready();
    session.push(speech(200));
    await until(() => double.last.buffer.length === 1600);
    const coughed = double.last.bufferItem;
    double.last.hear('cou');
    await until(() => texts().length === 1);
    session.discardUtterance();
    session.push(speech(200, 5));
    await heard('input_audio_buffer.cleared');
    const late = 'conversation.item.input_audio_transcription.delta';
    double.last.send({ type: late, item_id: coughed, delta: 'gh' });
    await heard(late, 2);
    session.endUtterance();
    await until(() => texts().length === 2);
    expect(texts()).toEqual([
      { type: 'interim', utterance: 0, text: 'cou' },
      { type: 'final', utterance: 0, text: 'hello' },
    ]);
    expect(double.last.committed).toEqual([bytes(200, 5)]);
  });

  it('shows nothing of discarded speech that the server transcribed before it heard of it', async () => {
    double.hearings.push({ text: 'hello' });
    const { session, texts } = open();
    await ready();
    session.push(speech(200));
    await until(() => double.last.buffer.length === 1600);
    session.discardUtterance();
    session.push(speech(200, 5));
    double.last.hear('cough');
    await heard('input_audio_buffer.cleared');
    session.endUtterance();
    await until(() => texts().length === 1);
    expect(texts()).toEqual([{ type: 'final', utterance: 0, text: 'hello' }]);
  });

  it('shows nothing of discarded speech that was told and not read', async () => {
    const session = provide().open({ sampleRate: 8000, signal: abort.signal });
    await ready();
    session.push(speech(200));
    await until(() => double.last.buffer.length === 1600);
    double.last.hear('cough');
    await heard('conversation.item.input_audio_transcription.delta');
    session.discardUtterance();
    double.hearings.push({ text: 'hello' });
    session.push(speech(200));
    session.endUtterance();
    for await (const event of session.events) {
      if (event.type === 'usage') continue;
      expect(event).toEqual({ type: 'final', utterance: 0, text: 'hello' });
      break;
    }
  });

  it('sends unfinished speech again when the connection is cut in the middle of it', async () => {
    const { session, texts } = open();
    await ready();
    double.hearings.push({ silent: true });
    session.push(speech(200));
    session.endUtterance();
    session.push(speech(300, 7));
    await committed();
    await until(() => double.last.buffer.length === 2400);
    double.hearings.push({ text: 'ended' });
    double.last.connection.cut();
    await heard('(closed)');
    session.push(speech(100, 9));
    await clock.advance(200);
    await ready(2);
    await until(() => texts().length === 1 && double.last.buffer.length === 3200);
    expect(double.last.committed).toEqual([bytes(200)]);
    expect(double.last.buffer).toEqual(Uint8Array.from([...bytes(300, 7), ...bytes(100, 9)]));
    expect(texts()).toEqual([{ type: 'final', utterance: 0, text: 'ended' }]);
  });

  it('says what was lost of an utterance too long to be sent again', async () => {
    const { session, texts } = open({ keepMs: 500 });
    await ready();
    for (let i = 0; i < 10; i++) session.push(speech(100, i));
    await until(() => double.last.buffer.length === 8000);
    double.hearings.push({ text: 'the end' });
    double.last.connection.cut();
    await heard('(closed)');
    await clock.advance(200);
    await ready(2);
    session.endUtterance();
    await until(() => texts().length === 1);
    expect(double.last.committed[0]).toHaveLength(4000);
    expect(texts()[0]).toMatchObject({
      type: 'final',
      text: 'the end',
      lost: { name: 'ProviderError', failure: 'unavailable' },
    });
  });

  it('asks once more on a new connection when a text is late, and then gives up', async () => {
    double.hearings.push({ silent: true }, { silent: true });
    const { session, texts } = open({ finalMs: 1000 });
    await ready();
    session.push(speech(200));
    session.endUtterance();
    await committed();
    await clock.advance(1000);
    await clock.advance(200);
    await ready(2);
    await committed();
    expect(double.last.committed).toEqual([bytes(200)]);
    await clock.advance(800);
    await until(() => texts().length === 1);
    expect(texts()[0]).toMatchObject({
      type: 'failed',
      utterance: 0,
      error: { failure: 'timeout', provider },
    });
  });

  it('hears of a text on the second connection where the first was silent', async () => {
    double.hearings.push({ silent: true }, { text: 'after all' });
    const { session, texts } = open({ finalMs: 1000 });
    await ready();
    session.push(speech(200));
    session.endUtterance();
    await committed();
    await clock.advance(1000);
    await clock.advance(200);
    await until(() => texts().length === 1);
    expect(texts()).toEqual([{ type: 'final', utterance: 0, text: 'after all' }]);
  });

  it('fails what the vendor could not transcribe, and goes on', async () => {
    double.hearings.push({ error: { type: 'server_error', message: 'overloaded' } }, { text: 'next' });
    const { session, texts } = open();
    await ready();
    for (let i = 0; i < 2; i++) {
      session.push(speech(200));
      session.endUtterance();
    }
    await until(() => texts().length === 2);
    expect(texts()[0]).toMatchObject({ type: 'failed', utterance: 0, error: { failure: 'unavailable' } });
    expect(texts()[1]).toEqual({ type: 'final', utterance: 1, text: 'next' });
  });

  it('tells the language that was heard where none was given', async () => {
    double.hearings.push({ text: 'Guten Tag', languages: ['de'] });
    const { session, texts } = open({ model: 'gpt-transcribe' });
    await ready();
    session.push(speech(200));
    session.endUtterance();
    await until(() => texts().length === 2);
    expect(texts()[0]).toEqual({ type: 'language', language: 'de' });
  });

  it('takes the warmed connection, with the leg’s own settings', async () => {
    const warmed = provide();
    warmed.warm?.();
    await ready();
    const session = warmed.open({ sampleRate: 8000, language: 'de', signal: abort.signal });
    session.push(speech(200));
    session.endUtterance();
    await committed();
    expect(double.dials).toBe(1);
    expect(double.last.config?.audio?.input?.transcription).toMatchObject({ languages: ['de'] });
    warmed.close?.();
  });

  it('leaves no warmed connection behind that nobody used', async () => {
    const warmed = provide();
    warmed.warm?.();
    await ready();
    warmed.close?.();
    await double.last.connection.closed;
  });

  it('ends quietly when the signal fires', async () => {
    double.hearings.push({ silent: true });
    const { session, over, texts } = open();
    await ready();
    session.push(speech(200));
    session.endUtterance();
    await committed();
    abort.abort();
    await over;
    await double.last.connection.closed;
    session.push(speech(20));
    expect(session.endUtterance()).toBe(1);
    expect(texts()).toEqual([]);
  });
});

describe('the connection of OpenAI Realtime speech to text', () => {
  it.each([
    [401, 'unauthorized', 1],
    [404, 'rejected', 1],
    [429, 'rate_limited', 4],
    [503, 'unavailable', 4],
  ] as const)('answers %i with %s after %i attempts', async (status, failure, attempts) => {
    await double.close();
    double = await OpenAiRealtimeDouble.start({ upgrade: () => status });
    const { session, texts } = open();
    session.push(speech(200));
    session.endUtterance();
    for (let i = 1; i < attempts; i++) {
      await heard('(refused)', i);
      await clock.advance(200 * 2 ** (i - 1));
    }
    await until(() => texts().length === 1);
    expect(texts()[0]).toMatchObject({ type: 'failed', error: { failure, provider, status } });
    expect(double.dials).toBe(attempts);
    expect(JSON.stringify(texts())).not.toContain('key"');
  });

  it('does not dial with every piece of audio after a failure', async () => {
    await double.close();
    double = await OpenAiRealtimeDouble.start({ upgrade: () => 404 });
    const { session } = open();
    await heard('(refused)');
    for (let i = 0; i < 50; i++) session.push(speech(20));
    expect(clock.pending).toBe(0);
    await clock.advance(2000);
    session.push(speech(20));
    await heard('(refused)', 2);
    expect(double.dials).toBe(2);
  });

  it('gives up on one that never opens', async () => {
    const { session, texts } = open({ dial: () => new Promise(() => {}), maxRetries: 0, connectMs: 1000 });
    session.push(speech(200));
    session.endUtterance();
    await clock.advance(1000);
    await until(() => texts().length === 1);
    expect(texts()[0]).toMatchObject({ type: 'failed', error: { failure: 'timeout' } });
  });

  it('gives up on one that never has its session ready', async () => {
    await double.close();
    double = await OpenAiRealtimeDouble.start({ unconfigurable: true });
    const { session, texts } = open({ maxRetries: 0, connectMs: 1000 });
    session.push(speech(200));
    session.endUtterance();
    await until(() => double.sessions[0]?.events.length === 1);
    await clock.advance(1000);
    await until(() => texts().length === 1);
    expect(texts()[0]).toMatchObject({ type: 'failed', error: { failure: 'timeout' } });
    await double.last.connection.closed;
  });

  it('notices a silent one while nobody speaks, and keeps one that answers', async () => {
    const { texts } = open({ silenceMs: 10_000 });
    await ready();
    await clock.advance(10_000);
    await heard('input_audio_buffer.cleared');
    await clock.advance(14_000);
    expect(double.sessions).toHaveLength(1);
    double.last.mute = true;
    await clock.advance(1_000);
    await clock.advance(5_000);
    await clock.advance(200);
    await ready(2);
    expect(texts()).toEqual([]);
  });

  it('never clears the caller’s speech to see whether the vendor lives', async () => {
    const { session } = open({ silenceMs: 10_000 });
    await ready();
    session.push(speech(200));
    await clock.advance(60_000);
    await until(() => double.last.buffer.length === 1600);
    expect(double.last.received('input_audio_buffer.clear')).toEqual([]);
  });

  it('stands on a new session before the vendor ends the old one, at a moment when nothing is under way', async () => {
    double.hearings.push({ text: 'old' }, { text: 'new' });
    const { session, texts } = open({ silenceMs: Number.POSITIVE_INFINITY });
    await ready();
    await clock.advance(3_600_000 - 120_001);
    expect(double.sessions).toHaveLength(1);
    session.push(speech(200));
    await clock.advance(1);
    await ready(2);
    const [old, next] = double.sessions;
    session.endUtterance();
    await until(() => texts().length === 1);
    expect(old!.committed).toHaveLength(1);
    await old!.connection.closed;
    session.push(speech(300));
    session.endUtterance();
    await until(() => texts().length === 2);
    expect(next!.committed).toEqual([bytes(300)]);
    expect(texts()).toEqual([
      { type: 'final', utterance: 0, text: 'old' },
      { type: 'final', utterance: 1, text: 'new' },
    ]);
  });

  it('takes the new session in the middle of an utterance where the caller does not pause', async () => {
    const { session, texts } = open({ silenceMs: Number.POSITIVE_INFINITY });
    await ready();
    await clock.advance(3_600_000 - 120_001);
    session.push(speech(200));
    await clock.advance(1);
    await ready(2);
    await clock.advance(105_000);
    double.hearings.push({ text: 'whole' });
    session.push(speech(100, 3));
    session.endUtterance();
    await until(() => texts().length === 1);
    expect(double.sessions[1]!.committed).toEqual([Uint8Array.from([...bytes(200), ...bytes(100, 3)])]);
  });

  it('believes the vendor’s own word for the end of the session', async () => {
    await double.close();
    double = await OpenAiRealtimeDouble.start({ expiresAt: () => Math.floor(clock.now() / 1000) + 600 });
    open({ silenceMs: Number.POSITIVE_INFINITY });
    await ready();
    await clock.advance(481_000);
    await ready(2);
  });

  it('opens another session where the vendor says that this one has expired', async () => {
    const { session, texts } = open();
    await ready();
    session.push(speech(200));
    await until(() => double.last.buffer.length === 1600);
    double.last.error({
      type: 'invalid_request_error',
      code: 'session_expired',
      message: 'Your session hit the maximum duration of 60 minutes.',
    });
    await double.last.connection.closed;
    await clock.advance(200);
    await ready(2);
    double.hearings.push({ text: 'kept' });
    session.endUtterance();
    await until(() => texts().length === 1);
    expect(double.last.committed).toEqual([bytes(200)]);
  });

  it.each([['{"type":'], ['7'], ['{"type":"input_audio_buffer.committed"}'], [new Uint8Array(4)]])(
    'drops a connection that sends %j',
    async (message) => {
      open();
      await ready();
      double.last.connection.send(message);
      await double.last.connection.closed;
      await clock.advance(200);
      await ready(2);
    },
  );

  it('is not disturbed by events that it does not know', async () => {
    open();
    await ready();
    double.last.connection.send({ type: 'conversation.mood.changed', mood: 'fine' });
    double.last.error({ type: 'server_error', message: 'never mind' });
    await until(() => double.last.received('session.update').length === 1);
    await clock.advance(1000);
    expect(double.sessions).toHaveLength(1);
  });
});
