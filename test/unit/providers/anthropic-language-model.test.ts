import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type AnthropicLanguageModelSettings,
  anthropicLanguageModel,
} from '../../../src/providers/anthropic/language-model.ts';
import type { LanguageModelEvent, LanguageModelRequest } from '../../../src/providers/ports.ts';
import {
  AnthropicDouble,
  body,
  errorOf,
  eventLines,
  events,
  hang,
  json,
  jsonOf,
  message,
  refuse,
  type ScriptedMessage,
  status,
  stream,
} from '../../support/anthropic-double.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Pauses } from '../../support/pauses.ts';

const path = '/v1/messages';
const provider = 'anthropic/claude-haiku-5-5';
const request: LanguageModelRequest = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
  ],
  maxOutputTokens: 50,
};
const usage = {
  type: 'usage',
  usage: { provider, inputTokens: 18, cachedInputTokens: 5, cacheWriteTokens: 2, outputTokens: 7 },
};

let double: AnthropicDouble;
let clock: FakeClock;
let pauses: Pauses;
beforeEach(async () => {
  double = await AnthropicDouble.start();
  clock = new FakeClock();
  pauses = new Pauses();
});
afterEach(async () => {
  expect(double.unexpected).toEqual([]);
  expect(clock.pending).toBe(0);
  await double.close();
});

function model(settings: Partial<AnthropicLanguageModelSettings> = {}) {
  return anthropicLanguageModel(
    { apiKey: 'secret-key', baseUrl: double.baseUrl, model: 'claude-haiku-5-5', ...settings },
    clock,
    pauses,
  );
}

async function collect(reply: AsyncIterable<LanguageModelEvent>) {
  const seen: LanguageModelEvent[] = [];
  try {
    for await (const event of reply) seen.push(event);
    return { seen, error: null };
  } catch (error) {
    return { seen, error };
  }
}

const reply = (settings?: Partial<AnthropicLanguageModelSettings>) =>
  collect(model(settings).reply(request, new AbortController().signal));
const replyTo = (script: ScriptedMessage, settings?: Partial<AnthropicLanguageModelSettings>) => {
  double.script(path, events(message(script)));
  return reply(settings);
};

describe('Anthropic language model', () => {
  it('streams the text as it comes, then the usage with the cached tokens', async () => {
    expect(await replyTo({ texts: ['Hello', ' there', '.'] })).toEqual({
      seen: [
        ...['Hello', ' there', '.'].map((text) => ({ type: 'text', text })),
        { type: 'finished' },
        usage,
      ],
      error: null,
    });
    expect(double.requests[0]!.headers.authorization).toBe('Bearer secret-key');
    expect(jsonOf(double.requests[0]!)).toEqual({
      model: 'claude-haiku-5-5',
      max_tokens: 50,
      system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
      thinking: { type: 'disabled' },
      stream: true,
    });
  });

  it('takes nothing from the environment', async () => {
    vi.stubEnv('ANTHROPIC_AUTH_TOKEN', 'other');
    vi.stubEnv('ANTHROPIC_BASE_URL', 'http://127.0.0.1:1');
    try {
      expect((await replyTo({ texts: ['a'] })).error).toBeNull();
      expect(double.requests[0]!.headers.authorization).toBe('Bearer secret-key');
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('does not speak what the model thinks, nor blocks that it does not know', async () => {
    const items = message({ thinking: 'The caller wants…', texts: ['Yes.'] });
    items.splice(
      2,
      0,
      { type: 'content_block_start', index: 9, content_block: { type: 'novelty', payload: 1 } },
      { type: 'content_block_delta', index: 9, delta: { type: 'novelty_delta', payload: 1 } },
      { type: 'novelty' },
    );
    double.script(path, events(items));
    expect((await reply()).seen).toEqual([{ type: 'text', text: 'Yes.' }, { type: 'finished' }, usage]);
  });

  it('retries when the vendor is overloaded, limits the rate or fails', async () => {
    double.script(
      path,
      status(529, 'overloaded_error'),
      status(429, 'rate_limit_error', 'slow down', { 'retry-after': '0' }),
      status(500, 'api_error'),
      events(message({ texts: ['ok'] })),
    );
    const result = reply();
    for (const pause of [1, 2, 3]) await pauses.pass(pause, clock);
    expect((await result).seen[0]).toEqual({ type: 'text', text: 'ok' });
    expect(double.requests).toHaveLength(4);
  });

  it('tells at once that it is to be left alone for longer than a caller can wait', async () => {
    double.script(path, status(429, 'rate_limit_error', 'later', { 'retry-after': '7' }));
    expect((await reply()).error).toMatchObject({
      failure: 'rate_limited',
      status: 429,
      retryAfterMs: 7_000,
    });
    expect(double.requests).toHaveLength(1);
  });

  it.each([
    [429, 'rate_limit_error', 'rate_limited', 2],
    [529, 'overloaded_error', 'unavailable', 2],
    [500, 'api_error', 'unavailable', 2],
    [504, 'timeout_error', 'timeout', 2],
    [503, 'something_new', 'unavailable', 2],
    [401, 'authentication_error', 'unauthorized', 1],
    [403, 'permission_error', 'unauthorized', 1],
    [402, 'billing_error', 'unauthorized', 1],
    [400, 'invalid_request_error', 'rejected', 1],
    [404, 'not_found_error', 'rejected', 1],
    [413, 'request_too_large', 'rejected', 1],
  ] as const)('fails with status %i %s as %s after %i attempts', async (code, type, failure, attempts) => {
    double.script(path, ...Array.from({ length: attempts }, () => status(code, type)));
    const result = reply({ maxRetries: 1 });
    if (attempts === 2) await pauses.pass(1, clock);
    expect(await result).toMatchObject({
      seen: [],
      error: { name: 'ProviderError', provider, failure, status: code },
    });
    expect(double.requests).toHaveLength(attempts);
  });

  it('does not repeat the key that the server repeats', async () => {
    double.script(path, status(401, 'authentication_error', 'invalid key secret-key'));
    expect(String((await reply()).error)).not.toContain('secret');
  });

  it('is unavailable when the connection breaks before an answer, and when nobody listens', async () => {
    double.script(path, refuse());
    expect((await reply({ maxRetries: 0 })).error).toMatchObject({ failure: 'unavailable' });
    const nobody = { baseUrl: 'http://127.0.0.1:1', maxRetries: 0 };
    expect((await reply(nobody)).error).toMatchObject({ failure: 'unavailable' });
  });

  it.each(['cut', 'complete'] as const)(
    'yields what came and is unavailable when the stream ends early: %s',
    async (end) => {
      double.script(path, events(message({ texts: ['Half', ' of'] }).slice(0, 5), end));
      expect(await reply()).toMatchObject({
        seen: [
          { type: 'text', text: 'Half' },
          { type: 'text', text: ' of' },
        ],
        error: { name: 'ProviderError', failure: 'unavailable' },
      });
      expect(double.requests).toHaveLength(1);
    },
  );

  it('takes a reply as whole when only its last event is lost, or late', async () => {
    const all = [{ type: 'text', text: 'All.' }, { type: 'finished' }, usage];
    const items = message({ texts: ['All.'] }).slice(0, -1);
    double.script(path, events(items, 'cut'), events(items, 'hang'));
    expect(await reply()).toEqual({ seen: all, error: null });
    const iterator = model({ idleMs: 300 })
      .reply(request, new AbortController().signal)
      [Symbol.asyncIterator]();
    for (const value of all) expect(await iterator.next()).toEqual({ done: false, value });
    const end = iterator.next();
    await clock.advance(300);
    expect(await end).toEqual({ done: true, value: undefined });
  });

  it.each([
    ['overloaded_error', 'unavailable'],
    ['api_error', 'unavailable'],
    ['rate_limit_error', 'rate_limited'],
    ['invalid_request_error', 'rejected'],
    ['timeout_error', 'timeout'],
  ])('understands an error in the middle of a stream: %s', async (type, failure) => {
    double.script(path, events([...message({ texts: ['Well'] }).slice(0, 4), errorOf(type)]));
    expect(await reply()).toMatchObject({
      seen: [{ type: 'text', text: 'Well' }],
      error: { name: 'ProviderError', failure },
    });
  });

  it.each([
    ['a page with status 200', body('<html>sign in</html>', 'text/html')],
    ['a whole message instead of a stream', json({ content: [{ type: 'text', text: 'Hello' }] })],
    ['an event that is no JSON', stream(['event: message_start\ndata: {"a\n\n'], 'text/event-stream')],
    ['an event that is no object', stream(['event: message_start\ndata: 5\n\n'], 'text/event-stream')],
    [
      'text that is no text',
      events([{ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: { a: 1 } } }]),
    ],
    ['a message without a message', events([{ type: 'message_start' }])],
    ['an empty reply', events(message({}))],
  ])('calls %s malformed, and does not ask again', async (_, answer) => {
    double.script(path, answer);
    expect((await reply()).error).toMatchObject({ name: 'ProviderError', failure: 'malformed' });
    expect(double.requests).toHaveLength(1);
  });

  it('is rejected where the model refuses, before and after it has begun to speak; it is charged all the same', async () => {
    const refusal = { stopReason: 'refusal', stopDetails: { type: 'refusal', category: 'cyber' } };
    expect(await replyTo(refusal)).toMatchObject({ seen: [usage], error: { failure: 'rejected' } });
    const { seen, error } = await replyTo({ ...refusal, texts: ['Well'] });
    expect(seen).toEqual([{ type: 'text', text: 'Well' }, usage]);
    expect(String(error)).toContain('refused (cyber)');
  });

  it.each(['max_tokens', 'stop_sequence', 'model_context_window_exceeded', 'something_new'])(
    'lets what was said stand when it ends for %s',
    async (stopReason) => {
      expect(await replyTo({ texts: ['And so on'], stopReason })).toMatchObject({
        seen: [{ type: 'text' }, { type: 'finished' }, usage],
        error: null,
      });
    },
  );

  it('stops a server that writes without end', async () => {
    const { seen, error } = await replyTo({ texts: Array.from({ length: 100 }, () => 'x'.repeat(100)) });
    expect(error).toMatchObject({ failure: 'malformed' });
    expect(seen.length).toBeLessThanOrEqual(17);
  });

  it('times out when the server accepts the request and hangs, and lets go of it', async () => {
    double.script(path, hang());
    const result = reply({ firstTokenMs: 800 });
    const received = await double.received(0);
    await clock.advance(799);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    expect((await result).error).toMatchObject({ name: 'ProviderError', failure: 'timeout' });
    await received.gone;
  });

  it('times out when only pings, empty pieces and thinking come', async () => {
    const items = message({ thinking: 'Hm.', texts: ['', ''] }).slice(0, -2);
    const ping = eventLines({ type: 'ping' });
    double.script(
      path,
      stream(
        items.flatMap((item) => [ping, eventLines(item)]),
        'text/event-stream',
        'hang',
      ),
    );
    const result = reply({ firstTokenMs: 800 });
    const received = await double.received(0);
    await clock.advance(800);
    expect((await result).error).toMatchObject({ failure: 'timeout' });
    await received.gone;
  });

  it('times out when the stream falls silent but for pings, after what it had yielded', async () => {
    const lines = [...message({ texts: ['Well'] }).slice(0, 4), { type: 'ping' }, { type: 'ping' }];
    double.script(path, events(lines, 'hang'));
    const iterator = model({ idleMs: 300 })
      .reply(request, new AbortController().signal)
      [Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: { type: 'text', text: 'Well' } });
    // The consumer's own time does not count.
    await clock.advance(60_000);
    const next = iterator.next();
    const settled = expect(next).rejects.toMatchObject({ failure: 'timeout' });
    await clock.advance(299);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    await settled;
  });

  it('ends quietly when it is aborted before, during the wait, between attempts and in the middle of the stream', async () => {
    expect(await collect(model().reply(request, AbortSignal.abort()))).toEqual({ seen: [], error: null });
    expect(double.requests).toHaveLength(0);

    double.script(path, hang());
    const waiting = new AbortController();
    const first = collect(model().reply(request, waiting.signal));
    const received = await double.received(0);
    waiting.abort(new Error('hung up'));
    expect(await first).toEqual({ seen: [], error: null });
    await received.gone;

    double.script(path, status(429, 'rate_limit_error', 'later', { 'retry-after': '5' }));
    const retrying = new AbortController();
    const second = collect(model().reply(request, retrying.signal));
    await pauses.begun(1);
    retrying.abort();
    expect(await second).toEqual({ seen: [], error: null });

    double.script(path, events(message({ texts: ['Well', 'no'] }), 'hang'));
    const streaming = new AbortController();
    const seen: LanguageModelEvent[] = [];
    for await (const event of model().reply(request, streaming.signal)) {
      seen.push(event);
      streaming.abort();
    }
    expect(seen).toEqual([{ type: 'text', text: 'Well' }]);
    await (await double.received(2)).gone;
  });

  it('lets go of the connection when the consumer stops early', async () => {
    double.script(path, events(message({ texts: ['Well'] }).slice(0, 4), 'hang'));
    for await (const event of model().reply(request, new AbortController().signal)) {
      expect(event.type).toBe('text');
      break;
    }
    await (await double.received(0)).gone;
  });

  describe('with tools', () => {
    const use = (id: string, ...input: string[]) => ({ id, name: 'look_up', input });
    const call = (id: string, text: string) => ({
      type: 'toolCall',
      call: { id, name: 'look_up', arguments: text },
    });

    it('yields each call whole, after the text and before the end', async () => {
      const tools = [use('toolu_1', '', '{"ord', 'er":7}'), use('toolu_2', '')];
      expect(await replyTo({ texts: ['One moment.'], tools })).toEqual({
        seen: [
          { type: 'text', text: 'One moment.' },
          call('toolu_1', '{"order":7}'),
          call('toolu_2', '{}'),
          { type: 'finished' },
          usage,
        ],
        error: null,
      });
    });

    it('takes a reply of calls alone', async () => {
      expect((await replyTo({ tools: [use('toolu_1', '{}')] })).seen).toHaveLength(3);
    });

    it.each([
      ['a call without an id', [use('', '{}')]],
      ['a name that no tool can have', [{ ...use('t1', '{}'), name: 'look up' }]],
      ['two calls of one id', [use('t1', '{}'), use('t1', '{}')]],
      ['nine calls', Array.from({ length: 9 }, (_, i) => use(`t${i}`, '{}'))],
      ['arguments without end', [use('t1', ...Array.from({ length: 9 }, () => ' '.repeat(2_000)))]],
    ])('calls %s malformed', async (_, tools) => {
      const { seen, error } = await replyTo({ tools });
      expect(seen.filter((event) => event.type !== 'usage')).toEqual([]);
      expect(error).toMatchObject({ name: 'ProviderError', failure: 'malformed' });
    });

    it('does not run a call that was cut off by the bound of the reply', async () => {
      const items = message({ tools: [use('t1', '{"order"')], stopReason: 'max_tokens' });
      double.script(path, events(items.filter((item) => item.type !== 'content_block_stop')));
      expect(await reply()).toMatchObject({ seen: [usage], error: { failure: 'malformed' } });
    });

    it('runs no call of a reply that was refused', async () => {
      const { seen } = await replyTo({ tools: [use('t1', '{}')], stopReason: 'refusal' });
      expect(seen).toEqual([usage]);
    });

    it('yields nothing more once it is aborted between two calls', async () => {
      double.script(path, events(message({ tools: [use('t1', '{}'), use('t2', '{}')] })));
      const hangUp = new AbortController();
      const seen: LanguageModelEvent[] = [];
      for await (const event of model().reply(request, hangUp.signal)) {
        seen.push(event);
        hangUp.abort();
      }
      expect(seen).toHaveLength(1);
    });
  });
});
