import { Hono } from 'hono';
import { z } from 'zod';
import { authenticate, callTokensOf } from '../auth/authenticate.ts';
import { systemClock, systemRandom } from '../call/clock.ts';
import { maySee, onlyUserOf, type Principal, principalName } from '../call/principal.ts';
import { type Config, loadConfig } from '../config.ts';
import { callIdSchema, startCallSchema } from '../dialects/native-messages.ts';
import type { Dial } from '../durable/dial-tables.ts';
import type { Env } from '../env.ts';
import { log, personalId } from '../log.ts';
import { carriedTraceparent } from '../tracing/trace-context.ts';
import { type DialRequest, dialAsked, dialFields } from './dial-request.ts';
import { dialsOf, orNull } from './dials.ts';
import { apiError } from './errors.ts';
import { readSmallJson } from './small-json.ts';

/** Of the request's body: ids, and a number. */
const MOST_BYTES = 4_096;

const requestSchema = z.strictObject({
  /** A person's is their own, and a client with one user's calls has that one's. */
  userId: startCallSchema.shape.userId.optional(),
  campaignId: z.string().min(1).max(128).nullable().default(null),
  ...dialFields,
});

/** `POST /`: a token that starts one call, for whoever cannot be given one of their own; with `to` the call is placed. */
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
  let callId = systemRandom.id();
  let status: { status: string } | null = null;
  if (to !== undefined) {
    const key = c.req.header('Idempotency-Key') ?? null;
    const queued = await queue(c.env, config, { ...request.data, to, userId }, key, principal);
    if (queued instanceof Response) return queued;
    callId = queued.callId;
    status = { status: queued.state };
  }
  const expiresAt = systemClock.now() + config.CALL_TOKEN_TTL;
  const traceparent = carriedTraceparent(c.req.raw, principal);
  const grant = { callId, userId, campaignId, expiresAt };
  const token = await tokens.mint({ ...grant, ...(traceparent === undefined ? {} : { traceparent }) });
  log('info', 'a call token was given out', {
    callId: personalId(callId),
    by: personalId(principalName(principal)),
  });
  const url = socketUrl(c.req.url, callId);
  const answer = { callId, token, url, userId, campaignId, expiresAt, ...status };
  return Response.json(answer, { status: 201, headers: { 'Cache-Control': 'no-store' } });
});

/** How a call that we place is getting on; once it is answered, `call_logs` has the rest. */
callRoutes.get('/:callId', async (c) => {
  const found = await theirDial(c.env, c.req.raw, c.req.param('callId'));
  return found instanceof Response ? found : c.json(shown(found.dial), 200, noStore);
});

/** Gives a call up that nobody has answered yet. */
callRoutes.delete('/:callId', async (c) => {
  const found = await theirDial(c.env, c.req.raw, c.req.param('callId'));
  if (found instanceof Response) return found;
  const dial = await orNull(
    'cancel',
    dialsOf(c.env, found.config, found.dial.callId).cancel(found.dial.callId),
  );
  if (dial === null) return noAnswer();
  if (dial.state === 'answered') return apiError(409, 'ALREADY_STARTED', 'The call was answered');
  return c.json(shown(dial), 200, noStore);
});

const noStore = { 'Cache-Control': 'no-store' };

async function queue(
  env: Env,
  config: Config,
  request: DialRequest,
  key: string | null,
  principal: Principal,
): Promise<Dial | Response> {
  const asked = await dialAsked(request, key, principal, config);
  if (asked instanceof Response) return asked;
  const added = await orNull('add', dialsOf(env, config, asked.callId).add(asked));
  if (added === null || (added.dial === null && added.outcome !== 'user full' && added.outcome !== 'full'))
    return noAnswer();
  switch (added.outcome) {
    case 'another':
      return apiError(422, 'IDEMPOTENCY_KEY_REUSED', 'Idempotency-Key: stands for another request');
    case 'user full':
      return apiError(429, 'TOO_MANY_CALLS', 'This user has as many calls waiting as are allowed', {
        'Retry-After': '30',
      });
    case 'full':
      return apiError(503, 'TOO_MANY_CALLS', 'No more calls can wait at the moment', { 'Retry-After': '30' });
    default:
      return added.dial!;
  }
}

/** The dial of this id, if whoever asks may see it; else as if there were none. */
async function theirDial(
  env: Env,
  request: Request,
  id: string,
): Promise<{ dial: Dial; config: Config } | Response> {
  const config = loadConfig(env);
  const principal = await authenticate(request, config, 'route');
  if (principal instanceof Response) return principal;
  const callId = callIdSchema.safeParse(id);
  if (!callId.success) return apiError(400, 'BAD_MESSAGE', `callId: ${callId.error.issues[0]?.message}`);
  const found = await orNull(
    'find',
    Promise.resolve(dialsOf(env, config, callId.data).find(callId.data)).then((dial) => ({ dial })),
  );
  if (found === null) return noAnswer();
  const { dial } = found;
  const theirs =
    dial !== null &&
    principal.kind !== 'metrics' &&
    principal.kind !== 'node' &&
    maySee(principal, dial.userId, dial.campaignId);
  return theirs ? { dial, config } : apiError(404, 'NOT_FOUND', 'There is no such call that was placed');
}

function shown(dial: Dial) {
  const { callId, userId, campaignId, state, reason, queuedAt, begunAt, ringingAt, overAt, sipStatus, q850 } =
    dial;
  const ids = { callId, userId, campaignId };
  return {
    ...ids,
    status: state,
    cancelled: dial.cancelled,
    reason,
    queuedAt,
    begunAt,
    ringingAt,
    overAt,
    sipStatus,
    q850,
  };
}

function noAnswer(): Response {
  return apiError(503, 'INTERNAL_ERROR', 'The queue does not answer', { 'Retry-After': '2' });
}

/** The token does not stand in it: addresses are logged. */
function socketUrl(requestUrl: string, callId: string): string {
  const url = new URL(`/ws/call-session?callId=${callId}`, requestUrl);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}
