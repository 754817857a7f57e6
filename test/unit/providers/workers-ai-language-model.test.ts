import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LanguageModelEvent, LanguageModelRequest } from '../../../src/providers/ports.ts';
import {
  type WorkersAiLanguageModelSettings,
  workersAiLanguageModel,
} from '../../../src/providers/workers-ai/language-model.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { Pauses } from '../../support/pauses.ts';
import {
  type AiAnswer,
  chunkedReply,
  events,
  failure,
  hang,
  json,
  ownReply,
  stream,
  thrown,
  WorkersAiDouble,
} from '../../support/workers-ai-double.ts';

const llama = '@cf/meta/llama-3.3-70b-instruct-fp8-fast';
const provider = `workers-ai/${llama}`;
const request: LanguageModelRequest = {
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
  ],
  maxOutputTokens: 50,
};
const usage = { type: 'usage', usage: { provider, inputTokens: 11, outputTokens: 7 } };
const text = (...texts: string[]) => texts.map((each) => ({ type: 'text', text: each }));

let ai: WorkersAiDouble;
let clock: FakeClock;
let pauses: Pauses;
beforeEach(() => {
  ai = new WorkersAiDouble();
  clock = new FakeClock();
  pauses = new Pauses();
});
afterEach(async () => {
  await settle();
  expect(clock.pending).toBe(0);
  expect(ai.unexpected).toEqual([]);
});

const model = (settings: Partial<WorkersAiLanguageModelSettings> = {}) =>
  workersAiLanguageModel({ ai, ...settings }, clock, pauses);

async function collect(reply: AsyncIterable<LanguageModelEvent>) {
  const seen: LanguageModelEvent[] = [];
  try {
    for await (const event of reply) seen.push(event);
    return { seen, error: null };
  } catch (error) {
    return { seen, error };
  }
}

const reply = (settings?: Partial<WorkersAiLanguageModelSettings>, asked = request) =>
  collect(model(settings).reply(asked, new AbortController().signal));

describe('language models on Workers AI', () => {
  it.each([
    ['the model’s own form', ownReply(['Hello', ' there', '.'])],
    ['OpenAI’s form', chunkedReply([{ content: 'Hello' }, { content: ' there' }, { content: '.' }])],
  ])('stream their text in %s, then the usage', async (_, items) => {
    ai.script(llama, events(items));
    expect(await reply({ temperature: 0.3 })).toEqual({
      seen: [...text('Hello', ' there', '.'), { type: 'finished' }, usage],
      error: null,
    });
    expect(ai.calls[0]!.inputs).toEqual({
      messages: request.messages,
      stream: true,
      max_tokens: 50,
      temperature: 0.3,
    });
    expect(ai.calls[0]!.options).toMatchObject({ returnRawResponse: true, rejectIfBusy: true });
  });

  it('say a number that comes as one, and nothing of what a model thinks', async () => {
    ai.script(
      llama,
      events([{ response: 'Room ' }, { response: 42 }, { response: '.' }, '[DONE]']),
      events(chunkedReply([{ reasoning_content: 'Hmm.' }, { content: 'Yes.' }])),
    );
    expect((await reply()).seen).toEqual([...text('Room ', '42', '.'), { type: 'finished' }]);
    expect((await reply()).seen).toEqual([...text('Yes.'), { type: 'finished' }, usage]);
  });

  it('heed the inputs that a model has of its own', async () => {
    ai.script('@cf/zai-org/glm-4.7-flash', events(chunkedReply([{ content: 'Yes.' }])));
    const inputs = { chat_template_kwargs: { enable_thinking: false } };
    await reply({ model: '@cf/zai-org/glm-4.7-flash', inputs });
    expect(ai.calls[0]!.inputs).toMatchObject(inputs);
  });

  describe('with tools', () => {
    const tools = [
      { name: 'look_up', description: 'Looks up.', parameters: { type: 'object', properties: {} } },
    ];

    it('give whole calls an id of their own', async () => {
      const calls = [
        { name: 'look_up', arguments: { id: 1 } },
        { name: 'look_up', arguments: { id: 2 } },
      ];
      ai.script(llama, events(ownReply([], calls)));
      let number = 0;
      const random = { id: () => `r${number++}`, fraction: () => 0 };
      const made = workersAiLanguageModel({ ai }, clock, random);
      const { seen, error } = await collect(made.reply({ ...request, tools }, new AbortController().signal));
      expect(error).toBeNull();
      expect(seen).toEqual([
        { type: 'toolCall', call: { id: 'call_r0', name: 'look_up', arguments: '{"id":1}' } },
        { type: 'toolCall', call: { id: 'call_r1', name: 'look_up', arguments: '{"id":2}' } },
        { type: 'finished' },
        usage,
      ]);
      expect(ai.calls[0]!.inputs.tools).toEqual([{ type: 'function', function: tools[0] }]);
    });

    it('put calls together that come in pieces', async () => {
      const piece = (index: number, fields: object) => ({ tool_calls: [{ index, ...fields }] });
      ai.script(
        llama,
        events(
          chunkedReply(
            [
              { content: 'One moment.' },
              piece(0, { id: 'a', type: 'function', function: { name: 'look_up' } }),
              piece(0, { function: { arguments: '{"id"' } }),
              piece(1, { id: 'b', type: 'function', function: { name: 'look_up', arguments: '{}' } }),
              piece(0, { function: { arguments: ':1}' } }),
              piece(0, { id: null, type: null, function: { name: null, arguments: '' } }),
            ],
            'tool_calls',
          ),
        ),
      );
      expect((await reply({}, { ...request, tools })).seen).toEqual([
        ...text('One moment.'),
        { type: 'toolCall', call: { id: 'a', name: 'look_up', arguments: '{"id":1}' } },
        { type: 'toolCall', call: { id: 'b', name: 'look_up', arguments: '{}' } },
        { type: 'finished' },
        usage,
      ]);
    });

    it('are told what a tool answered', async () => {
      ai.script(llama, events(ownReply(['Done.'])));
      const call = { id: 'a', name: 'look_up', arguments: '{}' };
      await reply(
        {},
        {
          ...request,
          messages: [
            { role: 'assistant', content: '', toolCalls: [call] },
            { role: 'tool', toolCallId: 'a', content: '{"ok":true}' },
          ],
        },
      );
      expect(ai.calls[0]!.inputs.messages).toEqual([
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ id: 'a', type: 'function', function: { name: 'look_up', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'a', content: '{"ok":true}' },
      ]);
    });

    it('never have half a call carried out', async () => {
      const half = { tool_calls: [{ index: 0, id: 'a', function: { name: 'look_up', arguments: '{"id"' } }] };
      ai.script(llama, events(chunkedReply([half], 'length')), events(chunkedReply([half], 'stop')));
      for (const _ of [1, 2]) {
        expect(await reply()).toMatchObject({ seen: [], error: { failure: 'malformed' } });
      }
    });
  });

  it.each<[string, AiAnswer, string, number]>([
    ['no capacity', failure(429, 3040, 'Capacity temporarily exceeded'), 'rate_limited', 2],
    ['no capacity, thrown', thrown('3040: Capacity temporarily exceeded'), 'rate_limited', 2],
    ['a used-up allocation', failure(429, 3036, 'used up'), 'rate_limited', 1],
    ['an unknown model', failure(400, 5007, 'No such model'), 'rejected', 1],
    ['terms that are not agreed to', failure(403, 5016, 'not agreed'), 'unauthorized', 1],
    ['an error of the server', failure(503, 0, 'Internal'), 'unavailable', 2],
  ])('fail for %s', async (_, answer, kind, attempts) => {
    ai.script(llama, answer, answer);
    const result = reply({ maxRetries: 1 });
    if (attempts === 2) await pauses.pass(1, clock);
    expect(await result).toMatchObject({
      seen: [],
      error: { name: 'ProviderError', provider, failure: kind },
    });
    expect(ai.calls).toHaveLength(attempts);
  });

  it.each<[string, AiAnswer]>([
    ['a page with status 200', stream(['<html>'], 'text/html', 'hang')],
    ['a whole reply instead of a stream', json({ response: 'Hello' })],
    ['an event that is no JSON', stream(['data: {"response":\n\n'], 'text/event-stream')],
    ['an event that is no object', events(['5'])],
    ['a text that is none', events([{ response: { a: 1 } }])],
    ['an empty reply', events(['[DONE]'])],
  ])('call %s malformed, and do not ask again', async (_, answer) => {
    ai.script(llama, answer);
    expect(await reply()).toMatchObject({ seen: [], error: { name: 'ProviderError', failure: 'malformed' } });
    expect(ai.calls).toHaveLength(1);
  });

  it.each<[string, AiAnswer]>([
    ['cut', events(ownReply(['Half', ' of']).slice(0, 2), 'cut')],
    ['ended without its last event', events(ownReply(['Half', ' of']).slice(0, 3))],
  ])('yield what came and are unavailable when the stream is %s', async (_, answer) => {
    ai.script(llama, answer);
    const { seen, error } = await reply();
    expect(seen).toEqual(text('Half', ' of'));
    expect(error).toMatchObject({ name: 'ProviderError', failure: 'unavailable' });
  });

  it('take a reply as whole when only its last event is cut off', async () => {
    ai.script(llama, events(chunkedReply([{ content: 'All.' }]).slice(0, 3), 'cut'));
    expect(await reply()).toEqual({ seen: [...text('All.'), { type: 'finished' }, usage], error: null });
  });

  it.each([
    [{ internalCode: 3040, description: 'busy' }, 'rate_limited'],
    [{ errors: [{ code: 3007, message: 'Request timeout' }] }, 'timeout'],
    [{ errors: [{ message: 'oops' }] }, 'unavailable'],
    [{ error: { message: 'oops', type: 'server_error' } }, 'unavailable'],
  ])('understand an error inside of a stream: %j', async (event, kind) => {
    ai.script(llama, events([{ response: 'Well' }, event]));
    expect(await reply()).toMatchObject({
      seen: text('Well'),
      error: { name: 'ProviderError', failure: kind },
    });
  });

  it('stop a model that writes without end', async () => {
    ai.script(llama, events(ownReply(Array.from({ length: 100 }, () => 'x'.repeat(100)))));
    const { seen, error } = await reply();
    expect(error).toMatchObject({ failure: 'malformed' });
    expect(seen.length).toBeLessThanOrEqual(17);
  });

  it('stop a line without end', async () => {
    ai.script(
      llama,
      stream(
        Array.from({ length: 50 }, () => 'x'.repeat(100_000)),
        'text/event-stream',
      ),
    );
    expect((await reply()).error).toMatchObject({ failure: 'malformed' });
  });

  it('do not wait for a server that leaves its stream open after the end', async () => {
    ai.script(llama, events(ownReply(['Yes.']), 'hang'));
    expect(await reply()).toEqual({ seen: [...text('Yes.'), { type: 'finished' }, usage], error: null });
  });

  it('time out when nothing comes, empty events do not count', async () => {
    ai.script(llama, hang, events([{ response: '' }, { response: '' }], 'hang'));
    for (const number of [0, 1]) {
      const result = reply({ firstTokenMs: 800 });
      await ai.called(number);
      await clock.advance(800);
      expect(await result).toMatchObject({ seen: [], error: { failure: 'timeout' } });
    }
  });

  it('time out when the stream falls silent, not while the consumer takes its time', async () => {
    ai.script(llama, events([{ response: 'Well' }], 'hang'));
    const iterator = model({ idleMs: 300 })
      .reply(request, new AbortController().signal)
      [Symbol.asyncIterator]();
    expect((await iterator.next()).value).toEqual({ type: 'text', text: 'Well' });
    await clock.advance(60_000);
    const settled = expect(iterator.next()).rejects.toMatchObject({ failure: 'timeout' });
    await clock.advance(300);
    await settled;
  });

  it('end quietly when they are aborted before, during the wait, between attempts and in the stream', async () => {
    expect(await collect(model().reply(request, AbortSignal.abort()))).toEqual({ seen: [], error: null });
    expect(ai.calls).toEqual([]);

    ai.script(llama, hang);
    const waiting = new AbortController();
    const first = collect(model().reply(request, waiting.signal));
    await ai.called(0);
    waiting.abort(new Error('hung up'));
    expect(await first).toEqual({ seen: [], error: null });

    ai.script(llama, failure(429, 3040, 'busy'));
    const pausing = new AbortController();
    const second = collect(model().reply(request, pausing.signal));
    await pauses.begun(1);
    pausing.abort();
    expect(await second).toEqual({ seen: [], error: null });

    let gone = () => {};
    const released = new Promise<void>((resolve) => {
      gone = resolve;
    });
    ai.script(llama, events([{ response: 'Well' }, { response: 'no' }], 'hang', gone));
    const streaming = new AbortController();
    const seen: LanguageModelEvent[] = [];
    for await (const event of model().reply(request, streaming.signal)) {
      seen.push(event);
      streaming.abort();
    }
    expect(seen).toEqual(text('Well'));
    await released;
  });

  it('let go of the stream when the consumer stops early', async () => {
    let gone = () => {};
    const released = new Promise<void>((resolve) => {
      gone = resolve;
    });
    ai.script(llama, events([{ response: 'Well' }], 'hang', gone));
    for await (const event of model().reply(request, new AbortController().signal)) {
      expect(event.type).toBe('text');
      break;
    }
    await released;
  });
});
