import type { Usage } from '../ports.ts';
import type { ServerResponse } from './events.ts';

/**
 * What a response is charged for, or null where the server does not tell. Audio costs up to seventeen times as much as text (see
 * `src/cost/prices.ts`): tokens of which the server does not say what they are count as audio, and as a guess.
 */
export function usageOfResponse(provider: string, { usage }: ServerResponse): Usage | null {
  if (usage == null) return null;
  const { input_token_details: input, output_token_details: output } = usage;
  const inputTokens = usage.input_tokens ?? 0;
  const outputTokens = usage.output_tokens ?? 0;
  const cached = input?.cached_tokens ?? 0;
  return {
    provider,
    inputTokens,
    ...(cached > 0
      ? {
          cachedInputTokens: cached,
          cachedAudioInputTokens: input?.cached_tokens_details?.audio_tokens ?? 0,
        }
      : {}),
    audioInputTokens: input?.audio_tokens ?? inputTokens,
    outputTokens,
    audioOutputTokens: output?.audio_tokens ?? outputTokens,
    ...(input?.audio_tokens == null || output?.audio_tokens == null ? { estimated: true } : {}),
  };
}
