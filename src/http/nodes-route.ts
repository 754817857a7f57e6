import { Hono } from 'hono';
import { authenticate } from '../auth/authenticate.ts';
import { loadConfig } from '../config.ts';
import type { Env } from '../env.ts';
import { heartbeatSchema } from '../metrics/nodes.ts';
import { writeHeartbeat } from '../metrics/read.ts';
import { apiError } from './errors.ts';
import { readSmallJson } from './small-json.ts';

/** Of the body: a handful of numbers. */
const MOST_BYTES = 1_024;

/** What FreeSWITCH nodes tell the service about themselves. */
export const nodeRoutes = new Hono<{ Bindings: Env }>();

nodeRoutes.post('/heartbeat', async (c) => {
  const config = loadConfig(c.env);
  const principal = await authenticate(c.req.raw, config, 'route');
  if (principal instanceof Response) return principal;
  if (principal.kind !== 'node') return apiError(403, 'FORBIDDEN', 'Only a node has a heartbeat');
  const body = await readSmallJson(c.req.raw, MOST_BYTES);
  if (body === null) return apiError(413, 'TOO_LARGE', `The body has more than ${MOST_BYTES} bytes`);
  const heartbeat = heartbeatSchema.safeParse(body.json);
  if (!heartbeat.success) {
    const [issue] = heartbeat.error.issues;
    return apiError(400, 'BAD_MESSAGE', `${issue?.path.join('.') || 'body'}: ${issue?.message}`);
  }
  const report = { ...heartbeat.data, name: principal.id, at: Date.now() };
  await writeHeartbeat(c.env, config.METRICS_SHARDS, report);
  return c.body(null, 204);
});
