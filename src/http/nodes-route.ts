import { type Context, Hono } from 'hono';
import type { z } from 'zod';
import { authenticate } from '../auth/authenticate.ts';
import type { Principal } from '../call/principal.ts';
import { type Config, loadConfig } from '../config.ts';
import { callIdSchema } from '../dialects/native-messages.ts';
import type { Env } from '../env.ts';
import { describeError, log, personalId } from '../log.ts';
import { heartbeatSchema } from '../metrics/nodes.ts';
import { writeHeartbeat } from '../metrics/read.ts';
import { hangupSchema, writeHangup } from '../records/hangups.ts';
import { apiError } from './errors.ts';
import { readSmallJson } from './small-json.ts';

/** Of a body: a handful of numbers and names. */
const MOST_BYTES = 1_024;
/** A node's script waits for it. */
const DATABASE_MS = 4_000;

/** What FreeSWITCH nodes tell the service. */
export const nodeRoutes = new Hono<{ Bindings: Env }>();

nodeRoutes.post('/heartbeat', async (c) => {
  const asked = await askedByNode(c, heartbeatSchema);
  if (asked instanceof Response) return asked;
  const { body, config, principal } = asked;
  await writeHeartbeat(c.env, config.METRICS_SHARDS, { ...body, name: principal.id, at: Date.now() });
  return c.body(null, 204);
});

nodeRoutes.post('/hangups', async (c) => {
  const asked = await askedByNode(c, hangupSchema.extend({ callId: callIdSchema }));
  if (asked instanceof Response) return asked;
  const { config, principal } = asked;
  const { callId, ...hangup } = asked.body;
  const { SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: key } = config;
  if (url === undefined || key === undefined) {
    return apiError(503, 'INTERNAL_ERROR', 'The service is not set up: it has no database');
  }
  try {
    const signal = AbortSignal.timeout(DATABASE_MS);
    const written = await writeHangup({ url, key }, principal, callId, hangup, signal);
    return written ? c.body(null, 204) : apiError(404, 'NOT_FOUND', 'There is no such call');
  } catch (error) {
    log('error', 'the end of a call could not be written', {
      callId: personalId(callId),
      error: describeError(error),
    });
    return apiError(503, 'INTERNAL_ERROR', 'The database does not answer', { 'Retry-After': '5' });
  }
});

async function askedByNode<Body>(
  c: Context<{ Bindings: Env }>,
  schema: z.ZodType<Body>,
): Promise<{ body: Body; config: Config; principal: Principal } | Response> {
  const config = loadConfig(c.env);
  const principal = await authenticate(c.req.raw, config, 'route');
  if (principal instanceof Response) return principal;
  if (principal.kind !== 'node') return apiError(403, 'FORBIDDEN', 'This is for nodes');
  const read = await readSmallJson(c.req.raw, MOST_BYTES);
  if (read instanceof Response) return read;
  const body = schema.safeParse(read.json);
  if (body.success) return { body: body.data, config, principal };
  const [issue] = body.error.issues;
  return apiError(400, 'BAD_MESSAGE', `${issue?.path.join('.') || 'body'}: ${issue?.message}`);
}
