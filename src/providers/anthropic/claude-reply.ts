import { z } from 'zod';
import { type LanguageModelEvent, ProviderError, type Usage } from '../ports.ts';
import { brokenOff, malformed, mostCharactersPerToken } from '../streamed-request.ts';
import { ToolCallCollector } from '../tool-calls.ts';
import type { Watchdog } from '../watchdog.ts';
import { failureOfType } from './errors.ts';

const usageSchema = z.object({
  input_tokens: z.number().nullish(),
  cache_creation_input_tokens: z.number().nullish(),
  cache_read_input_tokens: z.number().nullish(),
  output_tokens: z.number().nullish(),
});

const index = z.number().int().min(0);

/** "Streaming messages", section "Event types". Whatever is not listed may be added by the vendor at any time. */
const eventSchemas = {
  message_start: z.object({ message: z.object({ usage: usageSchema.nullish() }) }),
  content_block_start: z.object({
    index,
    content_block: z.object({
      type: z.string(),
      text: z.string().optional(),
      id: z.string().optional(),
      name: z.string().optional(),
    }),
  }),
  content_block_delta: z.object({
    index,
    delta: z.object({
      type: z.string(),
      text: z.string().optional(),
      partial_json: z.string().optional(),
    }),
  }),
  content_block_stop: z.object({ index }),
  message_delta: z.object({
    delta: z.object({
      stop_reason: z.string().nullish(),
      stop_details: z.object({ category: z.string().nullish() }).nullish().catch(null),
    }),
    usage: usageSchema.nullish(),
  }),
  error: z.object({ error: z.object({ type: z.string(), message: z.string().optional() }) }),
};

const typeSchema = z.object({ type: z.string() });

export interface ClaudeReplyOptions {
  provider: string;
  maxOutputTokens: number;
  idleMs: number;
  /** Waits for the first text when it is handed over. */
  watchdog: Watchdog;
}

/**
 * One reply from the events of the Messages API, parsed but not trusted. Keep-alive events and thinking are no progress: the caller
 * hears nothing of them. Fails with `rejected` where the model refused, with `unavailable` where the events
 * end early, after what was yielded.
 */
export async function* claudeReply(
  events: AsyncIterable<unknown>,
  options: ClaudeReplyOptions,
): AsyncGenerator<LanguageModelEvent, void, void> {
  const { provider, watchdog, idleMs } = options;
  const { signal } = watchdog;
  const state = new ReplyState(options);
  try {
    for await (const event of events) {
      const type = typeSchema.safeParse(event);
      if (!type.success) throw malformed(provider, 'sent an event without a type');
      if (type.data.type === 'message_stop') break;
      const step = state.take(type.data.type, event);
      if (step === null) continue;
      watchdog.relax();
      for (const each of step) {
        yield each;
        if (signal.aborted) return;
      }
      if (state.failure !== null) throw state.failure;
      watchdog.expect(state.finished ? 'end' : 'more text', idleMs);
    }
  } catch (error) {
    // The reply stands; only its end may be missing.
    if (!state.finished) throw error;
  }
  if (state.finished) return;
  // The client ends an aborted stream as if it were complete.
  signal.throwIfAborted();
  throw brokenOff(provider);
}

class ReplyState {
  /** The end was told, and what belongs to it handed out. */
  finished = false;
  /** Why the reply cannot be used, known only at its end. */
  failure: ProviderError | null = null;
  readonly #provider: string;
  readonly #mostCharacters: number;
  readonly #tools: ToolCallCollector;
  /** Tool calls that are still being written. */
  readonly #openTools = new Set<number>();
  #usage: z.infer<typeof usageSchema> = {};
  #characters = 0;

  constructor({ provider, maxOutputTokens }: ClaudeReplyOptions) {
    this.#provider = provider;
    this.#mostCharacters = (maxOutputTokens + 1) * mostCharactersPerToken;
    this.#tools = new ToolCallCollector(provider);
  }

  /** What follows from an event, or null where it is no progress. */
  take(type: string, event: unknown): LanguageModelEvent[] | null {
    switch (type) {
      case 'message_start':
        this.#count(this.#parse('message_start', event).message.usage);
        return null;
      case 'content_block_start': {
        const { index, content_block: block } = this.#parse('content_block_start', event);
        if (block.type === 'text') return this.#say(block.text ?? '');
        if (block.type !== 'tool_use') return null;
        this.#openTools.add(index);
        // A block's index is its own: two calls cannot share one.
        return this.#tools.add({ index, id: block.id, name: block.name }) ? [] : null;
      }
      case 'content_block_delta': {
        const { index, delta } = this.#parse('content_block_delta', event);
        if (delta.type === 'text_delta') return this.#say(delta.text ?? '');
        if (delta.type !== 'input_json_delta' || !this.#openTools.has(index)) return null;
        return this.#tools.add({ index, arguments: delta.partial_json }) ? [] : null;
      }
      case 'content_block_stop':
        this.#openTools.delete(this.#parse('content_block_stop', event).index);
        return null;
      case 'message_delta': {
        const { delta, usage } = this.#parse('message_delta', event);
        this.#count(usage);
        return delta.stop_reason ? this.#end(delta.stop_reason, delta.stop_details?.category) : null;
      }
      case 'error': {
        const { error } = this.#parse('error', event);
        const message = `${this.#provider}: ${error.type} ${(error.message ?? '').slice(0, 300)}`;
        throw new ProviderError(this.#provider, failureOfType(error.type) ?? 'unavailable', message);
      }
      default:
        return null;
    }
  }

  #parse<Type extends keyof typeof eventSchemas>(
    type: Type,
    event: unknown,
  ): z.infer<(typeof eventSchemas)[Type]> {
    const parsed = eventSchemas[type].safeParse(event);
    if (!parsed.success) throw malformed(this.#provider, `sent a ${type} that is none`);
    return parsed.data as z.infer<(typeof eventSchemas)[Type]>;
  }

  #say(text: string): LanguageModelEvent[] | null {
    if (text === '' || this.finished) return null;
    this.#characters += text.length;
    if (this.#characters > this.#mostCharacters) {
      throw malformed(this.#provider, 'wrote more than it was allowed');
    }
    return [{ type: 'text', text }];
  }

  /** "Handling stop reasons". */
  #end(reason: string, category: string | null | undefined): LanguageModelEvent[] | null {
    if (this.finished) return null;
    const usage: LanguageModelEvent = { type: 'usage', usage: this.#usageOf() };
    if (reason === 'refusal') {
      const why = category ? ` (${category.slice(0, 100)})` : '';
      this.failure = new ProviderError(
        this.#provider,
        'rejected',
        `${this.#provider}: the model refused${why}`,
      );
      return [usage];
    }
    if (this.#openTools.size > 0) {
      this.failure = malformed(this.#provider, 'was cut off in a tool call');
      return [usage];
    }
    if (this.#characters === 0 && this.#tools.count === 0) {
      this.failure = malformed(this.#provider, 'replied with nothing');
      return [usage];
    }
    const calls = this.#tools.finish();
    this.finished = true;
    return [
      ...calls.map((call): LanguageModelEvent => ({ type: 'toolCall', call })),
      { type: 'finished' },
      usage,
    ];
  }

  /** The counts of `message_delta` are cumulative; it leaves out or sends null what it does not tell anew. */
  #count(usage: z.infer<typeof usageSchema> | null | undefined): void {
    for (const [name, value] of Object.entries(usage ?? {})) {
      if (value !== null && value !== undefined) this.#usage = { ...this.#usage, [name]: value };
    }
  }

  /** `input_tokens` are those that were neither read from the cache nor written to it. */
  #usageOf(): Usage {
    const usage = this.#usage;
    const written = usage.cache_creation_input_tokens ?? 0;
    const read = usage.cache_read_input_tokens ?? 0;
    return {
      provider: this.#provider,
      inputTokens: (usage.input_tokens ?? 0) + written + read,
      ...(read > 0 ? { cachedInputTokens: read } : {}),
      ...(written > 0 ? { cacheWriteTokens: written } : {}),
      outputTokens: usage.output_tokens ?? 0,
    };
  }
}
