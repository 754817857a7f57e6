import type { ProviderError } from '../providers/ports.ts';
import type { CallEvent, FailureCode } from './events.ts';

/** A provider's failure as the call tells it. */
export function providerFailure(error: ProviderError): CallEvent {
  const { failure, provider, message, cause } = error;
  // One that was given up may have been told so by an answer to an attempt before.
  const requestId = error.requestId ?? (cause as Partial<ProviderError> | undefined)?.requestId;
  return {
    type: 'failure',
    code: `PROVIDER_${failure.toUpperCase()}` as FailureCode,
    provider,
    message,
    ...(typeof requestId === 'string' ? { requestId } : {}),
  };
}
