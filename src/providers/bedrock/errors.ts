import { type AnswerDetails, ProviderError, type ProviderFailure } from '../ports.ts';
import { failureOfStatus } from '../vendor-socket.ts';

/**
 * What an exception of Bedrock's means ("InvokeModelWithResponseStream", sections "Errors" and "ResponseStream"; "Common errors" for those of
 * the signature), whether it comes with a status or in the middle of a stream; null for one that is not known.
 *
 * @param name as a header or a stream has it, e.g. `ThrottlingException` or `throttlingException`.
 */
export function failureOfException(name: string): ProviderFailure | null {
  switch (name.toLowerCase()) {
    case 'throttlingexception':
    case 'servicequotaexceededexception':
      return 'rate_limited';
    case 'modelstreamerrorexception':
    case 'modelerrorexception':
    case 'modelnotreadyexception':
    case 'internalserverexception':
    case 'serviceunavailableexception':
      return 'unavailable';
    case 'modeltimeoutexception':
      return 'timeout';
    case 'accessdeniedexception':
    case 'expiredtokenexception':
    case 'incompletesignatureexception':
    case 'invalidsignatureexception':
    case 'missingauthenticationtokenexception':
    case 'unrecognizedclientexception':
      return 'unauthorized';
    case 'validationexception':
    case 'resourcenotfoundexception':
      return 'rejected';
    default:
      return null;
  }
}

/** An exception as the ports' one error. What was refused is never repeated: messages about signatures hold parts of them. */
export function exceptionError(
  provider: string,
  name: string,
  message: string,
  answer: AnswerDetails = {},
): ProviderError {
  const { status } = answer;
  const failure =
    failureOfException(name) ?? (status === undefined ? 'unavailable' : failureOfStatus(status));
  const text =
    failure === 'unauthorized' ? 'the credentials were refused' : `${name} ${message}`.trim().slice(0, 300);
  return new ProviderError(provider, failure, `${provider}: ${text}`, answer);
}

/** What `fetch` or a body threw, as the ports' one error. */
export function toProviderError(provider: string, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  // What they throw when the connection breaks has no class of its own in any runtime.
  const message = error instanceof Error ? error.message.slice(0, 300) : 'the connection broke';
  return new ProviderError(provider, 'unavailable', `${provider}: ${message}`, { cause: error });
}
