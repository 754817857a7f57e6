import { Hono } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import { CALL_TOKEN_PREFIX } from '../auth/call-tokens.ts';
import type { CallSessionDO } from '../CallSessionDO.ts';
import type { Principal } from '../call/principal.ts';
import { type Config, loadConfig, missingSettings } from '../config.ts';
import { userOfHandshake } from '../dialects/identity.ts';
import { callIdSchema } from '../dialects/native-messages.ts';
import { dialectAt } from '../dialects/registry.ts';
import type { Env } from '../env.ts';
import { describeError, log } from '../log.ts';
import { type Objects, objectsIn, recordingsIn } from '../regions/namespaces.ts';
import { hintOf, jurisdictionOf, type Region, regionOf, regionSchema } from '../regions/settings.ts';
import { carriedTraceparent } from '../tracing/trace-context.ts';
import { apiError } from './errors.ts';
import { writeLegRequest } from './leg-request.ts';

/** `/ws/<dialect>`: the WebSockets of calls. */
export const legRoutes = new Hono<{ Bindings: Env }>();

legRoutes.get('/:dialect', (c) => openLeg(c.req.raw, c.env, c.req.param('dialect')));

// Twilio hands no query string on, and sets no header: a single-call token may be the last part of the path.
legRoutes.get(`/:dialect/:token{${CALL_TOKEN_PREFIX}.+}`, (c) => {
  const { dialect, token } = c.req.param();
  const url = new URL(c.req.url);
  url.pathname = `/ws/${dialect}`;
  url.searchParams.set('token', token);
  return openLeg(new Request(url, c.req.raw), c.env, dialect);
});

/** Hands the upgrade on to the object of its call, if who asks for it may. */
async function openLeg(request: Request, env: Env, path: string): Promise<Response> {
  const dialect = dialectAt(path, request.headers.get('Sec-WebSocket-Protocol'));
  if (dialect === null) return apiError(404, 'NOT_FOUND', 'There is nothing at this path');
  if (request.headers.get('Upgrade')?.toLowerCase() !== 'websocket') {
    return apiError(426, 'UPGRADE_REQUIRED', 'This path speaks WebSocket', { Upgrade: 'websocket' });
  }
  const config = loadConfig(env);
  if (!originAllowed(request, config.CORS_ORIGINS)) {
    return apiError(403, 'FORBIDDEN', 'Pages of this origin may not call; see CORS_ORIGINS');
  }
  const principal = await authenticate(request, config, 'socket');
  if (principal instanceof Response) return principal;
  const missing = missingSettings(config, env);
  if (missing.length > 0) {
    return apiError(503, 'INTERNAL_ERROR', `The service is not set up: ${missing.join(', ')} not set`);
  }
  if (principal.kind === 'metrics') return apiError(403, 'FORBIDDEN', 'This token starts no calls');
  const named = new URL(request.url).searchParams.get('callId') ?? request.headers.get('X-Call-Id');
  if (named !== null && principal.call !== undefined && named !== principal.call.callId) {
    return apiError(400, 'CALL_ID_MISMATCH', 'callId is not that of the token');
  }
  const chosen = principal.call?.callId ?? named;
  const region = regionAskedFor(request, config, principal);
  if (region instanceof Response) return region;
  const jurisdiction = jurisdictionOf(region);
  if (recordingsIn(env, jurisdiction) === null) {
    return apiError(503, 'INTERNAL_ERROR', `The service is not set up: it has no bucket in ${jurisdiction}`);
  }
  let sessions: Objects<CallSessionDO>;
  try {
    sessions = objectsIn(env.CALL_SESSION, jurisdiction);
  } catch (error) {
    log('error', 'a region cannot be had', { region, error: describeError(error) });
    return apiError(503, 'INTERNAL_ERROR', `No calls can be taken in ${jurisdiction} at the moment`);
  }
  const hint = hintOf(region);
  const near = hint === null ? {} : { locationHint: hint };
  // Of a single-call token it was given when that was asked for.
  const traceparent = principal.call?.traceparent ?? carriedTraceparent(request, principal);
  const common = { dialect: dialect.path, principal, traceparent, ...(region === null ? {} : { region }) };
  if (chosen === null) {
    const id = sessions.newUniqueId();
    const leg = { ...common, callId: id.toString(), bound: false };
    return sessions.get(id, near).fetch(writeLegRequest(request, leg));
  }
  const callId = callIdSchema.safeParse(chosen);
  if (!callId.success) {
    return apiError(400, 'BAD_MESSAGE', `callId: ${callId.error.issues[0]?.message}`);
  }
  const leg = { ...common, callId: callId.data, bound: true };
  return sessions.get(sessions.idFromName(callId.data), near).fetch(writeLegRequest(request, leg));
}

/** Where the call's object is to be, from what the upgrade request alone tells; or why it is not said rightly. */
function regionAskedFor(request: Request, config: Config, principal: Principal): Region | null | Response {
  const { searchParams: query } = new URL(request.url);
  const { users, kind, id } = principal;
  const onlyUser = users !== '*' && users.length === 1 ? users[0]! : null;
  const handshake = { query, headers: request.headers, numbers: config.NUMBERS, holder: null };
  const word = query.get('region') ?? request.headers.get('X-Region');
  const asked = regionSchema.nullable().safeParse(word);
  if (!asked.success) return apiError(400, 'BAD_MESSAGE', 'region: there is none of this name');
  return regionOf(config.REGIONS, {
    userId: onlyUser ?? userOfHandshake(handshake),
    // Who calls for one user alone is where that user's calls are, each time.
    asked: onlyUser === null ? asked.data : null,
    node: kind === 'node' ? id : null,
  });
}

/**
 * A browser sends its page's origin with every WebSocket, and no page but the service's own and the configured ones
 * may call through a visitor's browser. FreeSWITCH's modules send the service's own host and port (with a scheme of
 * their own: http, https or ws), other clients nothing.
 */
function originAllowed(request: Request, allowed: readonly string[]): boolean {
  const origin = request.headers.get('Origin');
  if (origin === null || allowed.includes(origin)) return true;
  const host = hostOf(origin);
  return host !== null && host === hostOf(request.url);
}

/** Host and port; the ports that a URL may leave out are left out. */
function hostOf(url: string): string | null {
  try {
    return new URL(url).host.replace(/:(?:80|443)$/, '');
  } catch {
    return null;
  }
}
