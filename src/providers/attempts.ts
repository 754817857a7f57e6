import type { Clock, Random } from '../call/clock.ts';
import { GivenUp } from './given-up.ts';
import type { AnswerDetails, ProviderError } from './ports.ts';

/** One attempt at a request has failed before it yielded anything. */
export class AttemptFailed extends Error {
  override readonly name = 'AttemptFailed';
  readonly error: ProviderError;
  /** Whether another attempt may end better. */
  readonly again: boolean;
  /** How long the vendor asked to be left alone, in milliseconds. */
  readonly afterMs: number;

  constructor(error: ProviderError, again: boolean, afterMs = error.retryAfterMs ?? 0) {
    super(error.message);
    this.error = error;
    this.again = again;
    this.afterMs = afterMs;
  }
}

export interface AttemptOptions {
  /** Attempts after the first. */
  maxRetries: number;
  clock: Clock;
  random: Random;
  /** Ends the waits between attempts. */
  signal: AbortSignal;
}

/** Before the first retry; doubled for each further one. A caller hears every one of these milliseconds. */
const firstPauseMs = 200;
/** A vendor that asks for more time than this is not worth waiting for: the next one in the chain is. */
const longestPauseMs = 5_000;
/** A quarter of the pause, up or down: what failed together must not come back together. */
const jitter = 0.25;

/**
 * Runs an attempt until one succeeds. Throws the `ProviderError` of the last {@link AttemptFailed}, whatever else an attempt threw,
 * and the signal's reason once it has fired.
 */
export async function withAttempts<T>(attempt: () => Promise<T>, options: AttemptOptions): Promise<T> {
  const { maxRetries, clock, random, signal } = options;
  for (let retries = 0; ; retries++) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof AttemptFailed)) throw error;
      if (!error.again || retries >= maxRetries || error.afterMs > longestPauseMs) throw error.error;
      const backOff = firstPauseMs * 2 ** retries * (1 + jitter * (2 * random.fraction() - 1));
      const until = clock.now() + error.afterMs;
      const givenUp = () => {
        if (signal.reason instanceof GivenUp) signal.reason.tell(error.error, until - clock.now());
      };
      await pause(clock, Math.min(longestPauseMs, Math.max(error.afterMs, backOff)), signal, givenUp);
    }
  }
}

/** Rejects with the signal's reason as soon as it fires: not everything that is waited for heeds a signal. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110 section 10.2.3); 0 where there is none that can be read. */
export function retryAfterMs(headers: { get(name: string): string | null }, clock: Clock): number {
  const value = headers.get('retry-after')?.trim();
  if (!value) return 0;
  if (/^\d{1,9}(\.\d{1,3})?$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, date - clock.now());
}

/** What an answer's headers tell for a `ProviderError`: how long the vendor asks to be left alone, and its id of the request. */
export function answerDetails(
  headers: { get(name: string): string | null },
  clock: Clock,
): Pick<AnswerDetails, 'retryAfterMs' | 'requestId'> {
  const afterMs = retryAfterMs(headers, clock);
  return { ...(afterMs > 0 ? { retryAfterMs: afterMs } : {}), ...requestIdOf(headers) };
}

/**
 * By what name a vendor's support finds a request: OpenAI and most others, Anthropic, Bedrock, Deepgram, Cloudflare.
 * https://developers.openai.com/api/reference/overview (debugging requests), https://docs.claude.com/en/api/errors (request id)
 */
const REQUEST_ID_HEADERS = ['x-request-id', 'request-id', 'x-amzn-requestid', 'dg-request-id', 'cf-ray'];

export function requestIdOf(headers: { get(name: string): string | null }): { requestId?: string } {
  for (const name of REQUEST_ID_HEADERS) {
    const requestId = headers.get(name);
    if (requestId !== null && /^[\x21-\x7e]{1,128}$/.test(requestId)) return { requestId };
  }
  return {};
}

/** Statuses after which the same request may succeed: a conflict or an overload of the vendor's own. */
export function isTransientStatus(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

function pause(clock: Clock, ms: number, signal: AbortSignal, onAborted: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel();
      onAborted();
      reject(signal.reason);
    };
    const timer = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
