import { z } from 'zod';
import type { Principal } from '../call/principal.ts';
import { callIdSchema } from '../dialects/native-messages.ts';
import { type Region, regionSchema } from '../regions/settings.ts';

/** What the router tells the call's object about a leg, beside the upgrade itself. */
export interface LegRequest {
  callId: string;
  /** The client chose the id, in the URL or a header: the object is named after it. */
  bound: boolean;
  /** Path of the dialect in the registry. */
  dialect: string;
  principal: Principal;
  /** Where the object was made, or is to be near; absent: anywhere. */
  region?: Region;
  /** The trace that the call is a part of, where whoever asked for it has one and is believed. */
  traceparent?: string | undefined;
}

const HEADER = 'X-Leg';

const principalSchema = z.object({
  kind: z.enum(['anonymous', 'user', 'node', 'call', 'service', 'metrics']),
  id: z.string(),
  users: z.literal('*').or(z.array(z.string())),
  campaigns: z.literal('*').or(z.array(z.string())),
  call: z
    .object({
      callId: callIdSchema,
      userId: z.string(),
      campaignId: z.string().nullable(),
      tokenId: z.string(),
      expiresAt: z.number(),
      traceparent: z.string().exactOptional(),
    })
    .exactOptional(),
});
const legSchema = z.object({
  callId: callIdSchema,
  bound: z.boolean(),
  dialect: z.string(),
  principal: principalSchema,
  region: regionSchema.exactOptional(),
  traceparent: z.string().optional(),
});

/** The client's upgrade request with what the router knows, and without its secrets; a header of that name from outside is overwritten. */
export function writeLegRequest(request: Request, leg: LegRequest): Request {
  const url = new URL(request.url);
  url.searchParams.delete('token');
  const handedOn = new Request(url, request);
  for (const secret of ['Authorization', 'X-Node-Token']) handedOn.headers.delete(secret);
  // A header holds no characters beyond Latin-1; ids are of any.
  handedOn.headers.set(HEADER, encodeURIComponent(JSON.stringify(leg)));
  return handedOn;
}

/** Reads it back. Throws if the request did not come through the router. */
export function readLegRequest(request: Request): LegRequest {
  return legSchema.parse(JSON.parse(decodeURIComponent(request.headers.get(HEADER) ?? 'null')));
}
