import { ProviderError } from '../providers/ports.ts';
import type { CallEvent, CallEvents, FailureCode } from './events.ts';

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

/** Tells of each failure once: a provider that is left alone after one is passed over, sentence after sentence, because of that one. */
export class ProviderFailures {
  readonly #events: CallEvents;
  readonly #told = new WeakSet<ProviderError>();

  constructor(events: CallEvents) {
    this.#events = events;
  }

  tell(error: ProviderError): void {
    const failure = error.cause instanceof ProviderError ? error.cause : error;
    if (this.#told.has(failure)) return;
    this.#told.add(failure);
    this.#events.emit(providerFailure(error));
  }
}
