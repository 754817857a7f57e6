import { type Answer, HttpDouble, type StreamEnd, stream } from './http-double.ts';

export { body, hang, json, jsonOf, refuse, stream } from './http-double.ts';

/**
 * Plays Anthropic's API, recorded by hand from its documentation: "Messages", "Streaming messages" (platform.claude.com,
 * build-with-claude/streaming) and "Errors" (api/errors). Its one path here is `/v1/messages`.
 */
export type AnthropicDouble = HttpDouble;
export const AnthropicDouble = { start: (): Promise<AnthropicDouble> => HttpDouble.start() };

/** A tool call; its arguments come in these pieces. */
export interface ScriptedToolUse {
  id: string;
  name: string;
  input: readonly string[];
}

export interface ScriptedMessage {
  texts?: readonly string[];
  tools?: readonly ScriptedToolUse[];
  /** Said in a block before the text. */
  thinking?: string;
  stopReason?: string;
  stopDetails?: unknown;
}

/** Events of one reply, with a ping after the first, as the documentation shows. Counts 11 + 2 + 5 tokens in and 7 out. */
export function message(script: ScriptedMessage): Record<string, unknown>[] {
  const { texts = [], tools = [], thinking } = script;
  const usage = { input_tokens: 11, cache_creation_input_tokens: 2, cache_read_input_tokens: 5 };
  const blocks = [
    ...(thinking === undefined
      ? []
      : [
          block({ type: 'thinking', thinking: '', signature: '' }, [
            { type: 'thinking_delta', thinking },
            { type: 'signature_delta', signature: 'c2ln' },
          ]),
        ]),
    ...(texts.length === 0
      ? []
      : [
          block(
            { type: 'text', text: '' },
            texts.map((text) => ({ type: 'text_delta', text })),
          ),
        ]),
    ...tools.map(({ id, name, input }) =>
      block(
        { type: 'tool_use', id, name, input: {} },
        input.map((partial_json) => ({ type: 'input_json_delta', partial_json })),
      ),
    ),
  ];
  return [
    {
      type: 'message_start',
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'scripted',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { ...usage, output_tokens: 1 },
      },
    },
    { type: 'ping' },
    ...blocks.flatMap((events, index) => events.map((event) => ({ ...event, index }))),
    {
      type: 'message_delta',
      delta: {
        stop_reason: script.stopReason ?? (tools.length > 0 ? 'tool_use' : 'end_turn'),
        stop_sequence: null,
        ...(script.stopDetails === undefined ? {} : { stop_details: script.stopDetails }),
      },
      usage: { output_tokens: 7 },
    },
    { type: 'message_stop' },
  ];
}

function block(start: unknown, deltas: readonly unknown[]): Record<string, unknown>[] {
  return [
    { type: 'content_block_start', content_block: start },
    ...deltas.map((delta) => ({ type: 'content_block_delta', delta })),
    { type: 'content_block_stop' },
  ];
}

/** Server-sent events, each named by its type. */
export function events(items: readonly Record<string, unknown>[], end: StreamEnd = 'complete'): Answer {
  return stream(items.map(eventLines), 'text/event-stream; charset=utf-8', end);
}

export function eventLines(item: Record<string, unknown>): string {
  return `event: ${item.type}\ndata: ${JSON.stringify(item)}\n\n`;
}

/** An error of this type, as a body or as an event of a stream. */
export function errorOf(type: string, message = 'scripted'): Record<string, unknown> {
  return { type: 'error', error: { type, message }, request_id: 'req_1' };
}

/** An error with its status. */
export function status(
  code: number,
  type: string,
  message = 'scripted',
  headers: Record<string, string> = {},
): Answer {
  return (_, response) => {
    response
      .writeHead(code, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(errorOf(type, message)));
  };
}
