import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Timer } from '../../../src/call/clock.ts';
import {
  type BedrockLanguageModelSettings,
  bedrockLanguageModel,
} from '../../../src/providers/bedrock/language-model.ts';
import type { LanguageModelEvent, LanguageModelRequest } from '../../../src/providers/ports.ts';
import { errorOf, message } from '../../support/anthropic-double.ts';
import {
  apiKey,
  authorised,
  BedrockDouble,
  body,
  chunk,
  chunkOf,
  chunks,
  credentials,
  errorMessage,
  eventStreamType,
  exception,
  exceptionMessage,
  hang,
  jsonOf,
  messages,
  refuse,
  region,
  stream,
} from '../../support/bedrock-double.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import type { Answer } from '../../support/http-double.ts';

const modelId = 'global.anthropic.claude-haiku-5-5';
const path = `/model/${modelId}/invoke-with-response-stream`;
const provider = `bedrock/${modelId}`;
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
const text = (content: string) => ({ type: 'text', text: content });

class NotingClock extends FakeClock {
  /** Every wait that was begun, in ms. */
  readonly waits: number[] = [];

  override after(delayMs: number, task: () => void): Timer {
    this.waits.push(delayMs);
    return super.after(delayMs, task);
  }
}

let double: BedrockDouble;
let clock: NotingClock;
beforeEach(async () => {
  double = await BedrockDouble.start();
  clock = new NotingClock();
});
afterEach(async () => {
  expect(double.unexpected).toEqual([]);
  expect(clock.pending).toBe(0);
  await double.close();
});

/** Answers for authorised requests, which every test but those of refusals makes. */
function script(...answers: Answer[]): void {
  double.script(path, ...answers.map((answer) => authorised(answer, () => clock.now())));
}

function model(settings: Partial<BedrockLanguageModelSettings> = {}) {
  return bedrockLanguageModel(
    { model: modelId, region, credentials, baseUrl: double.baseUrl, ...settings },
    clock,
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

const reply = (settings?: Partial<BedrockLanguageModelSettings>) =>
  collect(model(settings).reply(request, new AbortController().signal));

/** Resolves with the length of the pause after attempt number `attempt`, from 1, once it has begun. */
async function pauseAfter(attempt: number): Promise<number> {
  // Before it two waits are begun by each attempt but the first, which begins that for the first text as well.
  await vi.waitUntil(() => clock.waits.length > 2 * attempt && clock.pending === 2, { interval: 1 });
  return clock.waits[2 * attempt]!;
}

const whole = chunks(message({ texts: ['Hello', '.'] }));

describe('Bedrock language model', () => {
  it('streams the text as it comes, then the usage, of a request that is signed', async () => {
    script(messages(whole));
    expect(await reply()).toEqual({
      seen: [text('Hello'), text('.'), { type: 'finished' }, usage],
      error: null,
    });
    const [received] = double.requests;
    expect(received!.headers.authorization).toMatch(/^AWS4-HMAC-SHA256 /);
    expect(jsonOf(received!)).toEqual({
      anthropic_version: 'bedrock-2023-05-31',
      max_tokens: 50,
      system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
      messages: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
      thinking: { type: 'disabled' },
    });
  });

  it.each([
    'anthropic.claude-haiku-4-5-20251001-v1:0',
    'arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123',
  ])('signs an address with letters that are encoded in it: %s', async (id) => {
    double.script(
      `/model/${encodeURIComponent(id)}/invoke-with-response-stream`,
      authorised(messages(whole), () => clock.now()),
    );
    expect((await reply({ model: id, baseUrl: `${double.baseUrl}/` })).error).toBeNull();
  });

  it('bears an API key in place of a signature', async () => {
    script(messages(whole));
    expect((await reply({ credentials: { apiKey } })).error).toBeNull();
    expect(double.requests[0]!.headers.authorization).toBe(`Bearer ${apiKey}`);
  });

  it.each([
    ['secret', { credentials: { ...credentials, secretAccessKey: 'other' } }],
    ['key', { credentials: { ...credentials, accessKeyId: 'AKIDOTHER' } }],
    ['session', { credentials: { ...credentials, sessionToken: 'other' } }],
    ['API key', { credentials: { apiKey: 'other' } }],
    ['region', { region: 'us-east-1' }],
  ])('is unauthorized with another %s, says so once, and repeats nothing of it', async (_, settings) => {
    script(messages(whole));
    const { seen, error } = await reply(settings);
    expect(seen).toEqual([]);
    expect(error).toMatchObject({ name: 'ProviderError', provider, failure: 'unauthorized', status: 403 });
    expect(String(error)).not.toContain('secret');
    expect(double.requests).toHaveLength(1);
  });

  it('signs each attempt anew: a signature grows old', async () => {
    script(hang(), messages(whole));
    const result = reply({ timeoutMs: 400_000, firstTokenMs: 1_000_000 });
    await double.received(0);
    await clock.advance(400_000);
    await clock.advance(await pauseAfter(1));
    expect((await result).error).toBeNull();
    const [first, second] = double.requests.map(({ headers }) => headers['x-amz-date']);
    expect(first).not.toBe(second);
  });

  it('tries again when it may pass: throttled, not ready, too late, failing, broken', async () => {
    script(
      exception(429, 'ThrottlingException'),
      exception(429, 'ModelNotReadyException'),
      exception(408, 'ModelTimeoutException'),
      exception(424, 'ModelErrorException'),
      exception(500, 'InternalServerException'),
      refuse(),
      messages(whole),
    );
    const result = reply({ maxRetries: 6, firstTokenMs: 100_000 });
    for (const [i, about] of [200, 400, 800, 1_600, 3_200, 5_000].entries()) {
      const waited = await pauseAfter(i + 1);
      expect(Math.abs(waited - about)).toBeLessThanOrEqual(about / 4);
      await clock.advance(waited);
    }
    expect((await result).seen[0]).toEqual(text('Hello'));
    expect(double.requests).toHaveLength(7);
  });

  it.each([
    [429, 'ThrottlingException', 'rate_limited', 2],
    [400, 'ServiceQuotaExceededException', 'rate_limited', 2],
    [500, 'InternalServerException', 'unavailable', 2],
    [503, 'ServiceUnavailableException', 'unavailable', 2],
    [424, 'ModelErrorException', 'unavailable', 2],
    [408, 'ModelTimeoutException', 'timeout', 2],
    [502, 'SomethingNew', 'unavailable', 2],
    [403, 'AccessDeniedException', 'unauthorized', 1],
    [403, 'ExpiredTokenException', 'unauthorized', 1],
    [400, 'ValidationException', 'rejected', 1],
    [404, 'ResourceNotFoundException', 'rejected', 1],
    [418, 'SomethingNew', 'rejected', 1],
  ] as const)('fails with status %i %s as %s after %i attempts', async (code, type, failure, attempts) => {
    script(...Array.from({ length: attempts }, () => exception(code, type)));
    const result = reply({ maxRetries: 1 });
    if (attempts === 2) await clock.advance(await pauseAfter(1));
    expect(await result).toMatchObject({
      seen: [],
      error: { name: 'ProviderError', provider, failure, status: code },
    });
    expect(double.requests).toHaveLength(attempts);
  });

  it('waits as long as it is told to, and not at all where that is too long', async () => {
    script(
      exception(429, 'ThrottlingException', 'later', { 'retry-after': '3' }),
      exception(429, 'ThrottlingException', 'later', { 'retry-after': '7' }),
    );
    const result = reply({ firstTokenMs: 10_000 });
    expect(await pauseAfter(1)).toBe(3_000);
    await clock.advance(2_999);
    expect(double.requests).toHaveLength(1);
    await clock.advance(1);
    expect((await result).error).toMatchObject({ failure: 'rate_limited', retryAfterMs: 7_000 });
    expect(double.requests).toHaveLength(2);
  });

  it('gives up an attempt that hangs in time for another one', async () => {
    script(hang(), messages(whole));
    const result = reply({ timeoutMs: 4_000, firstTokenMs: 10_000 });
    const first = await double.received(0);
    await clock.advance(4_000);
    await first.gone;
    await clock.advance(await pauseAfter(1));
    expect((await result).error).toBeNull();
  });

  it('does not wait for the body of a refusal that never ends', async () => {
    script(stream(['{"message":'], 'application/json', 'hang'));
    // The answer is a success by its status, and no stream of events.
    expect((await reply()).error).toMatchObject({ failure: 'malformed' });
    script((_, response) => {
      response.writeHead(500, { 'content-type': 'application/json' });
      response.write('{"message":');
    });
    const result = reply({ timeoutMs: 4_000, maxRetries: 0 });
    const received = await double.received(1);
    await clock.advance(4_000);
    expect((await result).error).toMatchObject({ name: 'ProviderError' });
    await received.gone;
  });

  it.each([
    ['throttlingException', 'rate_limited'],
    ['modelStreamErrorException', 'unavailable'],
    ['internalServerException', 'unavailable'],
    ['serviceUnavailableException', 'unavailable'],
    ['modelTimeoutException', 'timeout'],
    ['validationException', 'rejected'],
    ['somethingNewException', 'unavailable'],
  ])('understands an exception in the middle of a stream: %s', async (type, failure) => {
    script(messages([...whole.slice(0, 3), exceptionMessage(type)]));
    expect(await reply()).toMatchObject({
      seen: [text('Hello')],
      error: { name: 'ProviderError', failure },
    });
    expect(double.requests).toHaveLength(1);
  });

  it('understands errors of the transport and of the model in the middle of a stream', async () => {
    script(
      messages([...whole.slice(0, 3), errorMessage('InternalError')]),
      messages([...whole.slice(0, 3), chunk(errorOf('overloaded_error'))]),
    );
    for (let i = 0; i < 2; i++) expect((await reply()).error).toMatchObject({ failure: 'unavailable' });
  });

  it.each(['cut', 'complete'] as const)(
    'yields what came and is unavailable when the stream ends early: %s',
    async (end) => {
      script(messages(whole.slice(0, 4), end));
      expect(await reply()).toMatchObject({
        seen: [text('Hello'), text('.')],
        error: { failure: 'unavailable' },
      });
    },
  );

  it('is unavailable when the stream ends in the middle of a message', async () => {
    script(stream([...whole.slice(0, 3), whole[3]!.subarray(0, 20)], eventStreamType));
    expect(await reply()).toMatchObject({ seen: [text('Hello')], error: { failure: 'unavailable' } });
  });

  it('understands messages whatever the pieces in which they come', async () => {
    const bytes = Buffer.concat(whole);
    const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) =>
      bytes.subarray(i * 7, i * 7 + 7),
    );
    script(stream(pieces, eventStreamType), stream([bytes], eventStreamType));
    for (let i = 0; i < 2; i++) expect((await reply()).seen).toHaveLength(4);
  });

  const broken = (change: (bytes: Uint8Array) => void) => {
    const bytes = Uint8Array.from(whole[2]!);
    change(bytes);
    return stream([...whole.slice(0, 2), bytes, ...whole.slice(3)], eventStreamType);
  };
  it.each([
    ['a page with status 200', body('<html>sign in</html>', 'text/html')],
    ['JSON in place of a stream', body('{}', 'application/json')],
    [
      'a message whose content was changed',
      broken((bytes) => {
        bytes[bytes.length - 30]! ^= 1;
      }),
    ],
    [
      'a message whose length was changed',
      broken((bytes) => {
        bytes[3]! -= 1;
      }),
    ],
    ['a message that is longer than any', stream([Uint8Array.of(0x7f, 0, 0, 0)], eventStreamType)],
    ['a message that is shorter than any', stream([Uint8Array.of(0, 0, 0, 15)], eventStreamType)],
    ['a chunk without bytes', messages([chunkOf({})])],
    ['a chunk that is no base64', messages([chunkOf({ bytes: '*' })])],
    ['a chunk that is no JSON', messages([chunkOf('{')])],
    ['an event that is no JSON', messages([chunkOf({ bytes: Buffer.from('{"a').toString('base64') })])],
    ['an event that is none', messages([chunk(5)])],
    ['an empty reply', messages(chunks(message({})))],
  ])('calls %s malformed, says nothing of it, and does not ask again', async (_, answer) => {
    script(answer);
    const { seen, error } = await reply();
    expect(seen.filter((event) => event.type !== 'usage')).toEqual([]);
    expect(error).toMatchObject({ name: 'ProviderError', failure: 'malformed' });
    expect(double.requests).toHaveLength(1);
  });

  it('yields tool calls, and is rejected where the model refuses', async () => {
    const tools = [{ id: 'toolu_bdrk_1', name: 'look_up', input: ['{"order"', ':7}'] }];
    script(
      messages(chunks(message({ tools }))),
      messages(chunks(message({ texts: ['Well'], stopReason: 'refusal' }))),
    );
    expect((await reply()).seen).toEqual([
      { type: 'toolCall', call: { id: 'toolu_bdrk_1', name: 'look_up', arguments: '{"order":7}' } },
      { type: 'finished' },
      usage,
    ]);
    expect((await reply()).error).toMatchObject({ failure: 'rejected' });
  });

  it('times out when the first text is late, and lets go of the connection', async () => {
    script(messages(whole.slice(0, 1), 'hang'));
    const result = reply({ firstTokenMs: 800 });
    const received = await double.received(0);
    await vi.waitUntil(() => clock.pending === 1, { interval: 1 });
    await clock.advance(799);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    expect((await result).error).toMatchObject({ failure: 'timeout' });
    await received.gone;
  });

  it('times out when the stream falls silent, after what it had yielded', async () => {
    script(messages(whole.slice(0, 3), 'hang'));
    const iterator = model({ idleMs: 300 })
      .reply(request, new AbortController().signal)
      [Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: text('Hello') });
    await clock.advance(60_000);
    const next = iterator.next();
    const settled = expect(next).rejects.toMatchObject({ failure: 'timeout' });
    await clock.advance(300);
    await settled;
    await (await double.received(0)).gone;
  });

  it('ends quietly when it is aborted before, during the wait, between attempts and in the middle of the stream', async () => {
    expect(await collect(model().reply(request, AbortSignal.abort()))).toEqual({ seen: [], error: null });
    expect(double.requests).toHaveLength(0);

    script(hang(), exception(429, 'ThrottlingException'), messages(whole.slice(0, 4), 'hang'));
    const waiting = new AbortController();
    const first = collect(model().reply(request, waiting.signal));
    const received = await double.received(0);
    waiting.abort(new Error('hung up'));
    expect(await first).toEqual({ seen: [], error: null });
    await received.gone;

    const retrying = new AbortController();
    const second = collect(model().reply(request, retrying.signal));
    const before = clock.waits.length;
    await vi.waitUntil(() => clock.waits.length > before, { interval: 1 });
    retrying.abort();
    expect(await second).toEqual({ seen: [], error: null });

    const streaming = new AbortController();
    const seen: LanguageModelEvent[] = [];
    for await (const event of model().reply(request, streaming.signal)) {
      seen.push(event);
      streaming.abort();
    }
    expect(seen).toEqual([text('Hello')]);
    await (await double.received(2)).gone;
  });

  it('lets go of the connection when the consumer stops early', async () => {
    script(messages(whole.slice(0, 3), 'hang'));
    for await (const event of model().reply(request, new AbortController().signal)) {
      expect(event.type).toBe('text');
      break;
    }
    await (await double.received(0)).gone;
  });
});
