import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type OpenAiLanguageModelSettings,
  openAiLanguageModel,
} from '../../../src/providers/openai/language-model.ts';
import type { LanguageModelEvent, LanguageModelRequest } from '../../../src/providers/ports.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  body,
  completion,
  events,
  hang,
  json,
  jsonOf,
  OpenAiDouble,
  refuse,
  status,
  stream,
} from '../../support/openai-double.ts';
import { Pauses } from '../../support/pauses.ts';

const path = '/chat/completions';
const provider = 'openai/gpt-6-luna';
const request: LanguageModelRequest = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
  ],
  maxOutputTokens: 50,
};
const usage = { type: 'usage', usage: { provider, inputTokens: 11, outputTokens: 7 } };

let double: OpenAiDouble;
let clock: FakeClock;
let pauses: Pauses;
beforeEach(async () => {
  double = await OpenAiDouble.start();
  clock = new FakeClock();
  pauses = new Pauses();
});
afterEach(async () => {
  expect(double.unexpected).toEqual([]);
  expect(clock.pending).toBe(0);
  await double.close();
});

function model(settings: Partial<OpenAiLanguageModelSettings> = {}) {
  return openAiLanguageModel(
    { apiKey: 'secret-key', baseUrl: double.baseUrl, model: 'gpt-6-luna', ...settings },
    clock,
    pauses,
  );
}

/** The texts and the usage that came, and the failure that ended them, if one did. */
async function collect(reply: AsyncIterable<LanguageModelEvent>) {
  const seen: LanguageModelEvent[] = [];
  try {
    for await (const event of reply) seen.push(event);
    return { seen, error: null };
  } catch (error) {
    return { seen, error };
  }
}

const reply = (settings?: Partial<OpenAiLanguageModelSettings>) =>
  collect(model(settings).reply(request, new AbortController().signal));

describe('OpenAI language model', () => {
  it('streams the text as it comes, then the usage', async () => {
    double.script(path, events(completion(['Hello', ' there', '.'])));
    expect(await reply()).toEqual({
      seen: [
        ...['Hello', ' there', '.'].map((text) => ({ type: 'text', text })),
        { type: 'finished' },
        usage,
      ],
      error: null,
    });
    expect(jsonOf(double.requests[0]!)).toEqual({
      model: 'gpt-6-luna',
      messages: request.messages,
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 50,
    });
    expect(double.requests[0]!.headers.authorization).toBe('Bearer secret-key');
  });

  it('sends temperature and effort only where they are set, the request’s own first', async () => {
    double.script(path, events(completion(['a'])), events(completion(['a'])));
    const configured = model({ temperature: 0.2, reasoningEffort: 'none' });
    await collect(configured.reply(request, new AbortController().signal));
    await collect(configured.reply({ ...request, temperature: 0.9 }, new AbortController().signal));
    expect(jsonOf(double.requests[0]!)).toMatchObject({ temperature: 0.2, reasoning_effort: 'none' });
    expect(jsonOf(double.requests[1]!)).toMatchObject({ temperature: 0.9 });
  });

  it('speaks a refusal, so that the caller hears something', async () => {
    const refusal = {
      choices: [{ index: 0, delta: { refusal: 'I cannot do that.' }, finish_reason: 'stop' }],
    };
    double.script(path, events([refusal, '[DONE]']));
    expect(await reply()).toEqual({
      seen: [{ type: 'text', text: 'I cannot do that.' }, { type: 'finished' }],
      error: null,
    });
  });

  it('retries when it is told to come back later, and when the server fails', async () => {
    double.script(
      path,
      status(429, 'slow down', { 'retry-after': '0' }),
      status(503),
      status(500),
      events(completion(['ok'])),
    );
    const result = reply();
    for (const pause of [1, 2, 3]) await pauses.pass(pause, clock);
    expect((await result).seen[0]).toEqual({ type: 'text', text: 'ok' });
    expect(double.requests).toHaveLength(4);
  });

  it.each([
    ['retry-after', '3', 3_000],
    ['retry-after-ms', '2500', 2_500],
  ])('waits as long as %s: %s says', async (name, value, ms) => {
    double.script(path, status(429, 'later', { [name]: value }));
    double.script(path, ...['other', 'ok'].map((text) => events(completion([text]))));
    const result = reply();
    await pauses.begun(1);
    await clock.advance(ms - 1);
    // A request that was made by now would be there before that of another turn.
    expect((await reply()).seen[0]).toEqual({ type: 'text', text: 'other' });
    expect(double.requests).toHaveLength(2);
    await clock.advance(1);
    expect((await result).seen[0]).toEqual({ type: 'text', text: 'ok' });
  });

  it('tells at once that it is to be left alone for longer than a caller can wait', async () => {
    double.script(
      path,
      status(429, 'later', { 'retry-after': '7' }),
      status(503, 'later', { 'retry-after-ms': '5001' }),
    );
    expect((await reply()).error).toMatchObject({
      failure: 'rate_limited',
      status: 429,
      retryAfterMs: 7_000,
    });
    expect((await reply()).error).toMatchObject({ failure: 'unavailable', retryAfterMs: 5_001 });
    expect(double.requests).toHaveLength(2);
  });

  it('does as the vendor says about another attempt', async () => {
    double.script(
      path,
      status(500, 'no', { 'x-should-retry': 'false' }),
      status(400, 'yes', { 'x-should-retry': 'true' }),
      events(completion(['ok'])),
    );
    expect((await reply()).error).toMatchObject({ failure: 'unavailable' });
    const result = reply();
    await pauses.pass(1, clock);
    expect((await result).error).toBeNull();
  });

  it.each([
    [429, 'rate_limited', 2],
    [500, 'unavailable', 2],
    [503, 'unavailable', 2],
    [408, 'timeout', 2],
    [401, 'unauthorized', 1],
    [403, 'unauthorized', 1],
    [400, 'rejected', 1],
    [404, 'rejected', 1],
  ] as const)('fails with status %i as %s after %i attempts', async (code, failure, attempts) => {
    double.script(path, ...Array.from({ length: attempts }, () => status(code, 'no')));
    const result = reply({ maxRetries: 1 });
    if (attempts === 2) await pauses.pass(1, clock);
    const { seen, error } = await result;
    expect(seen).toEqual([]);
    expect(error).toMatchObject({ name: 'ProviderError', provider, failure, status: code });
    expect(double.requests).toHaveLength(attempts);
  });

  it('does not repeat the key that the server repeats', async () => {
    double.script(path, status(401, 'Incorrect API key provided: secret-key.'));
    const { error } = await reply();
    expect(String(error)).not.toContain('secret');
    expect(String(error)).toContain(provider);
  });

  it('is unavailable when the connection breaks before an answer', async () => {
    double.script(path, refuse());
    expect((await reply({ maxRetries: 0 })).error).toMatchObject({ failure: 'unavailable' });
  });

  it('is unavailable when nobody listens', async () => {
    const { error } = await reply({ baseUrl: 'http://127.0.0.1:1/v1', maxRetries: 0 });
    expect(error).toMatchObject({ failure: 'unavailable' });
  });

  it.each(['cut', 'complete'] as const)(
    'yields what came and is unavailable when the stream ends early: %s',
    async (end) => {
      double.script(path, events(completion(['Half', ' of']).slice(0, 3), end));
      const { seen, error } = await reply({ maxRetries: 0 });
      expect(seen).toEqual([
        { type: 'text', text: 'Half' },
        { type: 'text', text: ' of' },
      ]);
      expect(error).toMatchObject({ name: 'ProviderError', failure: 'unavailable' });
    },
  );

  it('takes a reply as whole when only its usage is cut off', async () => {
    double.script(path, events(completion(['All', '.']).slice(0, 4), 'cut'));
    const { seen, error } = await reply();
    expect(error).toBeNull();
    expect(seen.map((event) => event.type)).toEqual(['text', 'text', 'finished']);
  });

  it.each([
    ['a page with status 200', body('<html>sign in</html>', 'text/html; charset=utf-8')],
    ['a whole completion instead of a stream', json({ choices: [{ message: { content: 'Hello' } }] })],
    ['an event that is no JSON', stream(['data: {"choices": [\n\n'], 'text/event-stream')],
    ['an event that is no object', events(['5'])],
    ['content that is no text', events([{ choices: [{ delta: { content: { a: 1 } } }] }])],
    ['choices that are no list', events([{ choices: { a: 1 } }])],
  ])('calls %s malformed, and does not ask again', async (_, answer) => {
    double.script(path, answer);
    expect(await reply()).toMatchObject({ seen: [], error: { name: 'ProviderError', failure: 'malformed' } });
    expect(double.requests).toHaveLength(1);
  });

  it('calls an empty reply malformed; it is charged all the same', async () => {
    double.script(path, events(completion([])));
    expect(await reply()).toMatchObject({
      seen: [usage],
      error: { name: 'ProviderError', failure: 'malformed' },
    });
  });

  it.each([
    [{ type: 'rate_limit_exceeded', code: 'rate_limit_exceeded' }, 'rate_limited'],
    [{ type: 'invalid_request_error', code: null }, 'rejected'],
    [{ type: 'server_error', code: null }, 'unavailable'],
  ])('understands an error inside of a stream: %j', async (fields, failure) => {
    double.script(
      path,
      events([...completion(['Well']).slice(0, 2), { error: { message: 'no', ...fields } }]),
    );
    const { seen, error } = await reply();
    expect(seen).toEqual([{ type: 'text', text: 'Well' }]);
    expect(error).toMatchObject({ name: 'ProviderError', failure });
  });

  it('stops a server that writes without end', async () => {
    double.script(path, events(completion(Array.from({ length: 100 }, () => 'x'.repeat(100)))));
    const { seen, error } = await reply();
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

  it('times out when the head comes and no text: keep-alive comments and empty events do not count', async () => {
    const nothing = { choices: [{ index: 0, delta: { content: '' }, finish_reason: null }] };
    const line = `data: ${JSON.stringify(nothing)}\n\n`;
    double.script(path, stream([': ping\n\n', line, ': ping\n\n', line], 'text/event-stream', 'hang'));
    const result = reply({ firstTokenMs: 800 });
    const received = await double.received(0);
    await clock.advance(800);
    expect((await result).error).toMatchObject({ failure: 'timeout' });
    await received.gone;
  });

  it('times out when the stream falls silent, after what it had yielded', async () => {
    double.script(path, events(completion(['Well']).slice(0, 2), 'hang'));
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

  it('lets go of a page that never ends', async () => {
    double.script(path, stream(['<html>'], 'text/html', 'hang'));
    expect((await reply()).error).toMatchObject({ failure: 'malformed' });
    await (await double.received(0)).gone;
  });

  it('ends quietly when it is aborted before, during the wait, between attempts and in the middle of the stream', async () => {
    const aborted = AbortSignal.abort(new Error('hung up'));
    expect(await collect(model().reply(request, aborted))).toEqual({ seen: [], error: null });
    expect(double.requests).toHaveLength(0);

    double.script(path, hang());
    const waiting = new AbortController();
    const first = collect(model().reply(request, waiting.signal));
    const received = await double.received(0);
    waiting.abort(new Error('hung up'));
    expect(await first).toEqual({ seen: [], error: null });
    await received.gone;

    double.script(path, status(429, 'later', { 'retry-after': '5' }));
    const retrying = new AbortController();
    const second = collect(model().reply(request, retrying.signal));
    await pauses.begun(1);
    retrying.abort();
    expect(await second).toEqual({ seen: [], error: null });

    double.script(path, events(completion(['Well', 'no']), 'hang'));
    const streaming = new AbortController();
    const seen: LanguageModelEvent[] = [];
    for await (const event of model().reply(request, streaming.signal)) {
      seen.push(event);
      streaming.abort();
    }
    expect(seen).toEqual([{ type: 'text', text: 'Well' }]);
    await (await double.received(2)).gone;
  });

  describe('with tools', () => {
    const lookUp = {
      name: 'look_up',
      description: 'Looks an order up.',
      parameters: { type: 'object', properties: { order: { type: 'string' } } },
    };
    const begin = (index: number, id: string, name: string) => ({
      index,
      id,
      type: 'function' as const,
      function: { name, arguments: '' },
    });
    const more = (index: number, text: string) => ({ index, function: { arguments: text } });
    const call = (id: string, name: string, text: string) => ({
      type: 'toolCall',
      call: { id, name, arguments: text },
    });
    const collected = (settings?: Partial<OpenAiLanguageModelSettings>) =>
      collect(model(settings).reply({ ...request, tools: [lookUp] }, new AbortController().signal));

    it('offers them, and none where there are none', async () => {
      double.script(path, events(completion(['a'])), events(completion(['a'])));
      await collected();
      await collect(model().reply({ ...request, tools: [] }, new AbortController().signal));
      expect(jsonOf(double.requests[0]!).tools).toEqual([{ type: 'function', function: lookUp }]);
      expect(jsonOf(double.requests[1]!)).not.toHaveProperty('tools');
    });

    it('sends calls and their results back as the API has them', async () => {
      double.script(path, events(completion(['Sent.'])));
      const messages: LanguageModelRequest['messages'] = [
        { role: 'user', content: 'Where is it?' },
        {
          role: 'assistant',
          content: 'One moment.',
          toolCalls: [{ id: 'c1', name: 'look_up', arguments: '{"order":"7"}' }],
        },
        { role: 'tool', toolCallId: 'c1', content: 'sent' },
      ];
      await collect(model().reply({ ...request, messages }, new AbortController().signal));
      expect(jsonOf(double.requests[0]!).messages).toEqual([
        messages[0],
        {
          role: 'assistant',
          content: 'One moment.',
          tool_calls: [
            { id: 'c1', type: 'function', function: { name: 'look_up', arguments: '{"order":"7"}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'sent' },
      ]);
    });

    it('yields each call whole, after the text and before the end', async () => {
      const pieces = [
        begin(0, 'c1', 'look_up'),
        more(0, '{"ord'),
        begin(1, 'c2', 'hang_up'),
        more(0, 'er":"7"}'),
      ];
      double.script(path, events(completion(['One moment.'], 'tool_calls', pieces)));
      expect(await collected()).toEqual({
        seen: [
          { type: 'text', text: 'One moment.' },
          call('c1', 'look_up', '{"order":"7"}'),
          call('c2', 'hang_up', '{}'),
          { type: 'finished' },
          usage,
        ],
        error: null,
      });
    });

    it('takes a reply of calls alone, whatever its end is called', async () => {
      const pieces = [begin(0, 'c1', 'look_up'), more(0, '{}')];
      double.script(
        path,
        events(completion([], 'tool_calls', pieces)),
        events(completion([], 'stop', pieces)),
      );
      for (let i = 0; i < 2; i++) {
        expect(await collected()).toEqual({
          seen: [call('c1', 'look_up', '{}'), { type: 'finished' }, usage],
          error: null,
        });
      }
    });

    it('tells calls apart that a server numbers alike, or not at all', async () => {
      const whole = (id: string, index?: number) => ({
        ...(index === undefined ? {} : { index }),
        id,
        function: { name: 'look_up', arguments: '{}' },
      });
      double.script(
        path,
        events(completion([], 'stop', [whole('c1', 0), whole('c2', 0)])),
        events(completion([], 'stop', [whole('c1'), whole('c2')])),
      );
      for (let i = 0; i < 2; i++) {
        expect((await collected()).seen).toMatchObject([
          { call: { id: 'c1', arguments: '{}' } },
          { call: { id: 'c2', arguments: '{}' } },
          { type: 'finished' },
          usage,
        ]);
      }
    });

    it('takes calls whose end was not told if they are whole, and no others', async () => {
      const [first, ...others] = [begin(0, 'c1', 'look_up'), more(0, '{"a":'), more(0, '1}')];
      double.script(
        path,
        events(completion([], null, [first!, ...others])),
        events(completion([], null, [first!, others[0]!])),
      );
      expect(await collected()).toEqual({
        seen: [usage, call('c1', 'look_up', '{"a":1}'), { type: 'finished' }],
        error: null,
      });
      expect(await collected({ maxRetries: 0 })).toMatchObject({
        seen: [usage],
        error: { failure: 'unavailable' },
      });
    });

    it.each([
      ['a call without an id', [{ index: 0, function: { name: 'look_up', arguments: '{}' } }]],
      ['a call with an empty id', [begin(0, '', 'look_up')]],
      ['a call without a name', [{ index: 0, id: 'c1', function: { arguments: '{}' } }]],
      ['a name that no tool can have', [begin(0, 'c1', 'look up; rm')]],
      ['a name of 65 characters', [begin(0, 'c1', 'x'.repeat(65))]],
      ['two calls of one id', [begin(0, 'c1', 'look_up'), begin(1, 'c1', 'look_up')]],
      ['one call of two names', [begin(0, 'c1', 'look_up'), begin(0, 'c1', 'hang_up')]],
      ['nine calls', Array.from({ length: 9 }, (_, i) => begin(i, `c${i}`, 'look_up'))],
      [
        'arguments without end',
        [begin(0, 'c1', 'look_up'), ...Array.from({ length: 9 }, () => more(0, ' '.repeat(2_000)))],
      ],
      ['an index that is no number', [{ ...begin(0, 'c1', 'look_up'), index: 'a' as unknown as number }]],
    ])('calls %s malformed', async (_, pieces) => {
      double.script(path, events(completion([], 'tool_calls', pieces)));
      const { seen, error } = await collected();
      expect(seen).toEqual([]);
      expect(error).toMatchObject({ name: 'ProviderError', failure: 'malformed' });
    });

    it('takes eight calls', async () => {
      const pieces = Array.from({ length: 8 }, (_, i) => begin(i, `c${i}`, 'look_up'));
      double.script(path, events(completion([], 'tool_calls', pieces)));
      expect((await collected()).seen).toHaveLength(10);
    });

    it.each(['length', 'content_filter'])(
      'does not run a call that was cut off: %s, even where it reads as whole',
      async (reason) => {
        const pieces = [begin(0, 'c1', 'look_up'), more(0, '{"order":1}')];
        double.script(path, events(completion(['Well.'], reason, pieces)));
        expect(await collected()).toMatchObject({
          seen: [{ type: 'text' }],
          error: { failure: 'malformed' },
        });
      },
    );

    it('is unavailable when the stream breaks in the middle of a call', async () => {
      const pieces = [begin(0, 'c1', 'look_up'), more(0, '{}')];
      double.script(path, events(completion([], 'tool_calls', pieces).slice(0, 3), 'cut'));
      expect(await collected({ maxRetries: 0 })).toMatchObject({
        seen: [],
        error: { failure: 'unavailable' },
      });
    });

    it('times out when a call falls silent', async () => {
      const items = completion([], null, [begin(0, 'c1', 'look_up')]).slice(0, 2);
      double.script(path, events(items, 'hang'));
      const result = collected({ firstTokenMs: Number.POSITIVE_INFINITY, idleMs: 300 });
      await vi.waitUntil(() => clock.pending === 1, { interval: 1 });
      await clock.advance(299);
      expect(clock.pending).toBe(1);
      await clock.advance(1);
      expect((await result).error).toMatchObject({ failure: 'timeout' });
    });

    it('yields nothing more once it is aborted between two calls', async () => {
      const pieces = [begin(0, 'c1', 'look_up'), begin(1, 'c2', 'look_up')];
      double.script(path, events(completion([], 'tool_calls', pieces)));
      const hangUp = new AbortController();
      const seen: LanguageModelEvent[] = [];
      for await (const event of model().reply({ ...request, tools: [lookUp] }, hangUp.signal)) {
        seen.push(event);
        hangUp.abort();
      }
      expect(seen).toHaveLength(1);
    });
  });

  it('lets go of the connection when the consumer stops early', async () => {
    double.script(path, events(completion(['Well']).slice(0, 2), 'hang'));
    for await (const event of model().reply(request, new AbortController().signal)) {
      expect(event.type).toBe('text');
      break;
    }
    await (await double.received(0)).gone;
  });
});
