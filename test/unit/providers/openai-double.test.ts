import OpenAI, { InternalServerError, NotFoundError, RateLimitError } from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  body,
  completion,
  events,
  formOf,
  json,
  jsonOf,
  OpenAiDouble,
  status,
} from '../../support/openai-double.ts';

let double: OpenAiDouble;
let client: OpenAI;
beforeEach(async () => {
  double = await OpenAiDouble.start();
  client = new OpenAI({ apiKey: 'key', baseURL: double.baseUrl, maxRetries: 0, logLevel: 'off' });
});
afterEach(() => double.close());

describe('the OpenAI double, driven by the official client', () => {
  it('transcribes', async () => {
    double.script('/audio/transcriptions', json({ text: 'Hello.' }));
    const file = new File([new Uint8Array([1, 2, 3])], 'a.wav', { type: 'audio/wav' });
    const answer = await client.audio.transcriptions.create({ file, model: 'gpt-transcribe' });
    expect(answer.text).toBe('Hello.');
    const form = await formOf(double.requests[0]!);
    expect(form.get('model')).toBe('gpt-transcribe');
    expect((form.get('file') as unknown as File).name).toBe('a.wav');
    expect(double.requests[0]!.headers.authorization).toBe('Bearer key');
  });

  it('streams a chat completion with its usage', async () => {
    double.script('/chat/completions', events(completion(['Hel', 'lo.'])));
    const answer = await client.chat.completions.create({
      model: 'gpt-6-luna',
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let tokens = 0;
    for await (const chunk of answer) {
      text += chunk.choices[0]?.delta.content ?? '';
      tokens += chunk.usage?.total_tokens ?? 0;
    }
    expect({ text, tokens }).toEqual({ text: 'Hello.', tokens: 18 });
    expect(jsonOf(double.requests[0]!)).toMatchObject({ model: 'gpt-6-luna', stream: true });
  });

  it('streams tool calls', async () => {
    const pieces = [
      { index: 0, id: 'c1', type: 'function' as const, function: { name: 'look_up', arguments: '' } },
      { index: 0, function: { arguments: '{"a"' } },
      { index: 0, function: { arguments: ':1}' } },
    ];
    double.script('/chat/completions', events(completion([], 'tool_calls', pieces)));
    const answer = client.chat.completions.stream({
      model: 'gpt-6-luna',
      messages: [{ role: 'user', content: 'Hi' }],
      tools: [{ type: 'function', function: { name: 'look_up', parameters: {} } }],
    });
    const { choices } = await answer.finalChatCompletion();
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { tool_calls: [{ id: 'c1', function: { name: 'look_up', arguments: '{"a":1}' } }] },
    });
  });

  it('speaks', async () => {
    double.script('/audio/speech', body(new Uint8Array([1, 0, 2, 0]), 'audio/pcm'));
    const answer = await client.audio.speech.create({
      model: 'm',
      voice: 'alloy',
      input: 'Hi',
      response_format: 'pcm',
    });
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(new Uint8Array([1, 0, 2, 0]));
  });

  it('fails as OpenAI does, in the order of the script, and tells of what no script foresaw', async () => {
    double.script('/models', status(404, 'no such model'), status(429), json({ object: 'list', data: [] }));
    await expect(client.models.list()).rejects.toThrow(NotFoundError);
    await expect(client.models.list()).rejects.toThrow(RateLimitError);
    await expect(client.models.list()).resolves.toMatchObject({ data: [] });
    expect(double.unexpected).toEqual([]);
    await expect(client.models.list()).rejects.toThrow(InternalServerError);
    expect(double.unexpected).toHaveLength(1);
  });
});
