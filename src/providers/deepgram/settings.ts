import type { Clock } from '../../call/clock.ts';
import { ProviderError, type ProviderFailure } from '../ports.ts';
import type { Dial } from '../vendor-socket.ts';

/** What each port needs to reach Deepgram, or a self-hosted one. */
export interface DeepgramSettings {
  apiKey: string;
  /** Without version and path. Default `wss://api.deepgram.com`. */
  baseUrl?: string;
  /** The longest wait for one attempt's open socket. Default 3,000: a hung attempt leaves time for another one. */
  connectMs?: number;
  /** Attempts after the first on 408, 409, 429, 5xx and broken connections, with exponential back-off. Default 3. */
  maxRetries?: number;
  /** Keeps the audio and the texts out of Deepgram's training, at a higher price. Default false. */
  mipOptOut?: boolean;
  /** How sockets are opened. Default: a Worker's way. */
  dial?: Dial;
}

export const defaultConnectMs = 3_000;
export const defaultMaxRetries = 3;

const defaultBaseUrl = 'wss://api.deepgram.com';

/** Wait before the first retry that waits, in milliseconds; doubled for each further one. */
const FIRST_BACK_OFF_MS = 250;

/** @param query a value that is a list stands once for each of its items; undefined is left out. */
export function deepgramUrl(
  settings: DeepgramSettings,
  path: string,
  query: Record<string, string | number | boolean | readonly string[] | undefined>,
): string {
  const url = new URL((settings.baseUrl ?? defaultBaseUrl).replace(/\/+$/, '').replace(/^http/, 'ws') + path);
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const each of typeof value === 'object' ? value : [value])
      url.searchParams.append(name, String(each));
  }
  if (settings.mipOptOut === true) url.searchParams.set('mip_opt_out', 'true');
  return url.toString();
}

/** https://developers.deepgram.com/reference/authentication: `Token` before an API key. */
export function deepgramHeaders(settings: DeepgramSettings): Record<string, string> {
  return { Authorization: `Token ${settings.apiKey}` };
}

/**
 * @param retry number of the retry, from 0.
 * @param fraction uniform in [0, 1): half of the wait is left to chance, so that calls do not come back together.
 */
export function backOffMs(retry: number, fraction: number): number {
  return FIRST_BACK_OFF_MS * 2 ** Math.min(retry, 5) * (0.5 + fraction / 2);
}

/** Resolves after the wait, or at once when the signal fires. */
export function wait(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const over = () => {
      timer.cancel();
      signal.removeEventListener('abort', over);
      resolve();
    };
    const timer = clock.after(delayMs, over);
    signal.addEventListener('abort', over);
  });
}

export function isRetryable(error: ProviderError): boolean {
  return error.status === 409 || (error.failure !== 'unauthorized' && error.failure !== 'rejected');
}

export function failed(provider: string, failure: ProviderFailure, message: string): ProviderError {
  return new ProviderError(provider, failure, `${provider}: ${message}`);
}

/** Anything that a connection's loop threw, as the ports' one error. */
export function toProviderError(provider: string, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  return new ProviderError(provider, 'unavailable', `${provider}: the connection broke`, { cause: error });
}
