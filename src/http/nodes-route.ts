import { Hono } from 'hono';
import { callIdSchema } from '../dialects/native-messages.ts';
import type { Env } from '../env.ts';
import { describeError, log, personalId } from '../log.ts';
import { heartbeatSchema } from '../metrics/nodes.ts';
import { writeHeartbeat } from '../metrics/read.ts';
import { hangupSchema, writeHangup } from '../records/hangups.ts';
import { apiError } from './errors.ts';
import { askedByNode } from './node-request.ts';
import { workRoutes } from './work-routes.ts';

/** A node's script waits for it. */
const DATABASE_MS = 4_000;

/** What FreeSWITCH nodes tell the service. */
export const nodeRoutes = new Hono<{ Bindings: Env }>();

nodeRoutes.route('/', workRoutes);

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
