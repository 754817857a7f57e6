import { ProviderError, type ProviderFailure } from '../ports.ts';
import type { ServerResponse } from './events.ts';

interface VendorError {
  type?: string | null | undefined;
  code?: string | null | undefined;
  message?: string | null | undefined;
}

/** An error that the server told in words, see https://developers.openai.com/api/docs/guides/error-codes. */
export function errorFrom(provider: string, error: VendorError): ProviderError {
  const failure = failureOf(error);
  // OpenAI repeats a part of the key.
  const message =
    failure === 'unauthorized' ? 'the key was refused' : (error.message ?? error.code ?? error.type);
  return new ProviderError(provider, failure, `${provider}: ${message ?? 'an error without a reason'}`);
}

function failureOf({ type, code }: VendorError): ProviderFailure {
  const names = `${type} ${code}`;
  if (/rate_limit|insufficient_quota|too_many_requests/.test(names)) return 'rate_limited';
  if (/invalid_api_key|authentication|permission|unauthorized/.test(names)) return 'unauthorized';
  if (code === 'session_expired') return 'unavailable';
  return type === 'invalid_request_error' ? 'rejected' : 'unavailable';
}

/** Why a response that is done is not complete; null if it is. */
export function errorOfResponse(provider: string, response: ServerResponse): ProviderError | null {
  const { status, status_details: details } = response;
  if (status === 'failed') return errorFrom(provider, details?.error ?? {});
  if (status === 'cancelled') return unavailable(provider, 'cancelled the response by itself');
  if (status !== 'incomplete') return null;
  return details?.reason === 'content_filter'
    ? new ProviderError(provider, 'rejected', `${provider}: filtered the response`)
    : new ProviderError(
        provider,
        'malformed',
        `${provider}: broke the response off (${details?.reason ?? 'no reason'})`,
      );
}

export function unavailable(provider: string, message: string): ProviderError {
  return new ProviderError(provider, 'unavailable', `${provider}: ${message}`);
}

export function malformed(provider: string, message: string): ProviderError {
  return new ProviderError(provider, 'malformed', `${provider}: ${message}`);
}

export function timedOut(provider: string, message: string): ProviderError {
  return new ProviderError(provider, 'timeout', `${provider}: ${message}`);
}

/** Whether another attempt may succeed. */
export function retryable(error: ProviderError): boolean {
  return error.failure !== 'rejected' && error.failure !== 'unauthorized';
}
