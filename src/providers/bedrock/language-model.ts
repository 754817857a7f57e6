import { z } from 'zod';
import { decodeBase64 } from '../../audio/base64.ts';
import { type Clock, systemClock } from '../../call/clock.ts';
import { claudeReply } from '../anthropic/claude-reply.ts';
import { type ClaudeSettings, claudeRequest } from '../anthropic/claude-request.ts';
import type { LanguageModel, LanguageModelEvent, LanguageModelRequest } from '../ports.ts';
import { malformed, streamedRequest } from '../streamed-request.ts';
import type { Watchdog } from '../watchdog.ts';
import { exceptionError, toProviderError } from './errors.ts';
import { eventStream } from './event-stream.ts';
import { type AwsCredentials, type BedrockApiKey, invoke } from './invoke.ts';

export interface BedrockLanguageModelSettings extends ClaudeSettings {
  /** Id or ARN of a Claude model or of an inference profile of one, e.g. `global.anthropic.claude-haiku-5-5`. */
  model: string;
  /** E.g. `us-east-1`. */
  region: string;
  credentials: AwsCredentials | BedrockApiKey;
  /** Default `https://bedrock-runtime.{region}.amazonaws.com`. */
  baseUrl?: string;
}

const defaultTimeoutMs = 4_000;
const defaultMaxRetries = 3;
const defaultFirstTokenMs = 10_000;
const defaultIdleMs = 5_000;

/** "Anthropic Claude Messages API", "Request and Response": the one version that the operation takes. */
const anthropicVersion = 'bedrock-2023-05-31';

const chunkSchema = z.object({ bytes: z.string() });

/**
 * Claude on Amazon Bedrock by InvokeModelWithResponseStream, which carries the Messages API as it is: the same requests, stop reasons and usage as
 * from Anthropic, where Converse has names of its own and no refusal. When the signal fires, the iteration ends quietly; failures are those of
 * `anthropicLanguageModel`.
 */
export function bedrockLanguageModel(
  settings: BedrockLanguageModelSettings,
  clock: Clock = systemClock,
): LanguageModel {
  const provider = `bedrock/${settings.model}`;
  return {
    reply: (request, signal) =>
      streamedRequest({ provider, clock, signal, toProviderError }, (watchdog) =>
        replyFrom(settings, clock, provider, request, watchdog),
      ),
  };
}

async function* replyFrom(
  settings: BedrockLanguageModelSettings,
  clock: Clock,
  provider: string,
  request: LanguageModelRequest,
  watchdog: Watchdog,
): AsyncGenerator<LanguageModelEvent, void, void> {
  const { region, credentials } = settings;
  const baseUrl = (settings.baseUrl ?? `https://bedrock-runtime.${region}.amazonaws.com`).replace(/\/+$/, '');
  watchdog.expect('text', settings.firstTokenMs ?? defaultFirstTokenMs);
  const body = await invoke(
    {
      provider,
      url: `${baseUrl}/model/${encodeURIComponent(settings.model)}/invoke-with-response-stream`,
      region,
      credentials,
      timeoutMs: settings.timeoutMs ?? defaultTimeoutMs,
      maxRetries: settings.maxRetries ?? defaultMaxRetries,
      clock,
      signal: watchdog.signal,
    },
    JSON.stringify({ anthropic_version: anthropicVersion, ...claudeRequest(settings, request) }),
  );
  yield* claudeReply(messagesEvents(provider, body, watchdog.signal), {
    provider,
    maxOutputTokens: request.maxOutputTokens,
    idleMs: settings.idleMs ?? defaultIdleMs,
    watchdog,
  });
}

/** The events of the Messages API within the chunks of the stream ("ResponseStream"). */
async function* messagesEvents(
  provider: string,
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, void> {
  for await (const message of eventStream(provider, body, signal)) {
    const type = message.headers.get(':message-type');
    if (type === 'exception' || type === 'error') {
      const name = message.headers.get(':exception-type') ?? message.headers.get(':error-code') ?? '';
      throw exceptionError(provider, name, message.headers.get(':error-message') ?? textOf(message.body));
    }
    if (type !== 'event') throw malformed(provider, 'sent a message that is no event');
    if (message.headers.get(':event-type') !== 'chunk') continue;
    const chunk = chunkSchema.safeParse(jsonOf(provider, textOf(message.body)));
    const bytes = chunk.success ? decodeBase64(chunk.data.bytes) : null;
    if (bytes === null) throw malformed(provider, 'sent a chunk without an event');
    yield jsonOf(provider, textOf(bytes));
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function jsonOf(provider: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed(provider, 'sent an event that is no JSON');
  }
}
