import { type Explanation, explainAccess } from './model/explain.ts';

/** A call that the page may start, and the token that says so. */
export interface GrantedCall {
  callId: string;
  userId: string;
  token: string;
}

/** No call may be started with this access token; `why` is for the person at the page. */
export class AccessError extends Error {
  override readonly name = 'AccessError';
  readonly why: Explanation;

  constructor(why: Explanation) {
    super(why.title);
    this.why = why;
  }
}

const ANSWER_MS = 10_000;
/** In whose name a call is made with a token that is nobody's in particular. */
const CONSOLE_USER = 'console';

/**
 * A single-call token for an access token, which a browser's WebSocket cannot send.
 *
 * @throws {AccessError}
 */
export async function requestCall(accessToken: string): Promise<GrantedCall> {
  let answer = await post(accessToken, {});
  // The operator's own tokens call for everybody, and have to say for whom.
  if (answer.status === 400) answer = await post(accessToken, { userId: CONSOLE_USER });
  const { callId, userId, token } = answer.body as Partial<GrantedCall>;
  if (typeof callId !== 'string' || typeof userId !== 'string' || typeof token !== 'string') {
    throw new AccessError(explainAccess(answer.status));
  }
  return { callId, userId, token };
}

async function post(accessToken: string, body: object): Promise<{ status: number; body: object }> {
  try {
    const response = await fetch('/api/v1/calls', {
      method: 'POST',
      headers: { Authorization: `Bearer ${accessToken}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    return { status: response.status, body: Object(await response.json().catch(() => null)) };
  } catch {
    return { status: 0, body: {} };
  }
}
