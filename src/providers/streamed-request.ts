import type { Clock } from '../call/clock.ts';
import { ProviderError } from './ports.ts';
import { Watchdog } from './watchdog.ts';

/** One request whose answer is a stream. */
export interface StreamedRequest {
  /** Provider and model, e.g. `openai/gpt-6-luna`. */
  provider: string;
  clock: Clock;
  /** The caller's. When it fires, the iteration ends quietly. */
  signal: AbortSignal;
  toProviderError(provider: string, error: unknown): ProviderError;
}

/**
 * What `run` yields, until it ends, fails or is given up. The watchdog of the request is closed in every case, which lets go of what
 * was opened with its signal. Throws `ProviderError`, `timeout` where a wait of the watchdog was not over in time.
 */
export async function* streamedRequest<Event>(
  request: StreamedRequest,
  run: (watchdog: Watchdog) => AsyncIterable<Event>,
): AsyncGenerator<Event, void, void> {
  const { provider, clock, signal } = request;
  const watchdog = new Watchdog(clock, signal);
  try {
    if (!signal.aborted) yield* run(watchdog);
  } catch (error) {
    if (signal.aborted) return;
    throw watchdog.failure(provider) ?? request.toProviderError(provider, error);
  } finally {
    watchdog.close();
  }
}

/** The answer cannot be used. */
export function malformed(provider: string, message: string): ProviderError {
  return new ProviderError(provider, 'malformed', `${provider}: ${message}`);
}

/** The answer ended before it was whole. */
export function brokenOff(provider: string): ProviderError {
  return new ProviderError(provider, 'unavailable', `${provider}: the stream broke off`);
}

/** No tokenizer has longer tokens on average: beyond it the server ignores the bound that it was given. */
export const mostCharactersPerToken = 32;
