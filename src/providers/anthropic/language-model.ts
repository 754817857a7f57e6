import { BaseAnthropic } from '@anthropic-ai/sdk/client';
import type {
  MessageCreateParamsStreaming,
  RawMessageStreamEvent,
} from '@anthropic-ai/sdk/resources/messages/messages';
import type { Stream } from '@anthropic-ai/sdk/streaming';
import { type Clock, type Random, systemClock, systemRandom } from '../../call/clock.ts';
import { withClientAttempts } from '../client-attempts.ts';
import type { LanguageModel, LanguageModelEvent, LanguageModelRequest } from '../ports.ts';
import { malformed, streamedRequest } from '../streamed-request.ts';
import type { Watchdog } from '../watchdog.ts';
import { claudeReply } from './claude-reply.ts';
import { type ClaudeSettings, claudeRequest } from './claude-request.ts';
import { toProviderError } from './errors.ts';

export interface AnthropicLanguageModelSettings extends ClaudeSettings {
  apiKey: string;
  /** Without the version, e.g. `https://api.anthropic.com`, the default. */
  baseUrl?: string;
}

const defaultBaseUrl = 'https://api.anthropic.com';
const defaultTimeoutMs = 4_000;
const defaultMaxRetries = 3;
const defaultFirstTokenMs = 10_000;
const defaultIdleMs = 5_000;

/**
 * Claude by Anthropic's own Messages API, streamed. When the signal fires, the iteration ends quietly. A stream that breaks off
 * fails with `unavailable` after what it had yielded; a reply that is empty with `malformed`; one that the model or its safeguards
 * refuse with `rejected`.
 */
export function anthropicLanguageModel(
  settings: AnthropicLanguageModelSettings,
  clock: Clock = systemClock,
  random: Random = systemRandom,
): LanguageModel {
  const client = createAnthropicClient(settings);
  const provider = `anthropic/${settings.model}`;
  const maxRetries = settings.maxRetries ?? defaultMaxRetries;
  return {
    reply: (request, signal) =>
      streamedRequest({ provider, clock, signal, toProviderError }, (watchdog) =>
        replyFrom(client, settings, { provider, maxRetries, clock, random }, request, watchdog),
      ),
  };
}

/**
 * The official client without its resources, which would double its share of the bundle: one request is all that is needed. Configured
 * by the settings alone: given a key, it looks for no other; of the environment it takes but `ANTHROPIC_CUSTOM_HEADERS`.
 */
function createAnthropicClient(settings: AnthropicLanguageModelSettings): BaseAnthropic {
  return new BaseAnthropic({
    apiKey: settings.apiKey,
    webhookKey: null,
    baseURL: settings.baseUrl ?? defaultBaseUrl,
    timeout: settings.timeoutMs ?? defaultTimeoutMs,
    // See `withClientAttempts`.
    maxRetries: 0,
    openTelemetry: false,
    // Failures come back as ProviderError; the client would print them as well.
    logLevel: 'off',
  });
}

async function* replyFrom(
  client: BaseAnthropic,
  settings: AnthropicLanguageModelSettings,
  attempts: { provider: string; maxRetries: number; clock: Clock; random: Random },
  request: LanguageModelRequest,
  watchdog: Watchdog,
): AsyncGenerator<LanguageModelEvent, void, void> {
  const { provider } = attempts;
  const { signal } = watchdog;
  watchdog.expect('text', settings.firstTokenMs ?? defaultFirstTokenMs);
  const body: MessageCreateParamsStreaming = {
    model: settings.model,
    ...claudeRequest(settings, request),
    stream: true,
  };
  const { data, response } = await withClientAttempts(
    () =>
      client
        .post<Stream<RawMessageStreamEvent>>('/v1/messages', { body, stream: true, signal })
        .withResponse(),
    { ...attempts, signal, toProviderError },
  );
  const type = response.headers.get('content-type') ?? 'text/event-stream';
  if (!/^text\/event-stream\b/i.test(type)) throw malformed(provider, `answered with ${type.slice(0, 100)}`);
  yield* claudeReply(data, {
    provider,
    maxOutputTokens: request.maxOutputTokens,
    idleMs: settings.idleMs ?? defaultIdleMs,
    watchdog,
  });
}
