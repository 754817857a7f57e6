import type OpenAI from 'openai';
import { z } from 'zod';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import type {
  LanguageModel,
  LanguageModelEvent,
  LanguageModelRequest,
  Message,
  ToolDefinition,
  Usage,
} from '../ports.ts';
import { brokenOff, malformed, mostCharactersPerToken, streamedRequest } from '../streamed-request.ts';
import { ToolCallCollector } from '../tool-calls.ts';
import type { Watchdog } from '../watchdog.ts';
import { createOpenAiClient, type OpenAiRequests, type OpenAiSettings, requestOpenAi } from './client.ts';
import { toProviderError } from './errors.ts';

export interface OpenAiLanguageModelSettings extends OpenAiSettings {
  /** Used where a request names none; absent: the model's own. Reasoning models accept none. */
  temperature?: number;
  /** How long a reasoning model may think before it speaks; absent: the model's own. */
  reasoningEffort?: 'none' | 'minimal' | 'low' | 'medium' | 'high';
  /** The longest wait for the first text, all retries included. Default 10,000. */
  firstTokenMs?: number;
  /** The longest wait for the next text. Default 5,000. */
  idleMs?: number;
}

const defaultFirstTokenMs = 10_000;
const defaultIdleMs = 5_000;

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z
          .object({
            content: z.string().nullish(),
            refusal: z.string().nullish(),
            tool_calls: z
              .array(
                z.object({
                  index: z.number().int().min(0).nullish(),
                  id: z.string().nullish(),
                  function: z
                    .object({ name: z.string().nullish(), arguments: z.string().nullish() })
                    .nullish(),
                }),
              )
              .nullish(),
          })
          .nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage: z
    .object({
      prompt_tokens: z.number(),
      completion_tokens: z.number(),
      prompt_tokens_details: z
        .object({ cached_tokens: z.number().nullish(), cache_write_tokens: z.number().nullish() })
        .nullish()
        .catch(null),
    })
    .nullish(),
});

/**
 * Chat completions, streamed. When the signal fires, the iteration ends quietly. A refusal is text like any other: the
 * caller has to hear something. A stream that breaks off fails with `unavailable` after what it had yielded; one that
 * yields neither text nor a tool call, or a tool call that is cut off by the bound of the reply, with `malformed`.
 */
export function openAiLanguageModel(
  settings: OpenAiLanguageModelSettings,
  clock: Clock = systemClock,
  random: Random = systemRandom,
): LanguageModel {
  const client = createOpenAiClient(settings);
  const provider = `openai/${settings.model}`;
  return {
    reply: (request, signal) =>
      streamedRequest({ provider, clock, signal, toProviderError }, (watchdog) =>
        replyFrom(client, { settings, provider, clock, random }, request, watchdog),
      ),
  };
}

async function* replyFrom(
  client: OpenAI,
  requests: OpenAiRequests & { settings: OpenAiLanguageModelSettings },
  request: LanguageModelRequest,
  watchdog: Watchdog,
): AsyncGenerator<LanguageModelEvent, void, void> {
  const { settings, provider } = requests;
  const { signal } = watchdog;
  const idleMs = settings.idleMs ?? defaultIdleMs;
  watchdog.expect('text', settings.firstTokenMs ?? defaultFirstTokenMs);
  const { data, response } = await requestOpenAi(requests, signal, () =>
    client.chat.completions.create(bodyOf(settings, request), { signal }).withResponse(),
  );
  const type = response.headers.get('content-type') ?? 'text/event-stream';
  if (!/^text\/event-stream\b/i.test(type)) throw malformed(provider, `answered with ${type.slice(0, 100)}`);

  const tools = new ToolCallCollector(provider);
  let characters = 0;
  let finished = false;
  const isEmpty = () => characters === 0 && tools.count === 0;
  try {
    for await (const raw of data) {
      const chunk = chunkSchema.safeParse(raw);
      if (!chunk.success) throw malformed(provider, 'sent an event that is none of a chat completion');
      const choice = chunk.data.choices?.[0];
      const text = (choice?.delta?.content ?? '') + (choice?.delta?.refusal ?? '');
      if (text !== '') {
        watchdog.relax();
        characters += text.length;
        if (characters > (request.maxOutputTokens + 1) * mostCharactersPerToken) {
          throw malformed(provider, 'wrote more than it was allowed');
        }
        yield { type: 'text', text };
        if (signal.aborted) return;
        watchdog.expect('more text', idleMs);
      }
      for (const piece of choice?.delta?.tool_calls ?? []) {
        if (tools.add({ index: piece.index, id: piece.id, ...piece.function })) {
          watchdog.expect('more of a tool call', idleMs);
        }
      }
      if (choice?.finish_reason && !finished) {
        watchdog.relax();
        yield* ending(provider, tools, choice.finish_reason, isEmpty(), signal);
        if (signal.aborted) return;
        finished = true;
        watchdog.expect('end', idleMs);
      }
      if (chunk.data.usage) {
        watchdog.relax();
        yield { type: 'usage', usage: usageOf(provider, chunk.data.usage) };
        if (signal.aborted) return;
        watchdog.expect('end', idleMs);
      }
    }
  } catch (error) {
    // The reply stands; only its usage may be missing.
    if (!finished || isEmpty()) throw error;
  }
  // The client ends an aborted stream as if it were complete.
  if (signal.aborted && !finished) signal.throwIfAborted();
  if (finished && !isEmpty()) return;
  if (finished) throw malformed(provider, 'replied with nothing');
  // Some servers end a reply of tool calls without a word.
  if (tools.count === 0 || !tools.areComplete) throw brokenOff(provider);
  watchdog.relax();
  yield* ending(provider, tools, 'tool_calls', false, signal);
}

/** What follows the last piece of a reply that ended for `reason`. */
function* ending(
  provider: string,
  tools: ToolCallCollector,
  reason: string,
  isEmpty: boolean,
  signal: AbortSignal,
): Generator<LanguageModelEvent, void, void> {
  const isCut = reason === 'length' || reason === 'content_filter';
  if (isCut && tools.count > 0) throw malformed(provider, 'was cut off in a tool call');
  for (const call of tools.finish()) {
    yield { type: 'toolCall', call };
    if (signal.aborted) return;
  }
  if (!isEmpty) yield { type: 'finished' };
}

function bodyOf(
  settings: OpenAiLanguageModelSettings,
  request: LanguageModelRequest,
): OpenAI.ChatCompletionCreateParamsStreaming {
  const temperature = request.temperature ?? settings.temperature;
  return {
    model: settings.model,
    messages: request.messages.map(messageOf),
    stream: true,
    stream_options: { include_usage: true },
    max_completion_tokens: request.maxOutputTokens,
    ...(request.tools?.length ? { tools: request.tools.map(toolOf) } : {}),
    ...(temperature === undefined ? {} : { temperature }),
    ...(settings.reasoningEffort === undefined ? {} : { reasoning_effort: settings.reasoningEffort }),
  };
}

function messageOf(message: Message): OpenAI.ChatCompletionMessageParam {
  if (message.role === 'tool') {
    return { role: 'tool', tool_call_id: message.toolCallId, content: message.content };
  }
  if (message.role !== 'assistant' || !message.toolCalls?.length) {
    return { role: message.role, content: message.content };
  }
  return {
    role: 'assistant',
    content: message.content,
    tool_calls: message.toolCalls.map((call) => ({
      id: call.id,
      type: 'function',
      function: { name: call.name, arguments: call.arguments },
    })),
  };
}

function toolOf(tool: ToolDefinition): OpenAI.ChatCompletionFunctionTool {
  const { name, description, parameters } = tool;
  return { type: 'function', function: { name, description, parameters } };
}

function usageOf(provider: string, usage: NonNullable<z.infer<typeof chunkSchema>['usage']>): Usage {
  const { cached_tokens: cached, cache_write_tokens: written } = usage.prompt_tokens_details ?? {};
  return {
    provider,
    inputTokens: usage.prompt_tokens,
    ...(cached ? { cachedInputTokens: cached } : {}),
    ...(written ? { cacheWriteTokens: written } : {}),
    outputTokens: usage.completion_tokens,
  };
}
