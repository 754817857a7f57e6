import { Hono } from 'hono';
import { z } from 'zod';
import { authenticate, callTokensOf } from '../auth/authenticate.ts';
import { systemClock, systemRandom } from '../call/clock.ts';
import { maySee, type Principal, principalName } from '../call/principal.ts';
import { within } from '../call/within.ts';
import { loadConfig } from '../config.ts';
import { startCallSchema } from '../dialects/native-messages.ts';
import type { Env } from '../env.ts';
import { log, personalId } from '../log.ts';
import { apiError } from './errors.ts';

/** Of the request's body: ids, and a number. */
const MOST_BYTES = 4_096;
/** The longest wait for all of it: so few bytes come along with the headers. */
const BODY_MS = 3_000;

const requestSchema = z.strictObject({
  /** A person's is their own, and a client with one user's calls has that one's. */
  userId: startCallSchema.shape.userId.optional(),
  campaignId: z.string().min(1).max(128).nullable().default(null),
  /** A number to dial. */
  to: z.string().min(1).max(64).optional(),
});

/** `POST /`: a token that starts one call, for whoever cannot be given one of their own. */
export const callRoutes = new Hono<{ Bindings: Env }>();

callRoutes.post('/', async (c) => {
  const config = loadConfig(c.env);
  const principal = await authenticate(c.req.raw, config, 'route');
  if (principal instanceof Response) return principal;
  const tokens = callTokensOf(config);
  if (tokens === null) return apiError(503, 'INTERNAL_ERROR', 'The service is not set up');
  const body = await within(systemClock, BODY_MS, (signal) => readBody(c.req.raw, signal)).catch(
    () => 'late' as const,
  );
  if (body === 'late') {
    return apiError(408, 'TIMEOUT', `The body did not come within ${BODY_MS} ms`);
  }
  if (body === null) return apiError(413, 'TOO_LARGE', `The body has more than ${MOST_BYTES} bytes`);
  const request = requestSchema.safeParse(body.json);
  if (!request.success) {
    const [issue] = request.error.issues;
    const where = issue?.path.join('.') || 'body';
    return apiError(400, 'BAD_MESSAGE', `${where}: ${issue?.message}`);
  }
  const { campaignId, to } = request.data;
  const userId = request.data.userId ?? onlyUserOf(principal);
  if (userId === null) return apiError(400, 'BAD_MESSAGE', 'userId: is needed');
  const mayMint = principal.kind !== 'metrics' && maySee(principal, userId, campaignId);
  if (!mayMint) return apiError(403, 'FORBIDDEN', 'This user or campaign is not yours to call for');
  if (to !== undefined) {
    return apiError(501, 'NOT_IMPLEMENTED', 'to: this service does not dial; leave it out');
  }
  const callId = systemRandom.id();
  const expiresAt = systemClock.now() + config.CALL_TOKEN_TTL;
  const token = await tokens.mint({ callId, userId, campaignId, expiresAt });
  log('info', 'a call token was given out', {
    callId: personalId(callId),
    by: personalId(principalName(principal)),
  });
  const answer = { callId, token, url: socketUrl(c.req.url, callId), userId, campaignId, expiresAt };
  return Response.json(answer, { status: 201, headers: { 'Cache-Control': 'no-store' } });
});

function onlyUserOf({ users }: Principal): string | null {
  return users !== '*' && users.length === 1 ? users[0]! : null;
}

/** The token does not stand in it: addresses are logged. */
function socketUrl(requestUrl: string, callId: string): string {
  const url = new URL(`/ws/call-session?callId=${callId}`, requestUrl);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** Null: it is too large. What is no JSON is left to the schema to refuse. Rejects where the request breaks off. */
async function readBody(request: Request, signal: AbortSignal): Promise<{ json: unknown } | null> {
  const reader = request.body?.getReader();
  signal.addEventListener('abort', () => void reader?.cancel(signal.reason).catch(() => {}));
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    if (bytes > MOST_BYTES) {
      await reader.cancel();
      return null;
    }
    text += decoder.decode(value, { stream: true });
  }
  try {
    return { json: JSON.parse(text + decoder.decode()) };
  } catch {
    return { json: undefined };
  }
}
