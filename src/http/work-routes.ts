import { Hono } from 'hono';
import { z } from 'zod';
import { systemRandom } from '../call/clock.ts';
import { callIdSchema } from '../dialects/native-messages.ts';
import { shareOf } from '../dialling/pace.ts';
import { shardsToAsk } from '../dialling/shards.ts';
import type { Claimed } from '../durable/dial-queue.ts';
import type { Env } from '../env.ts';
import { homeOf } from '../regions/settings.ts';
import { dialShard, dialsOf, orNull, roomOf } from './dials.ts';
import { apiError } from './errors.ts';
import { askedByNode } from './node-request.ts';

/** A node asks so often, as long as it is told nothing else. */
const POLL_MS = 1_000;
/** Of one request: a node begins a claim within seconds. */
const MOST_AT_ONCE = 50;

const workSchema = z.strictObject({
  /** How many dials it would take now. */
  free: z.number().int().min(0).max(100_000),
});

const claim = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/);
const beginSchema = z.strictObject({ callId: callIdSchema, claim });

const progressSchema = z.discriminatedUnion('state', [
  z.strictObject({ callId: callIdSchema, claim, state: z.literal('ringing') }),
  z.strictObject({ callId: callIdSchema, claim, state: z.literal('answered') }),
  z.strictObject({
    ...{ callId: callIdSchema, claim, state: z.literal('failed') },
    cause: z
      .string()
      .regex(/^[A-Z0-9_]{1,64}$/)
      .optional(),
    sipStatus: z.number().int().min(300).max(699).optional(),
    q850: z.number().int().min(0).max(127).optional(),
  }),
]);

/** What nodes ask for, and tell, of calls that they place. */
export const workRoutes = new Hono<{ Bindings: Env }>();

/** `{free}` → `{dials: [{callId, claim, to, callerId, userId, campaignId, trunk, ringSeconds, region?}], cancelled: [callId], waitMs}` */
workRoutes.post('/work', async (c) => {
  const asked = await askedByNode(c, workSchema);
  if (asked instanceof Response) return asked;
  const { body, config, principal } = asked;
  const node = { name: principal.id, users: principal.users, campaigns: principal.campaigns };
  const { DIAL_SHARDS: shards, NODES } = config;
  const pace = NODES[node.name]?.dials;
  if (pace === undefined) return apiError(403, 'FORBIDDEN', 'This is for nodes');
  const room = await orNull('report', roomOf(c.env, config, node));
  if (room === null) {
    return apiError(503, 'INTERNAL_ERROR', 'There is no work at the moment', { 'Retry-After': '5' });
  }
  let free = Math.min(body.free, room, MOST_AT_ONCE);
  const dials: Claimed[] = [];
  const cancelled: string[] = [];
  let answered = false;
  for (const shard of shardsToAsk(shards, systemRandom)) {
    const work = await orNull(
      'work',
      dialShard(c.env, shards, shard).work(node, free, shareOf(pace, shards)),
    );
    if (work === null) continue;
    answered = true;
    dials.push(...work.dials);
    cancelled.push(...work.cancelled);
    free -= work.dials.length;
  }
  if (!answered)
    return apiError(503, 'INTERNAL_ERROR', 'There is no work at the moment', { 'Retry-After': '5' });
  return c.json({
    dials: dials.map(({ ringMs, ...dial }) => {
      // The WebSocket's address has to tell: its user is named only after it was opened, and whoever has answered would hear nothing.
      const home = homeOf(config.REGIONS, dial.userId);
      return { ...dial, ringSeconds: Math.ceil(ringMs / 1000), ...(home === null ? {} : { region: home }) };
    }),
    cancelled,
    waitMs: POLL_MS,
  });
});

/** 204: the node dials, now. 409: it does not, whatever happens. */
workRoutes.post('/dials/begin', async (c) => {
  const asked = await askedByNode(c, beginSchema);
  if (asked instanceof Response) return asked;
  const { body, config, principal } = asked;
  const queue = dialsOf(c.env, config, body.callId);
  const granted = await orNull('begin', queue.begin(principal.id, body.callId, body.claim));
  if (granted === null) return noAnswer();
  return granted ? c.body(null, 204) : apiError(409, 'NOT_YOURS', 'This call is not this claim’s to dial');
});

workRoutes.post('/dials/progress', async (c) => {
  const asked = await askedByNode(c, progressSchema);
  if (asked instanceof Response) return asked;
  const { config, principal } = asked;
  const { callId, claim: shown, ...progress } = asked.body;
  const queue = dialsOf(c.env, config, callId);
  const known = await orNull('progress', queue.progress(principal.id, callId, shown, progress));
  if (known === null) return noAnswer();
  return known ? c.body(null, 204) : apiError(404, 'NOT_FOUND', 'There is no such call of this node’s');
});

function noAnswer(): Response {
  return apiError(503, 'INTERNAL_ERROR', 'The queue does not answer', { 'Retry-After': '2' });
}
