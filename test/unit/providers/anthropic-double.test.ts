import Anthropic from '@anthropic-ai/sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AnthropicDouble, errorOf, events, jsonOf, message, status } from '../../support/anthropic-double.ts';

let double: AnthropicDouble;
let client: Anthropic;
beforeEach(async () => {
  double = await AnthropicDouble.start();
  client = new Anthropic({ apiKey: 'key', baseURL: double.baseUrl, maxRetries: 0, logLevel: 'off' });
});
afterEach(() => double.close());

const request = {
  model: 'claude-haiku-5-5',
  max_tokens: 50,
  messages: [{ role: 'user' as const, content: 'Hi' }],
};

describe('the Anthropic double, driven by the official client', () => {
  it('streams a reply that the client puts together, with its usage', async () => {
    double.script(
      '/v1/messages',
      events(
        message({
          thinking: 'Hm.',
          texts: ['Hel', 'lo.'],
          tools: [{ id: 'toolu_1', name: 'look_up', input: ['', '{"a"', ':1}'] }],
        }),
      ),
    );
    const answer = await client.messages.stream(request).finalMessage();
    expect(answer.content).toMatchObject([
      { type: 'thinking', thinking: 'Hm.' },
      { type: 'text', text: 'Hello.' },
      { type: 'tool_use', id: 'toolu_1', name: 'look_up', input: { a: 1 } },
    ]);
    expect(answer).toMatchObject({
      stop_reason: 'tool_use',
      usage: { input_tokens: 11, cache_read_input_tokens: 5, output_tokens: 7 },
    });
    expect(jsonOf(double.requests[0]!)).toEqual({ ...request, stream: true });
    expect(double.requests[0]!.headers).toMatchObject({ 'anthropic-version': '2026-10-21' });
  });

  it('fails as Anthropic does, with a status and in the middle of a stream', async () => {
    double.script(
      '/v1/messages',
      status(529, 'overloaded_error'),
      status(401, 'authentication_error'),
      events([...message({ texts: ['Well'] }).slice(0, 4), errorOf('overloaded_error')]),
    );
    const reply = () => client.messages.stream(request).finalMessage();
    await expect(reply()).rejects.toThrow(Anthropic.OverloadedError);
    await expect(reply()).rejects.toThrow(Anthropic.AuthenticationError);
    await expect(reply()).rejects.toMatchObject({ type: 'overloaded_error', status: undefined });
    expect(double.unexpected).toEqual([]);
  });
});
