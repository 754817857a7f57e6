import { z } from 'zod';
import { defaultPace } from '../dialling/pace.ts';
import { emptyIsUnset, json, list, whole } from '../settings.ts';
import { parseNetwork } from './addresses.ts';
import { tokenHashPattern } from './tokens.ts';

const tokenHash = z.string().regex(tokenHashPattern, 'must be the SHA-256 of a token, 64 of 0-9 a-f');

const network = z.string().transform((text, context) => {
  const parsed = parseNetwork(text);
  if (parsed !== null) return parsed;
  context.addIssue('must be an address or a network, e.g. 192.0.2.0/24 or 2001:db8::/32');
  return z.NEVER;
});

const ids = z.literal('*').or(z.array(z.string().min(1).max(128)).max(1_000));

/**
 * A FreeSWITCH node: the hashes of its tokens (several while they are changed), the users and campaigns that its numbers map to, and the
 * addresses that it comes from, where they are known.
 */
const nodeSchema = z.strictObject({
  tokens: z.array(tokenHash).min(1).max(10),
  users: ids,
  campaigns: ids.default([]),
  addresses: z.array(network).max(100).default([]),
  /** How fast it dials. */
  dials: z
    .strictObject({
      perSecond: z.number().min(0.01).max(1_000).default(defaultPace.perSecond),
      atOnce: z.number().int().min(0).max(10_000).default(defaultPace.atOnce),
    })
    .default(defaultPace),
});
export type NodeSettings = z.output<typeof nodeSchema>;

/** By the node's name, which stands in the log. */
const nodesSchema = z
  .record(z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 . _ -'), nodeSchema)
  .refine((nodes) => Object.keys(nodes).length <= 1_000, 'at most 1000 nodes');

/** Who may use the service. */
export const authSchema = {
  /** `none`: everybody, but on this machine only: whoever comes by another name than a loopback one gets 503. */
  AUTH: z.preprocess(emptyIsUnset, z.enum(['required', 'none']).default('required')),
  /** The project's legacy shared secret, where its tokens are still signed with it (HS256). */
  SUPABASE_JWT_SECRET: z.preprocess(
    emptyIsUnset,
    // RFC 7518 §3.2: no shorter than the hash.
    z.string().min(32, 'must have 32 characters or more').max(4_096).optional(),
  ),
  /** Who signs users' tokens, claim `iss`, where it is not `SUPABASE_URL` and /auth/v1. */
  SUPABASE_JWT_ISSUER: z.preprocess(emptyIsUnset, z.string().max(2_048).optional()),
  /** FreeSWITCH nodes by name, JSON: see README. In a setting and not in the database: nodes work while that is down. */
  NODES: z.preprocess(json, nodesSchema.default({})),
  /** Hashes of the tokens of the operator's own programs, comma-separated: they may do everything for everybody. */
  SERVICE_TOKENS: list(tokenHash),
  /** Hashes of the tokens that read `/metrics`, comma-separated. */
  METRICS_TOKENS: list(tokenHash),
  /** The longest wait for the project's keys, and for a person's account; setting a call up takes 10 s at most. */
  AUTH_TIMEOUT: whole(3_000, 100, 9_000),
  /** How long a single-call token starts its call. */
  CALL_TOKEN_TTL: whole(120_000, 1_000, 3_600_000),
  /** Addresses and networks from which the service may be reached at all, comma-separated; empty: any. */
  ALLOWED_ADDRESSES: list(network),
};
