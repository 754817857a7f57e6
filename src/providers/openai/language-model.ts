import type OpenAI from 'openai';
import { z } from 'zod';
import { type Clock, systemClock } from '../../call/clock.ts';
import {
  type LanguageModel,
  type LanguageModelEvent,
  type LanguageModelRequest,
  type Message,
  ProviderError,
  type Usage,
} from '../ports.ts';
import { Watchdog } from '../watchdog.ts';
import { createOpenAiClient, type OpenAiSettings } from './client.ts';
import { malformed, timedOut, toProviderError } from './errors.ts';

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

/** No tokenizer has longer tokens on average: beyond it the server ignores `max_completion_tokens`. */
const mostCharactersPerToken = 32;

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }).nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
});

/**
 * Chat completions, streamed. When the signal fires, the iteration ends quietly. A refusal is text like any other: the
 * caller has to hear something. A stream that breaks off fails with `unavailable` after what it had yielded; one that
 * never yields text with `malformed`.
 */
export function openAiLanguageModel(
  settings: OpenAiLanguageModelSettings,
  clock: Clock = systemClock,
): LanguageModel {
  const client = createOpenAiClient(settings);
  const provider = `openai/${settings.model}`;
  return {
    async *reply(request, signal) {
      const watchdog = new Watchdog(clock, signal);
      try {
        yield* replyFrom(client, settings, provider, request, watchdog);
      } catch (error) {
        if (signal.aborted) return;
        if (watchdog.expired !== null) throw timedOut(provider, watchdog.expired);
        throw toProviderError(provider, error);
      } finally {
        watchdog.close();
      }
    },
  };
}

async function* replyFrom(
  client: OpenAI,
  settings: OpenAiLanguageModelSettings,
  provider: string,
  request: LanguageModelRequest,
  watchdog: Watchdog,
): AsyncGenerator<LanguageModelEvent, void, void> {
  const { signal } = watchdog;
  if (signal.aborted) return;
  watchdog.expect('text', settings.firstTokenMs ?? defaultFirstTokenMs);
  const { data, response } = await client.chat.completions
    .create(bodyOf(settings, request), { signal })
    .withResponse();
  const type = response.headers.get('content-type') ?? 'text/event-stream';
  if (!/^text\/event-stream\b/i.test(type)) throw malformed(provider, `answered with ${type.slice(0, 100)}`);

  let characters = 0;
  let finished = false;
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
        watchdog.expect('more text', settings.idleMs ?? defaultIdleMs);
      }
      if (choice?.finish_reason && !finished) {
        finished = true;
        watchdog.relax();
        if (characters > 0) yield { type: 'finished' };
        if (signal.aborted) return;
        watchdog.expect('end', settings.idleMs ?? defaultIdleMs);
      }
      if (chunk.data.usage) {
        watchdog.relax();
        yield { type: 'usage', usage: usageOf(provider, chunk.data.usage) };
        if (signal.aborted) return;
        watchdog.expect('end', settings.idleMs ?? defaultIdleMs);
      }
    }
  } catch (error) {
    // The reply stands; only its usage may be missing.
    if (!finished || characters === 0) throw error;
  }
  // The client ends an aborted stream as if it were complete.
  if (signal.aborted && !finished) signal.throwIfAborted();
  if (finished && characters > 0) return;
  if (finished) throw malformed(provider, 'replied with nothing');
  throw new ProviderError(provider, 'unavailable', `${provider}: the stream broke off`);
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

function usageOf(provider: string, usage: { prompt_tokens: number; completion_tokens: number }): Usage {
  return { provider, inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens };
}
