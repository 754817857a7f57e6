import type { closeCodes, ErrorCode } from '../../dialects/native-messages.ts';

/** Something that the person at the page has to know. */
export interface Explanation {
  title: string;
  text: string;
  /** `problem`: something is wrong; `plain`: it is as it should be. */
  kind: 'plain' | 'problem';
}

type CloseCode = (typeof closeCodes)[keyof typeof closeCodes];

const problem = (title: string, text: string): Explanation => ({ title, text, kind: 'problem' });

const byCode: Record<CloseCode, Explanation> = {
  1000: { title: 'The call has ended', text: '', kind: 'plain' },
  1011: problem('The service failed', 'Something broke on its side; its log says what. You can call again.'),
  4400: problem(
    'The service hung up',
    'This page sent too much that it did not understand. Reload the page.',
  ),
  4402: problem('The account is used up', 'It has paid for no more of this call.'),
  4403: problem('The call was refused', 'This user or campaign may not be called for from here.'),
  4408: problem('The call was timed out', 'It reached the longest time of a call, or nothing was received.'),
  4409: problem('This call id was used before', 'Start again: the service gives out a new one.'),
  4410: problem('The call goes on elsewhere', 'Another page has taken it over.'),
  4429: problem('The service hung up', 'Audio reached it faster than real time. Reload the page.'),
};

/** Errors after which no call begins or goes on; the others are shown among the events. */
const byError: Partial<Record<ErrorCode, string>> = {
  INSUFFICIENT_FUNDS: 'The account has no funds left.',
  TOO_MANY_CALLS: 'The service has as many calls as it takes. Try again in a moment.',
  RATE_LIMIT: 'Too many requests came from your address. Try again in a minute.',
};

/** Whether the service itself has ended the call by this close code: there is nothing to come back to. */
export function isFinal(code: number): boolean {
  return Object.hasOwn(byCode, code);
}

/**
 * Why a call is over.
 *
 * @param code of the socket's close; 1006 is the browser's own, for a connection that broke.
 * @param lastError the service's last `error`, if there was one.
 */
export function explainClose(code: number, lastError: { code: string; message: string } | null): Explanation {
  if (!Object.hasOwn(byCode, code)) {
    return problem(
      'The connection broke',
      `The network or the service went away (close code ${code}). What was recorded here is kept below.`,
    );
  }
  const known = byCode[code as CloseCode];
  if (known.kind === 'plain' || lastError === null) return known;
  const text = byError[lastError.code as ErrorCode] ?? `${lastError.message}.`.replace(/\.\.$/, '.');
  return { ...known, text: `${text} (${lastError.code})` };
}

/**
 * Why no connection came about: a browser does not tell a page, so `/health` is asked.
 *
 * @param health its HTTP status and JSON; null: there was no answer either.
 */
export function explainRefusal(health: { status: number; body: unknown } | null): Explanation {
  if (health === null) {
    return problem(
      'The service cannot be reached',
      'It does not run, or the network is down. Is `npm start` running?',
    );
  }
  if (health.status === 429) return problem('The connection was refused', byError.RATE_LIMIT!);
  const missing = (health.body as { missingSettings?: unknown } | null)?.missingSettings;
  if (Array.isArray(missing) && missing.length > 0) {
    return problem('The service is not set up', `Settings are missing: ${missing.join(', ')}.`);
  }
  return problem(
    'The connection was refused',
    'The service answers, and took no call. It may ask for an access token, have as many calls as it takes, or this page’s address is not one of CORS_ORIGINS.',
  );
}

/**
 * Why an access token was not taken.
 *
 * @param status of the answer; 0: there was none.
 */
export function explainAccess(status: number): Explanation {
  switch (status) {
    case 0:
      return explainRefusal(null);
    case 401:
      return problem('The access token was not taken', 'It may have expired. Paste a new one.');
    case 403:
      return problem('The access token allows no call', 'It is good for something else.');
    case 429:
      return problem('The connection was refused', byError.RATE_LIMIT!);
    default:
      return problem('No call could be had', `The service answered ${status}; its log says why.`);
  }
}

/** What the page can do without. */
export interface MicrophoneProblem extends Explanation {
  /** A call without a microphone (listening, keys) is possible. */
  canCall: boolean;
}

/** A browser gives audio to pages only that came over a safe connection. */
export const insecureContext: MicrophoneProblem = {
  ...problem(
    'This page needs a safe connection',
    'Browsers give the microphone only to pages from https:// or from this machine. Open the console by https://, or by http://localhost on the machine where the service runs.',
  ),
  canCall: false,
};

/** What to do about a microphone that is not given. @param name of the browser's error. */
export function explainMicrophone(name: string): MicrophoneProblem {
  const canCall = true;
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return {
        ...problem(
          'The microphone is blocked',
          'Allow it for this page: the icon left of the address, then Microphone. On a phone, the system’s settings must allow it to the browser as well. Then try again.',
        ),
        canCall,
      };
    case 'NotFoundError':
    case 'OverconstrainedError':
      return {
        ...problem('No microphone was found', 'Plug one in, or switch it on, then try again.'),
        canCall,
      };
    case 'NotReadableError':
    case 'AbortError':
      return {
        ...problem(
          'The microphone cannot be used',
          'Another program may hold it. Close that one, then try again.',
        ),
        canCall,
      };
    default:
      return { ...problem('The microphone cannot be used', `The browser says: ${name}.`), canCall };
  }
}
