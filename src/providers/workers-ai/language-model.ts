import { Stream } from 'openai/streaming';
import { z } from 'zod';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import { bytesOf } from '../bodies.ts';
import { createOpenAiClient } from '../openai/client.ts';
import { toProviderError as toOpenAiError } from '../openai/errors.ts';
import type { LanguageModel, LanguageModelEvent, LanguageModelRequest, Message, Usage } from '../ports.ts';
import { brokenOff, malformed, mostCharactersPerToken, streamedRequest } from '../streamed-request.ts';
import { ToolCallCollector, type ToolCallPiece } from '../tool-calls.ts';
import type { Watchdog } from '../watchdog.ts';
import { failureInStream, type ModelRun, providerOf, runModel, type WorkersAiSettings } from './binding.ts';

export interface WorkersAiLanguageModelSettings extends WorkersAiSettings {
  /**
   * Default `@cf/meta/llama-3.3-70b-instruct-fp8-fast`, which stays (changelog of 2026-05-08) and takes tools. Its context window has
   * 24,000 tokens.
   */
  model?: string;
  /** Used where a request names none; absent: the model's own. */
  temperature?: number;
  /** Inputs of the model's own, e.g. `{ chat_template_kwargs: { enable_thinking: false } }` for one that thinks aloud. */
  inputs?: Record<string, unknown>;
  /** The longest wait for the first text, all attempts included. Default 10,000. */
  firstTokenMs?: number;
  /** The longest wait for the next text. Default 5,000. */
  idleMs?: number;
}

const defaultModel = '@cf/meta/llama-3.3-70b-instruct-fp8-fast';
// No p99 is published: OpenAI's.
const defaultFirstTokenMs = 10_000;
const defaultIdleMs = 5_000;

/** Some 300 bytes carry one token. */
const longestStream = 4_000_000;

const toolCallSchema = z.object({
  index: z.number().int().min(0).nullish(),
  id: z.string().nullish(),
  name: z.string().nullish(),
  arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
  function: z
    .object({
      name: z.string().nullish(),
      arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
    })
    .nullish(),
});

/**
 * Both forms in which models answer. Their own (developers.cloudflare.com/workers-ai/models/llama-3.3-70b-instruct-fp8-fast/, `response`,
 * `tool_calls`, `usage`; a token that looks like a number comes as one), and OpenAI's chunks (glm-4.7-flash, gpt-oss and later ones).
 */
const chunkSchema = z.object({
  response: z.union([z.string(), z.number(), z.boolean()]).nullish(),
  tool_calls: z.array(toolCallSchema).nullish(),
  choices: z
    .array(
      z.object({
        delta: z
          .object({ content: z.string().nullish(), tool_calls: z.array(toolCallSchema).nullish() })
          .nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .nullish(),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish().catch(null),
});

/**
 * Text generation, streamed. When the signal fires, the iteration ends quietly. A stream that breaks off fails with `unavailable` after
 * what it had yielded; one that yields neither text nor a tool call with `malformed`.
 */
export function workersAiLanguageModel(
  settings: WorkersAiLanguageModelSettings,
  clock: Clock = systemClock,
  random: Random = systemRandom,
): LanguageModel {
  const model = settings.model ?? defaultModel;
  const provider = providerOf(model);
  return {
    reply: (request, signal) =>
      streamedRequest({ provider, clock, signal, toProviderError: toOpenAiError }, (watchdog) => {
        watchdog.expect('text', settings.firstTokenMs ?? defaultFirstTokenMs);
        const run = { settings, model, clock, random, signal: watchdog.signal };
        return replyFrom(run, settings, request, watchdog);
      }),
  };
}

async function* replyFrom(
  run: ModelRun,
  settings: WorkersAiLanguageModelSettings,
  request: LanguageModelRequest,
  watchdog: Watchdog,
): AsyncGenerator<LanguageModelEvent, void, void> {
  const { signal } = watchdog;
  const provider = providerOf(run.model);
  const idleMs = settings.idleMs ?? defaultIdleMs;
  const response = await runModel(run, () => inputsOf(settings, request));
  const type = response.headers.get('content-type') ?? 'text/event-stream';
  if (response.body === null || !/^text\/event-stream\b/i.test(type)) {
    response.body?.cancel().catch(() => {});
    throw malformed(provider, `answered with ${type.slice(0, 100)}`);
  }
  const watched = watchedStream(provider, response.body as ReadableStream<Uint8Array>, signal);
  const tools = new ToolCalls(provider, run.random);
  let usage: Usage | null = null;
  let characters = 0;
  let ended = false;
  const isEmpty = () => characters === 0 && tools.collector.count === 0;
  try {
    for await (const raw of eventsOf(watched.body)) {
      const error = failureInStream(provider, raw);
      if (error !== null) throw error;
      const chunk = chunkSchema.safeParse(raw);
      if (!chunk.success) throw malformed(provider, 'sent an event that is none of a reply');
      const { response: own, tool_calls: ownCalls, choices, usage: counted } = chunk.data;
      const choice = choices?.[0];
      const text = `${own ?? ''}${choice?.delta?.content ?? ''}`;
      // Repeated by some models, counted up in each event.
      if (counted) usage = usageOf(provider, counted);
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
      for (const call of [...(ownCalls ?? []), ...(choice?.delta?.tool_calls ?? [])]) {
        if (tools.add(call)) watchdog.expect('more of a tool call', idleMs);
      }
      if (choice?.finish_reason && !ended) {
        watchdog.relax();
        yield* tools.ending(choice.finish_reason, isEmpty(), signal);
        if (signal.aborted) return;
        ended = true;
        watchdog.expect('end', idleMs);
      }
    }
  } catch (error) {
    // The reply stands; only its usage may be missing.
    if (!ended || isEmpty()) throw error;
  }
  watchdog.relax();
  if (!ended) {
    signal.throwIfAborted();
    // A model's own form has no reason to end: its stream ends with a word of its own.
    if (!watched.wasEnded()) throw brokenOff(provider);
    yield* tools.ending('stop', isEmpty(), signal);
  }
  if (signal.aborted) return;
  if (usage !== null) yield { type: 'usage', usage };
  if (isEmpty()) throw malformed(provider, 'replied with nothing');
}

/** Workers AI's tool calls: in pieces, or whole and without an id, which the conversation needs. */
class ToolCalls {
  readonly collector: ToolCallCollector;
  readonly #provider: string;
  readonly #random: Random;
  readonly #idOfIndex = new Map<number, string>();

  constructor(provider: string, random: Random) {
    this.collector = new ToolCallCollector(provider);
    this.#provider = provider;
    this.#random = random;
  }

  /** Returns whether it was progress. */
  add(call: z.infer<typeof toolCallSchema>): boolean {
    const name = call.function?.name ?? call.name;
    const written = call.function?.arguments ?? call.arguments ?? '';
    const piece: ToolCallPiece = {
      index: call.index,
      id: call.id || (name ? this.#idFor(call.index ?? null) : ''),
      name,
      arguments: typeof written === 'string' ? written : JSON.stringify(written),
    };
    return this.collector.add(piece);
  }

  /** What follows the last piece of a reply that ended for `reason`. */
  *ending(reason: string, isEmpty: boolean, signal: AbortSignal): Generator<LanguageModelEvent, void, void> {
    const isCut = reason === 'length' || !this.collector.areComplete;
    if (isCut && this.collector.count > 0) throw malformed(this.#provider, 'was cut off in a tool call');
    for (const call of this.collector.finish()) {
      yield { type: 'toolCall', call };
      if (signal.aborted) return;
    }
    if (!isEmpty) yield { type: 'finished' };
  }

  #idFor(index: number | null): string {
    const known = index === null ? undefined : this.#idOfIndex.get(index);
    const id = known ?? `call_${this.#random.id()}`;
    if (index !== null) this.#idOfIndex.set(index, id);
    return id;
  }
}

/** The parser of the `openai` package. */
function eventsOf(body: ReadableStream<Uint8Array>): AsyncIterable<unknown> {
  // It logs what it cannot parse, unless it belongs to a client that logs nothing.
  const client = createOpenAiClient({ apiKey: 'none', model: 'none' });
  return Stream.fromSSEResponse<unknown>(new Response(body), new AbortController(), client);
}

/**
 * The same bytes, bounded, which end with an error when the signal fires. The parser keeps the last event, `[DONE]`, for itself, so
 * it is looked for here.
 */
function watchedStream(provider: string, body: ReadableStream<Uint8Array>, signal: AbortSignal) {
  const pieces = bytesOf(body, signal);
  const decoder = new TextDecoder();
  let tail = '';
  let bytes = 0;
  return {
    body: new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const { done, value } = await pieces.next();
          if (done) {
            controller.close();
            return;
          }
          bytes += value.length;
          if (bytes > longestStream) throw malformed(provider, 'sent a stream without end');
          tail = (tail + decoder.decode(value, { stream: true })).slice(-32);
          controller.enqueue(value);
        },
        cancel() {
          // Never waited for: a vendor that does not close its stream would hold the call.
          pieces.return().then(undefined, () => {});
        },
      },
      { highWaterMark: 0 },
    ),
    wasEnded: () => /^data: ?\[DONE\]\s*$/m.test(tail),
  };
}

/** developers.cloudflare.com/workers-ai/features/function-calling/traditional/, and the page of the model. */
function inputsOf(
  settings: WorkersAiLanguageModelSettings,
  request: LanguageModelRequest,
): Record<string, unknown> {
  const temperature = request.temperature ?? settings.temperature;
  return {
    messages: request.messages.map(messageOf),
    stream: true,
    max_tokens: request.maxOutputTokens,
    ...(request.tools?.length
      ? { tools: request.tools.map((tool) => ({ type: 'function', function: { ...tool } })) }
      : {}),
    ...(temperature === undefined ? {} : { temperature }),
    ...settings.inputs,
  };
}

function messageOf(message: Message): Record<string, unknown> {
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
