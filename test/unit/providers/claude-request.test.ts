import { describe, expect, it } from 'vitest';
import { type ClaudeSettings, claudeRequest } from '../../../src/providers/anthropic/claude-request.ts';
import type { LanguageModelRequest, Message } from '../../../src/providers/ports.ts';

const ask = (
  messages: readonly Message[],
  settings: Partial<ClaudeSettings> = {},
  rest: Partial<LanguageModelRequest> = {},
) => claudeRequest({ model: 'claude-haiku-5-5', ...settings }, { messages, maxOutputTokens: 50, ...rest });
const text = (content: string) => ({ type: 'text', text: content });
const hi: Message = { role: 'user', content: 'Hi' };

describe('a request for Claude', () => {
  it('has the system prompt apart, cached as a whole unless that is turned off', () => {
    const messages: Message[] = [
      { role: 'system', content: 'One.' },
      { role: 'system', content: 'Two.' },
      { role: 'system', content: ' ' },
      hi,
    ];
    expect(ask(messages).system).toEqual([
      text('One.'),
      { ...text('Two.'), cache_control: { type: 'ephemeral' } },
    ]);
    expect(ask(messages, { cachePrompt: false }).system).toEqual([text('One.'), text('Two.')]);
    expect(ask([hi])).not.toHaveProperty('system');
    expect(ask(messages).messages).toEqual([{ role: 'user', content: [text('Hi')] }]);
  });

  it('starts with the user although the agent greets first, and ends with the user', () => {
    expect(ask([{ role: 'assistant', content: 'Hello!' }]).messages).toEqual([
      { role: 'user', content: [text('(The call begins.)')] },
      { role: 'assistant', content: [text('Hello!')] },
      { role: 'user', content: [text('(The caller says nothing.)')] },
    ]);
    expect(ask([{ role: 'system', content: 'Greet.' }]).messages).toEqual([
      { role: 'user', content: [text('(The call begins.)')] },
    ]);
  });

  it('merges what one party said in several turns, and leaves out what is blank', () => {
    const messages: Message[] = [
      hi,
      { role: 'user', content: ' \n' },
      { role: 'user', content: 'Are you there?' },
      { role: 'assistant', content: 'Yes.' },
      { role: 'assistant', content: 'Go on.' },
      { role: 'user', content: 'Well' },
    ];
    expect(ask(messages).messages).toEqual([
      { role: 'user', content: [text('Hi'), text('Are you there?')] },
      { role: 'assistant', content: [text('Yes.'), text('Go on.')] },
      { role: 'user', content: [text('Well')] },
    ]);
  });

  describe('with tool calls', () => {
    const call = (id: string, args = '{"order":"7"}') => ({ id, name: 'look_up', arguments: args });
    const used = (id: string, input: unknown = { order: '7' }) => ({
      type: 'tool_use',
      id,
      name: 'look_up',
      input,
    });
    const result = (id: string, content: string) => ({ type: 'tool_result', tool_use_id: id, content });

    it('has every result at once after its call, before what the caller said meanwhile', () => {
      const messages: Message[] = [
        hi,
        { role: 'assistant', content: 'One moment.', toolCalls: [call('a'), call('b')] },
        { role: 'user', content: 'Hello?' },
        { role: 'tool', toolCallId: 'b', content: 'two' },
        { role: 'tool', toolCallId: 'a', content: 'one' },
      ];
      expect(ask(messages).messages).toEqual([
        { role: 'user', content: [text('Hi')] },
        { role: 'assistant', content: [text('One moment.'), used('a'), used('b')] },
        { role: 'user', content: [result('a', 'one'), result('b', 'two'), text('Hello?')] },
      ]);
    });

    it('has a result for each call and a call for each result, whatever was cut from the history', () => {
      const messages: Message[] = [
        { role: 'tool', toolCallId: 'gone', content: 'lost' },
        { role: 'assistant', content: '', toolCalls: [call('a')] },
      ];
      expect(ask(messages).messages).toEqual([
        { role: 'user', content: [text('(The call begins.)')] },
        { role: 'assistant', content: [used('a')] },
        { role: 'user', content: [{ ...result('a', 'No result.'), is_error: true }] },
      ]);
    });

    it('hands back arguments that are no object, and ids that the API refuses or that come twice', () => {
      const messages: Message[] = [
        { role: 'assistant', content: '', toolCalls: [call('functions.f:0', '{"order'), call('a', '[1]')] },
        { role: 'tool', toolCallId: 'functions.f:0', content: 'one' },
        { role: 'tool', toolCallId: 'a', content: 'two' },
        { role: 'assistant', content: '', toolCalls: [call('a')] },
        { role: 'tool', toolCallId: 'a', content: 'three' },
      ];
      const turns = ask(messages).messages.map(
        ({ content }) => content as unknown as Record<string, unknown>[],
      );
      expect(turns[1]!.map(({ input }) => input)).toEqual([
        { INVALID_JSON: '{"order' },
        { INVALID_JSON: '[1]' },
      ]);
      const ids = [...turns[1]!, ...turns[3]!].map(({ id }) => id as string);
      expect(new Set(ids).size).toBe(3);
      for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]+$/);
      expect([...turns[2]!, ...turns[4]!]).toEqual(
        ['one', 'two', 'three'].map((content, i) => result(ids[i]!, content)),
      );
    });

    it('defines the tools, and those of the history where none may be called any more', () => {
      const tool = { name: 'look_up', description: 'Looks up.', parameters: { properties: {} } };
      expect(ask([hi], {}, { tools: [tool] }).tools).toEqual([
        { name: 'look_up', description: 'Looks up.', input_schema: { type: 'object', properties: {} } },
      ]);
      expect(ask([hi])).not.toHaveProperty('tools');
      const messages: Message[] = [{ role: 'assistant', content: '', toolCalls: [call('a'), call('b')] }];
      expect(ask(messages)).toMatchObject({
        tools: [{ name: 'look_up', input_schema: { type: 'object' } }],
        tool_choice: { type: 'none' },
      });
    });
  });

  it.each([
    ['claude-haiku-5-5', undefined, { type: 'disabled' }, 50],
    ['global.anthropic.claude-haiku-5-5', undefined, { type: 'disabled' }, 50],
    ['claude-sonnet-5-5', undefined, { type: 'between_tools' }, 2_050],
    ['claude-opus-5-5', undefined, undefined, 50],
    ['claude-opus-5-5', 'adaptive', { type: 'adaptive' }, 2_050],
  ] as const)(
    'lets %s (%s) think as little as it can, with room for what it thinks',
    (model, thinking, sent, tokens) => {
      const request = ask([hi], { model, ...(thinking === undefined ? {} : { thinking }) });
      expect(request.thinking).toEqual(sent);
      expect(request.max_tokens).toBe(tokens);
    },
  );

  it('sends no temperature, which the API has no more, and effort only where it is set', () => {
    const request = ask([hi], {}, { temperature: 0.5 });
    expect(request).not.toHaveProperty('temperature');
    expect(request).not.toHaveProperty('output_config');
    expect(ask([hi], { effort: 'low' }).output_config).toEqual({ effort: 'low' });
  });
});
