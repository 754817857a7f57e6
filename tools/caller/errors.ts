/** Why a call did not go as its script wanted. */
export type CallFailure =
  /** No WebSocket could be opened. */
  | 'connect'
  /** The service refused the call: an `error` message, or a close, before it had started. */
  | 'refused'
  /** Something that had to happen did not within its time. */
  | 'timeout'
  /** The service, or the network, ended the call before the script did. */
  | 'closed'
  /** The service sent what the protocol does not know. */
  | 'protocol'
  /** The signal fired. */
  | 'aborted'
  /** The call went on, but not as the script expects. */
  | 'unexpected';

/** The call, or a step of its script, failed. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly failure: CallFailure;
  /** The service's own `error.code`, the WebSocket's close code or the HTTP status, where one is the reason. */
  readonly code: string | number | null;

  constructor(failure: CallFailure, message: string, code: string | number | null = null, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.failure = failure;
    this.code = code;
  }
}

/** The upgrade was answered with an HTTP status, which is the `code`. */
export class UpgradeRefusedError extends CallError {
  /** The service's own code in the answer's JSON, e.g. `TOO_MANY_CALLS`; null where there is none. */
  readonly serviceCode: string | null;

  constructor(status: number, serviceCode: string | null) {
    super(
      'refused',
      `The service answered HTTP ${status}${serviceCode === null ? '' : ` ${serviceCode}`}`,
      status,
    );
    this.serviceCode = serviceCode;
  }
}
