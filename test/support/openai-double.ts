import { type Answer, HttpDouble, type StreamEnd, stream } from './http-double.ts';

export {
  type Answer,
  after,
  body,
  formOf,
  hang,
  json,
  jsonOf,
  type ReceivedRequest,
  refuse,
  type StreamEnd,
  stream,
} from './http-double.ts';

/** Plays OpenAI, or a server that speaks its API. Paths are without the version, e.g. `/audio/speech`. */
export type OpenAiDouble = HttpDouble;
export const OpenAiDouble = { start: (): Promise<OpenAiDouble> => HttpDouble.start('/v1') };

/** An error in OpenAI's form. */
export function status(code: number, message = 'scripted', headers: Record<string, string> = {}): Answer {
  return (_, response) => {
    response
      .writeHead(code, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify({ error: { message, type: 'scripted', code: null, param: null } }));
  };
}

/** Server-sent events, one piece each; a string is sent as it is, anything else as JSON. */
export function events(items: readonly unknown[], end: StreamEnd = 'complete'): Answer {
  const lines = items.map((item) => `data: ${typeof item === 'string' ? item : JSON.stringify(item)}\n\n`);
  return stream(lines, 'text/event-stream', end);
}

/** Part of a tool call, as it is streamed (OpenAI, "Function calling", section "Streaming"). */
export interface ToolCallDelta {
  index?: number;
  id?: string;
  type?: 'function';
  function?: { name?: string; arguments?: string };
}

/**
 * Events of a chat completion that says `texts`, asks for tools in `pieces`, each of them an event, ends for `reason`, and
 * counts tokens. Without a reason its end is not told.
 */
export function completion(
  texts: readonly string[],
  reason: string | null = 'stop',
  pieces: readonly ToolCallDelta[] = [],
): unknown[] {
  const chunk = (choices: unknown[], usage: unknown = null) => ({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'scripted',
    choices,
    usage,
  });
  const choice = (delta: unknown, finish_reason: string | null) => ({ index: 0, delta, finish_reason });
  return [
    chunk([choice({ role: 'assistant', content: '' }, null)]),
    ...texts.map((content) => chunk([choice({ content }, null)])),
    ...pieces.map((piece) => chunk([choice({ tool_calls: [piece] }, null)])),
    ...(reason === null ? [] : [chunk([choice({}, reason)])]),
    chunk([], { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 }),
    '[DONE]',
  ];
}
