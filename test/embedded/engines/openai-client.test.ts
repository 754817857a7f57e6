import OpenAI, { AuthenticationError, BadRequestError, NotFoundError } from 'openai';
import { expect, test } from 'vitest';
import { parseWav } from '../../../src/audio/wav.ts';
import { useEngines, wavFile } from './support.ts';

const server = useEngines();

async function failure(request: PromiseLike<unknown>): Promise<unknown> {
  try {
    await request;
  } catch (error) {
    return error;
  }
  throw new Error('the request was answered');
}

const question = [{ role: 'user' as const, content: 'What time does the shop close on a Saturday?' }];

test('lists its models, under their own names and the aliases, and retrieves each', async () => {
  const ids = [];
  for await (const model of server.client().models.list()) ids.push(model.id);
  expect(ids).toEqual(
    expect.arrayContaining(['moonshine-tiny', 'flite', 'intents', 'gpt-6-luna', 'gpt-transcribe']),
  );
  expect((await server.client().models.retrieve('gpt-6-luna')).owned_by).toBe('ai-call-handler/intents');
  expect(await failure(server.client().models.retrieve('gpt-17'))).toBeInstanceOf(NotFoundError);
});

test('a reply in one piece has text, finish reason and usage', async () => {
  const completion = await server
    .client()
    .chat.completions.create({ model: 'gpt-6-luna', messages: question });
  expect(completion.choices[0]?.message.content).toBe('On Saturday we are open from ten to four.');
  expect(completion.choices[0]?.finish_reason).toBe('stop');
  expect(completion.usage?.completion_tokens).toBeGreaterThan(5);
  expect(completion.usage?.total_tokens).toBe(
    completion.usage!.prompt_tokens + completion.usage!.completion_tokens,
  );
});

test('a streamed reply comes word by word, with the usage last', async () => {
  const stream = await server.client().chat.completions.create({
    model: 'gpt-6-luna',
    messages: question,
    stream: true,
    stream_options: { include_usage: true },
  });
  const words = [];
  const usages = [];
  const reasons = [];
  for await (const chunk of stream) {
    words.push(chunk.choices[0]?.delta.content ?? '');
    usages.push(chunk.usage);
    reasons.push(chunk.choices[0]?.finish_reason ?? null);
  }
  expect(words.join('')).toBe('On Saturday we are open from ten to four.');
  expect(words.filter((word) => word !== '').length).toBe(9);
  expect(usages.at(-1)?.completion_tokens).toBeGreaterThan(5);
  expect(usages.slice(0, -1).every((usage) => usage === null)).toBe(true);
  expect(reasons.filter((reason) => reason !== null)).toEqual(['stop']);
});

test('a reply is cut at max_completion_tokens and says so', async () => {
  const completion = await server
    .client()
    .chat.completions.create({ model: 'intents', messages: question, max_completion_tokens: 4 });
  expect(completion.choices[0]?.finish_reason).toBe('length');
  expect(completion.usage?.completion_tokens).toBeLessThanOrEqual(4);
});

test('speech is 24 kHz PCM of a plausible length, and slower speech is longer', async () => {
  const speak = async (speed: number) =>
    (
      await server.client().audio.speech.create({
        model: 'gpt-4o-mini-tts',
        voice: 'alloy',
        input: 'We are open from nine until five.',
        response_format: 'pcm',
        speed,
      })
    ).arrayBuffer();
  const normal = new Int16Array(await speak(1));
  const slow = new Int16Array(await speak(0.5));
  expect(normal.length / 24_000).toBeGreaterThan(1.2);
  expect(normal.length / 24_000).toBeLessThan(4);
  expect(slow.length / normal.length).toBeGreaterThan(1.6);
  expect(Math.max(...normal)).toBeGreaterThan(3000);
});

test('speech as WAV has an open length and the same samples', async () => {
  const speak = async (format: 'wav' | 'pcm') => {
    const request = { model: 'flite', voice: 'slt', input: 'Hello there.', response_format: format };
    return new Uint8Array(await (await server.client().audio.speech.create(request)).arrayBuffer());
  };
  const wav = parseWav(await speak('wav'));
  expect(wav).toMatchObject({ sampleRate: 24_000, channels: 1, encoding: 'pcm16' });
  expect(Buffer.compare(wav.data, await speak('pcm'))).toBe(0);
});

test('the five voices differ', async () => {
  const lengths = new Set<number>();
  for (const voice of ['rms', 'slt', 'awb', 'kal', 'kal16']) {
    const response = await server.client().audio.speech.create({
      model: 'flite',
      voice,
      input: 'Good morning everybody.',
      response_format: 'pcm',
    });
    lengths.add((await response.arrayBuffer()).byteLength);
  }
  expect(lengths.size).toBe(5);
});

test('text without anything to pronounce is a short silence, not a failure', async () => {
  const response = await server
    .client()
    .audio.speech.create({ model: 'flite', voice: 'rms', input: '👍 …', response_format: 'pcm' });
  const samples = new Int16Array(await response.arrayBuffer());
  expect(samples.length).toBe(4800);
  expect(samples.every((sample) => sample === 0)).toBe(true);
});

test('transcription has the formats json, text and verbose_json', async () => {
  const file = wavFile(new Int16Array(8000), 8000);
  const client = server.client();
  const request = { file, model: 'whisper-1' };
  expect(await client.audio.transcriptions.create(request)).toMatchObject({
    text: '',
    usage: { seconds: 1 },
  });
  expect(await client.audio.transcriptions.create({ ...request, response_format: 'text' })).toBe('\n');
  expect(
    await client.audio.transcriptions.create({ ...request, response_format: 'verbose_json' }),
  ).toMatchObject({
    text: '',
    language: 'english',
    duration: 1,
  });
});

test('a wrong key is an AuthenticationError on every path', async () => {
  const client = new OpenAI({ apiKey: 'wrong', baseURL: `${server.engines.url}/v1`, maxRetries: 0 });
  for (const request of [
    client.models.list(),
    client.models.retrieve('flite'),
    client.chat.completions.create({ model: 'intents', messages: question }),
    client.audio.speech.create({ model: 'flite', voice: 'rms', input: 'Hello.' }),
    client.audio.transcriptions.create({
      model: 'moonshine-tiny',
      file: wavFile(new Int16Array(8000), 8000),
    }),
  ]) {
    const error = await failure(request);
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'invalid_request_error' });
  }
});

test('an unknown model, and one of another kind, is a NotFoundError', async () => {
  const client = server.client();
  for (const model of ['gpt-17', 'flite', 'constructor']) {
    const error = await failure(client.chat.completions.create({ model, messages: question }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found' });
  }
  const file = wavFile(new Int16Array(8000), 8000);
  expect(await failure(client.audio.transcriptions.create({ model: 'nope', file }))).toBeInstanceOf(
    NotFoundError,
  );
  const speech = client.audio.speech.create({ model: 'nope', voice: 'rms', input: 'Hello.' });
  expect(await failure(speech)).toBeInstanceOf(NotFoundError);
});

test('wrong values are a BadRequestError that names the parameter', async () => {
  const client = server.client();
  const speech = { model: 'flite', voice: 'rms', input: 'Hello.' };
  const cases: [string, PromiseLike<unknown>][] = [
    ['input', client.audio.speech.create({ ...speech, input: 'a'.repeat(4097) })],
    ['voice', client.audio.speech.create({ ...speech, voice: 'nobody' })],
    ['speed', client.audio.speech.create({ ...speech, speed: 9 })],
    ['response_format', client.audio.speech.create({ ...speech, response_format: 'mp3' })],
    ['messages', client.chat.completions.create({ model: 'intents', messages: [] })],
    ['n', client.chat.completions.create({ model: 'intents', messages: question, n: 3 })],
  ];
  for (const [param, request] of cases) {
    const error = await failure(request);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ param });
  }
});

test('a file that is no WAV, is too short or has a strange rate is a BadRequestError', async () => {
  const files = [
    new File(['not audio at all'], 'speech.wav'),
    new File([''], 'speech.wav'),
    wavFile(new Int16Array(400), 8000),
    wavFile(new Int16Array(11_025), 11_025),
  ];
  for (const file of files) {
    const error = await failure(server.client().audio.transcriptions.create({ model: 'whisper-1', file }));
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ param: 'file' });
  }
});

test('a file over 25 MB is refused with 413', async () => {
  const file = wavFile(new Int16Array(13 * 1024 * 1024 + 1), 48_000);
  const error = await failure(server.client().audio.transcriptions.create({ model: 'whisper-1', file }));
  expect(error).toMatchObject({ status: 413, code: 'content_too_large' });
});

const transferTool = (names: string[]) => ({
  type: 'function' as const,
  function: {
    name: 'transfer_call',
    parameters: { type: 'object', properties: { to: { type: 'string', enum: names } }, required: ['to'] },
  },
});
const somebody = { role: 'user' as const, content: 'I would like to talk to somebody.' };

test('somebody is asked for: the tool that connects callers is asked for, whole or streamed', async () => {
  const request = { model: 'intents', messages: [somebody], tools: [transferTool(['desk', 'workshop'])] };
  const whole = await server.client().chat.completions.create(request);
  expect(whole.choices[0]).toMatchObject({
    finish_reason: 'tool_calls',
    message: {
      content: null,
      tool_calls: [{ function: { name: 'transfer_call', arguments: '{"to":"desk"}' } }],
    },
  });
  const runner = server.client().chat.completions.stream(request);
  const { choices } = await runner.finalChatCompletion();
  expect(choices[0]?.message.tool_calls).toMatchObject([{ function: { arguments: '{"to":"desk"}' } }]);
});

test('what became of it is told; without the tool a message is taken as ever', async () => {
  const asked = {
    role: 'assistant' as const,
    content: null,
    tool_calls: [
      { id: 'a', type: 'function' as const, function: { name: 'transfer_call', arguments: '{"to":"desk"}' } },
    ],
  };
  const done = { role: 'tool' as const, tool_call_id: 'a', content: 'The caller is connected.' };
  const failed = {
    role: 'system' as const,
    content: 'The transfer did not come about: the line is busy. More.',
  };
  const prompt = { role: 'system' as const, content: 'You are an agent.' };
  const replyTo = async (...messages: OpenAI.ChatCompletionMessageParam[]) => {
    const { choices } = await server.client().chat.completions.create({ model: 'intents', messages });
    return choices[0]?.message.content;
  };
  expect(await replyTo(prompt, somebody, asked, done)).toBe('One moment, I connect you.');
  expect(await replyTo(prompt, somebody, asked, done, failed)).toBe(
    'I am sorry, the line is busy. What else can I do for you?',
  );
  expect(await replyTo(prompt, somebody)).toContain('your name, your number');
  expect(await replyTo(prompt)).toContain('What can I do for you?');
});
