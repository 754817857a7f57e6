import { DeepgramClient } from '@deepgram/sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeMulaw, encodeMulaw } from '../../../src/audio/g711.ts';
import { type DeepgramDouble, deepgramDouble, silence, spoken } from '../../support/deepgram-double.ts';
import { saidIn } from '../../support/deepgram-speaker.ts';

let double: DeepgramDouble;
beforeEach(async () => {
  double = await deepgramDouble();
});
afterEach(() => double.close());

function client(apiKey = 'key') {
  const environment = { base: double.url, production: double.url, agent: double.url, agentRest: double.url };
  return new DeepgramClient({ apiKey, environment, reconnect: false });
}

/** Everything that a socket of the SDK brings until it closes. */
interface Socket<Message> {
  on(event: 'message', listener: (message: Message) => void): void;
  on(event: 'close', listener: (event: { code: number }) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  connect(): unknown;
  waitForOpen(): Promise<unknown>;
}

async function open<Message>(socket: Socket<Message>) {
  const messages: Message[] = [];
  const errors: Error[] = [];
  const watchers: (() => void)[] = [];
  socket.on('message', (message) => {
    messages.push(message);
    for (const watcher of watchers.splice(0)) watcher();
  });
  socket.on('error', (error) => errors.push(error));
  const closed = new Promise<number>((resolve) => socket.on('close', ({ code }) => resolve(code)));
  socket.connect();
  await socket.waitForOpen();
  return {
    messages,
    errors,
    closed,
    async until(condition: (message: Message) => boolean): Promise<Message> {
      for (;;) {
        const found = messages.find(condition);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => {
          watchers.push(resolve);
        });
      }
    },
  };
}

describe('the double of Deepgram, driven by @deepgram/sdk', () => {
  it('transcribes with interim, finalised and speech-final results, and says goodbye', async () => {
    const socket = await client().listen.v1.connect({
      model: 'nova-3',
      encoding: 'mulaw',
      sample_rate: 8000,
      interim_results: 'true',
      endpointing: 300,
      utterance_end_ms: 1000,
      reconnectAttempts: 0,
    });
    const { messages, errors, closed, until } = await open(socket);
    const results = () => messages.filter((message) => message.type === 'Results');
    socket.sendMedia(encodeMulaw(spoken('one two three')));
    await until((message) => message.type === 'Results' && message.is_final !== true);
    socket.sendKeepAlive({ type: 'KeepAlive' });
    socket.sendFinalize({ type: 'Finalize' });
    await until((message) => message.type === 'Results' && message.from_finalize === true);
    socket.sendMedia(encodeMulaw(spoken('four')));
    socket.sendMedia(encodeMulaw(silence(1500)));
    await until((message) => message.type === 'UtteranceEnd');
    socket.sendCloseStream({ type: 'CloseStream' });
    expect(await closed).toBe(1000);
    expect(errors).toEqual([]);
    const finals = results().filter((message) => message.is_final);
    expect(finals.map(({ channel }) => channel.alternatives[0]!.transcript)).toEqual([
      'one two three',
      'four',
      '',
    ]);
    expect(finals.map(({ speech_final }) => speech_final)).toEqual([false, true, false]);
    expect(finals[1]).toMatchObject({ start: 0.72, duration: 0.54 });
    expect(messages.at(-1)).toMatchObject({ type: 'Metadata' });
  });

  it('takes turns as Flux does: eager end, resumption, end, forced end', async () => {
    const socket = await client().listen.v2.connect({
      model: 'flux-general-en',
      encoding: 'linear16',
      sample_rate: 16_000,
      eager_eot_threshold: 0.5,
      reconnectAttempts: 0,
    });
    const { messages, errors, closed, until } = await open(socket);
    const turn = (event: string, index = 0) =>
      until(
        (message) => message.type === 'TurnInfo' && message.event === event && message.turn_index === index,
      );
    await until((message) => message.type === 'Connected');
    socket.sendMedia(spoken('one', 16_000));
    socket.sendMedia(silence(400, 16_000));
    await turn('EagerEndOfTurn');
    socket.sendMedia(spoken('two', 16_000));
    await turn('TurnResumed');
    socket.sendMedia(silence(800, 16_000));
    expect(await turn('EndOfTurn')).toMatchObject({ transcript: 'one two', trigger: 'model' });
    socket.sendMedia(spoken('three', 16_000));
    await turn('StartOfTurn', 1);
    socket.sendForceEndTurn({ type: 'ForceEndTurn' });
    expect(await turn('EndOfTurn', 1)).toMatchObject({ transcript: 'three', trigger: 'manual' });
    socket.sendCloseStream({ type: 'CloseStream' });
    await closed;
    expect(errors).toEqual([]);
    expect(messages.map((message) => 'sequence_id' in message && message.sequence_id)).toEqual(
      messages.map((_, i) => i),
    );
  });

  it('speaks what was flushed, and stops when it is cleared', async () => {
    const socket = await client().speak.v1.connect({
      model: 'aura-2-thalia-en',
      encoding: 'mulaw',
      sample_rate: '8000',
      reconnectAttempts: 0,
    });
    const { messages, errors, closed, until } = await open(socket);
    const type = (message: unknown) => (message as { type?: string }).type;
    socket.sendText({ type: 'Speak', text: 'Hello ' });
    socket.sendText({ type: 'Speak', text: 'there.' });
    socket.sendFlush({ type: 'Flush' });
    await until((message) => type(message) === 'Flushed');
    const audio = messages.filter((message) => message instanceof Blob);
    const bytes = new Uint8Array(await new Blob(audio).arrayBuffer());
    expect(saidIn(decodeMulaw(bytes))).toBe('Hello there.');
    socket.sendText({ type: 'Speak', text: 'This is not said to its end.' });
    socket.sendFlush({ type: 'Flush' });
    socket.sendClear({ type: 'Clear' });
    await until((message) => type(message) === 'Cleared');
    socket.sendClose({ type: 'Close' });
    expect(await closed).toBe(1000);
    expect(errors).toEqual([]);
    expect(type(messages[0])).toBe('Metadata');
    expect(messages.filter((message) => type(message) === 'Flushed')).toHaveLength(1);
  });

  it('warns after twenty flushes', async () => {
    const socket = await client().speak.v1.connect({ model: 'aura-2-thalia-en', reconnectAttempts: 0 });
    const { until, closed } = await open(socket);
    for (let i = 0; i < 21; i++) socket.sendFlush({ type: 'Flush' });
    const warning = await until((message) => (message as { type?: string }).type === 'Warning');
    expect(warning).toMatchObject({ description: expect.stringContaining('Flush') });
    socket.sendClose({ type: 'Close' });
    await closed;
  });

  it('refuses a wrong key', async () => {
    const socket = await client('wrong').listen.v1.connect({ model: 'nova-3', reconnectAttempts: 0 });
    const failed = new Promise<Error>((resolve) => socket.on('error', resolve));
    socket.connect();
    expect((await failed).message).toContain('401');
  });
});
