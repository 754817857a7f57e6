import type { Context } from 'hono';
import type { z } from 'zod';
import { authenticate } from '../auth/authenticate.ts';
import type { Principal } from '../call/principal.ts';
import { type Config, loadConfig } from '../config.ts';
import type { Env } from '../env.ts';
import { apiError } from './errors.ts';
import { readSmallJson } from './small-json.ts';

/** Of a body: a handful of numbers and names. */
const MOST_BYTES = 1_024;

/** What a node has sent, and which one it is; or the answer to whoever is none, or sends something else. */
export async function askedByNode<Body>(
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
