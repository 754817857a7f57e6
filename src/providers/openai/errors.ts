import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { type Clock, systemClock } from '../../call/clock.ts';
import { clientAnswerDetails } from '../client-attempts.ts';
import { ProviderError, type ProviderFailure } from '../ports.ts';
import { failureOfStatus } from '../vendor-socket.ts';

/** Messages of vendors are kept to this length: a gateway may answer with a whole page. */
const longestMessage = 300;

/**
 * What the `openai` client, `fetch` or a body threw, as the ports' one error. The message never holds the key, part of
 * which OpenAI repeats in a 401.
 *
 * @param provider provider and model, e.g. `openai/gpt-transcribe`.
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

function failureOf(error: unknown): ProviderFailure {
  if (error instanceof APIConnectionTimeoutError) return 'timeout';
  if (error instanceof APIConnectionError) return 'unavailable';
  if (error instanceof APIError) {
    if (error.status === undefined) return failureInStream(error);
    return failureOfStatus(error.status);
  }
  if (error instanceof SyntaxError) return 'malformed';
  // What fetch and response bodies throw when the connection breaks has no class of its own in any runtime.
  return 'unavailable';
}

/** An error that came as an event of a stream that had begun well: it has no status. */
function failureInStream(error: APIError): ProviderFailure {
  const limited = /rate_limit|insufficient_quota/.test(`${error.code} ${error.type}`);
  if (limited) return 'rate_limited';
  return error.type === 'invalid_request_error' ? 'rejected' : 'unavailable';
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.length > longestMessage ? `${message.slice(0, longestMessage)}…` : message;
}

/** The answer cannot be used. */
export function malformed(provider: string, message: string): ProviderError {
  return new ProviderError(provider, 'malformed', `${provider}: ${message}`);
}
