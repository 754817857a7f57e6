import type { Clock } from '../call/clock.ts';
import {
  AttemptFailed,
  type AttemptOptions,
  answerDetails,
  isTransientStatus,
  requestIdOf,
  withAttempts,
} from './attempts.ts';
import type { AnswerDetails, ProviderError } from './ports.ts';

export interface ClientAttemptOptions extends AttemptOptions {
  /** Provider and model, e.g. `openai/gpt-6-luna`. */
  provider: string;
  toProviderError(provider: string, error: unknown, clock: Clock): ProviderError;
}

/**
 * A request that fails with the errors of one of the official clients, `openai` or `@anthropic-ai/sdk`, which are generated from one
 * template. Their own retries must be off: they wait for as long as a vendor tells them to, while a caller hears nothing, where
 * {@link withAttempts} gives up at once. Like them, it heeds `x-should-retry`, by which the vendor itself says whether another attempt is
 * of use.
 *
 * Throws `ProviderError`, or the signal's reason once it has fired.
 */
export function withClientAttempts<T>(request: () => Promise<T>, options: ClientAttemptOptions): Promise<T> {
  const { provider, clock, signal, toProviderError } = options;
  return withAttempts(async () => {
    try {
      return await request();
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toProviderError(provider, thrown, clock);
      throw new AttemptFailed(error, isWorthAnother(thrown, error));
    }
  }, options);
}

/** {@link answerDetails} of the answer that a client has thrown as an error; `retry-after-ms` goes first, as in the clients. */
export function clientAnswerDetails(
  thrown: unknown,
  clock: Clock,
): Pick<AnswerDetails, 'retryAfterMs' | 'requestId'> {
  const headers = headersOf(thrown);
  if (headers === null) return {};
  const ms = headers.get('retry-after-ms')?.trim() ?? '';
  if (!/^\d{1,12}(\.\d{1,6})?$/.test(ms)) return answerDetails(headers, clock);
  return { ...requestIdOf(headers), ...(Number(ms) > 0 ? { retryAfterMs: Number(ms) } : {}) };
}

function isWorthAnother(thrown: unknown, { status, failure }: ProviderError): boolean {
  const told = headersOf(thrown)?.get('x-should-retry');
  if (told === 'true' || told === 'false') return told === 'true';
  if (status !== undefined) return isTransientStatus(status);
  return failure === 'timeout' || failure === 'unavailable';
}

function headersOf(thrown: unknown): Headers | null {
  return thrown instanceof Error && 'headers' in thrown && thrown.headers instanceof Headers
    ? thrown.headers
    : null;
}
