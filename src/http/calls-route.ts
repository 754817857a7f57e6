import { Hono } from 'hono';
import { z } from 'zod';
import { authenticate, callTokensOf } from '../auth/authenticate.ts';
import { systemClock, systemRandom } from '../call/clock.ts';
import { maySee, onlyUserOf, principalName } from '../call/principal.ts';
import { loadConfig } from '../config.ts';
import { startCallSchema } from '../dialects/native-messages.ts';
import type { Env } from '../env.ts';
import { log, personalId } from '../log.ts';
import { apiError } from './errors.ts';
import { readSmallJson } from './small-json.ts';

/** Of the request's body: ids, and a number. */
const MOST_BYTES = 4_096;

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
  const body = await readSmallJson(c.req.raw, MOST_BYTES);
  if (body instanceof Response) return body;
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

/** The token does not stand in it: addresses are logged. */
function socketUrl(requestUrl: string, callId: string): string {
  const url = new URL(`/ws/call-session?callId=${callId}`, requestUrl);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}
