import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { connecting, type TransferTool } from '../dialogue/connecting.ts';
import type { DialogueEngine } from '../dialogue/engine.ts';
import { apiErrors } from './api-error.ts';
import { bodyLimits, parseJson, withBody } from './body.ts';
import { type Exchange, sendJson, writePiece } from './exchange.ts';
import type { Gate } from './gate.ts';
import type { Models } from './models.ts';

export const chatPath = '/v1/chat/completions';

const text = z.string().max(32_768);
const content = z.union([
  text,
  z
    .array(z.object({ type: z.literal('text'), text }))
    .max(64)
    .transform((parts) => parts.map((part) => part.text).join(' ')),
]);

const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer', 'user']), content }),
  z.object({ role: z.literal('assistant'), content: content.nullish().transform((value) => value ?? '') }),
  z.object({ role: z.literal('tool'), content }),
]);

/** Of the tools that are offered the one that is understood here: `transfer_call`, with a list of whom callers can be connected to. */
const transferTool = z
  .object({
    function: z.object({
      name: z.literal('transfer_call'),
      parameters: z.object({ properties: z.object({ to: z.object({ enum: z.array(z.string()).min(1) }) }) }),
    }),
  })
  .transform(({ function: { parameters } }) => ({ to: parameters.properties.to.enum[0]! }));

const fields = z.object({
  model: z.string().min(1).max(128),
  messages: z.array(message).min(1).max(1000),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().optional() }).nullish(),
  max_tokens: z.int().min(1).max(1_000_000).nullish(),
  max_completion_tokens: z.int().min(1).max(1_000_000).nullish(),
  n: z.literal(1, 'must be 1 with this server').nullish(),
  tools: z.array(z.unknown()).max(128).nullish(),
  // Accepted for compatibility and without effect: the answers are written, not sampled.
  temperature: z.number().min(0).max(2).nullish(),
});

interface Completion {
  id: string;
  created: number;
  model: string;
  /** The reply in pieces that put together are the whole of it: a word each, with the space before it. */
  words: string[];
  /** In place of a reply. */
  call: TransferTool | null;
  finishReason: 'stop' | 'length' | 'tool_calls';
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

/** `POST /v1/chat/completions`, whole or streamed word by word. Tokens in `usage` are estimates: see {@link tokens}. */
export async function chat(
  exchange: Exchange,
  models: Models,
  gate: Gate,
  engine: () => DialogueEngine,
  wordDelayMs: number,
): Promise<void> {
  const { request, response, signal, budget } = exchange;
  const asked = await withBody(request, bodyLimits.jsonBytes, budget, async (body) =>
    parseJson(body, fields),
  );
  models.demand(asked.model, 'intents', chatPath);
  if (asked.stream !== true && asked.stream_options) {
    throw apiErrors.invalid('stream_options', "is only allowed when 'stream' is enabled.");
  }
  const about = connecting(asked.messages, transferToolOf(asked.tools ?? []));
  const call = about !== null && 'call' in about ? about.call : null;
  const reply =
    about === null
      ? await gate.run(signal, () => engine().reply(asked.messages))
      : 'text' in about
        ? about.text
        : '';
  const most = asked.max_completion_tokens ?? asked.max_tokens ?? Number.POSITIVE_INFINITY;
  const completion = { ...completed(asked.model, asked.messages, reply, most), call };
  if (call !== null) completion.finishReason = 'tool_calls';
  if (asked.stream === true) {
    await stream(exchange, completion, asked.stream_options?.include_usage === true, wordDelayMs);
  } else {
    sendJson(response, 200, whole(completion));
  }
}

function transferToolOf(tools: readonly unknown[]): TransferTool | null {
  for (const tool of tools) {
    const known = transferTool.safeParse(tool);
    if (known.success) return known.data;
  }
  return null;
}

function toolCall({ id, call }: Completion): object | null {
  if (call === null) return null;
  const asked = { name: 'transfer_call', arguments: JSON.stringify(call) };
  return { id: `call-${id}`, type: 'function', function: asked };
}

function completed(
  model: string,
  messages: readonly { content: string }[],
  reply: string,
  most: number,
): Omit<Completion, 'call'> {
  const words = reply.match(/\s*\S+/g) ?? [];
  const kept: string[] = [];
  let used = 0;
  for (const word of words) {
    used += tokens(word);
    if (used > most) break;
    kept.push(word);
  }
  const prompt = messages.reduce((sum, { content }) => sum + tokens(content), 0);
  const completion = kept.reduce((sum, word) => sum + tokens(word), 0);
  return {
    id: `chatcmpl-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model,
    words: kept,
    finishReason: kept.length < words.length ? 'length' : 'stop',
    usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
  };
}

/** An estimate, since there is no tokeniser: four characters a token, OpenAI's rule of thumb for English. */
function tokens(value: string): number {
  return Math.ceil(value.trim().length / 4);
}

function whole(completed: Completion): unknown {
  const { id, created, model, words, finishReason, usage } = completed;
  const asked = toolCall(completed);
  const reply =
    asked === null
      ? { role: 'assistant', content: words.join(''), refusal: null }
      : { role: 'assistant', content: null, refusal: null, tool_calls: [asked] };
  return {
    id,
    object: 'chat.completion',
    created,
    model,
    choices: [{ index: 0, message: reply, logprobs: null, finish_reason: finishReason }],
    usage,
  };
}

async function stream(
  exchange: Exchange,
  completion: Completion,
  includeUsage: boolean,
  wordDelayMs: number,
): Promise<void> {
  const { response, signal } = exchange;
  const { id, created, model, words, finishReason, usage } = completion;
  const send = (choices: unknown[], extra: object = includeUsage ? { usage: null } : {}) => {
    const chunk = { id, object: 'chat.completion.chunk', created, model, choices, ...extra };
    return writePiece(exchange, `data: ${JSON.stringify(chunk)}\n\n`);
  };
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
  });
  await send([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]);
  for (const word of words) {
    if (wordDelayMs > 0) await sleep(wordDelayMs, undefined, { signal });
    await send([{ index: 0, delta: { content: word }, finish_reason: null }]);
  }
  const asked = toolCall(completion);
  if (asked !== null) {
    await send([{ index: 0, delta: { tool_calls: [{ index: 0, ...asked }] }, finish_reason: null }]);
  }
  await send([{ index: 0, delta: {}, finish_reason: finishReason }]);
  if (includeUsage) await send([], { usage });
  await writePiece(exchange, 'data: [DONE]\n\n');
  response.end();
}
