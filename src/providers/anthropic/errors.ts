import { APIConnectionError, APIConnectionTimeoutError, APIError } from '@anthropic-ai/sdk/error';
import { type Clock, systemClock } from '../../call/clock.ts';
import { clientAnswerDetails } from '../client-attempts.ts';
import { ProviderError, type ProviderFailure } from '../ports.ts';
import { failureOfStatus } from '../vendor-socket.ts';

/** Messages of vendors are kept to this length: a gateway may answer with a whole page. */
const longestMessage = 300;

/**
 * What the `@anthropic-ai/sdk` client, `fetch` or a body threw, as the ports' one error. The message never holds the key.
 *
 * @param provider provider and model, e.g. `anthropic/claude-haiku-5-5`.
 */
export function toProviderError(provider: string, error: unknown, clock: Clock = systemClock): ProviderError {
  if (error instanceof ProviderError) return error;
  const failure = failureOf(error);
  const status = error instanceof APIError ? error.status : undefined;
  const message = failure === 'unauthorized' ? 'the key was refused' : messageOf(error);
  return new ProviderError(provider, failure, `${provider}: ${message}`, {
    ...(status === undefined ? {} : { status }),
    ...clientAnswerDetails(error, clock),
    cause: error,
  });
}

/** "Errors": the types of the API's errors, which come in a body with a status, or in a stream without one. */
export function failureOfType(type: string): ProviderFailure | null {
  switch (type) {
    case 'rate_limit_error':
      return 'rate_limited';
    case 'overloaded_error':
    case 'api_error':
      return 'unavailable';
    case 'timeout_error':
      return 'timeout';
    case 'authentication_error':
    case 'permission_error':
    case 'billing_error':
      return 'unauthorized';
    case 'invalid_request_error':
    case 'not_found_error':
    case 'request_too_large':
      return 'rejected';
    default:
      return null;
  }
}

function failureOf(error: unknown): ProviderFailure {
  if (error instanceof APIConnectionTimeoutError) return 'timeout';
  if (error instanceof APIConnectionError) return 'unavailable';
  if (error instanceof APIError) {
    const told = typeof error.type === 'string' ? failureOfType(error.type) : null;
    return told ?? (error.status === undefined ? 'unavailable' : failureOfStatus(error.status));
  }
  if (error instanceof SyntaxError) return 'malformed';
  // What fetch and response bodies throw when the connection breaks has no class of its own in any runtime.
  return 'unavailable';
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.length > longestMessage ? `${message.slice(0, longestMessage)}…` : message;
}
