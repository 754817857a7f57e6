import { z } from 'zod';
import { systemClock, systemRandom } from '../call/clock.ts';
import { type Principal, principalName } from '../call/principal.ts';
import { within } from '../call/within.ts';
import type { Config } from '../config.ts';
import { destinationOf } from '../dialling/destination.ts';
import { reasonAgainst } from '../dialling/permission.ts';
import type { NewDial } from '../durable/dial-tables.ts';
import { describeError, log, personalId } from '../log.ts';
import { connectDials } from '../records/connect.ts';
import type { DialPermission } from '../records/dials.ts';
import { apiError } from './errors.ts';

/** What a request that dials may say beside `to`. */
export const dialFields = {
  /** E.164, or a SIP address. */
  to: z.string().min(1).max(64).optional(),
  /** The number that is shown: one of the user's, or of the campaign's, in `NUMBERS`. */
  callerId: z.string().min(1).max(32).optional(),
  ringTimeoutMs: z.number().int().min(5_000).max(120_000).optional(),
  /** How long it may wait for a node. */
  expiresInMs: z.number().int().min(1_000).max(86_400_000).optional(),
  /** What the agent's tools and the call's log are to know of it. */
  metadata: z
    .record(z.string().min(1).max(64), z.union([z.string().max(500), z.number(), z.boolean()]))
    .refine((metadata) => JSON.stringify(metadata).length <= 1_500, 'has more than 1500 characters')
    .optional(),
  /** The carrier's trunk, as the proxy's lists name it. */
  trunk: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .optional(),
};
const fieldsSchema = z.object(dialFields);
type DialFields = z.output<typeof fieldsSchema>;

/** Ids that a node's scripts carry as they are (freeswitch/numbers.list). */
const PLAIN_ID = /^[A-Za-z0-9._:@+-]{1,128}$/;
/** https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/: any text; printable, and no longer than an id. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,128}$/;
/** The longest wait for the account and the campaign. */
const LOOKUP_MS = 3_000;

export interface DialRequest extends DialFields {
  to: string;
  userId: string;
  campaignId: string | null;
}

/** The dial that is asked for, or why it may not be. */
export async function dialAsked(
  request: DialRequest,
  key: string | null,
  principal: Principal,
  config: Config,
): Promise<NewDial | Response> {
  const { userId, campaignId } = request;
  if (config.DIAL_ALLOWED.length === 0) {
    return apiError(501, 'NOT_IMPLEMENTED', 'to: this service dials nobody (DIAL_ALLOWED)');
  }
  // A node's token is a machine's in a rack: it carries out what others ask for.
  if (!['user', 'service', 'anonymous'].includes(principal.kind)) {
    return apiError(403, 'FORBIDDEN', 'Only people and programs have calls placed');
  }
  if (key !== null && !IDEMPOTENCY_KEY.test(key)) {
    return apiError(
      400,
      'BAD_MESSAGE',
      'Idempotency-Key: must be 1 to 128 printable characters without blanks',
    );
  }
  for (const [name, id] of Object.entries({ userId, campaignId })) {
    if (id !== null && !PLAIN_ID.test(id)) {
      return apiError(400, 'BAD_MESSAGE', `${name}: has characters that a telephone node does not carry`);
    }
  }
  const destination = destinationOf(request.to, { allowed: config.DIAL_ALLOWED, denied: config.DIAL_DENIED });
  if (destination.kind === 'wrong') return apiError(400, 'BAD_MESSAGE', `to: ${destination.message}`);
  if (destination.kind === 'forbidden') return apiError(403, 'FORBIDDEN', `to: ${destination.message}`);
  const callerId = callerIdOf(request, config.NUMBERS);
  if (callerId === null) {
    return apiError(403, 'FORBIDDEN', 'callerId: is none of this user’s numbers (NUMBERS)');
  }
  const refusal = await refusalOf(request, config);
  if (refusal !== null) return refusal;

  const { to } = destination;
  const now = systemClock.now();
  const ringMs = request.ringTimeoutMs ?? config.DIAL_RING_TIMEOUT;
  const trunk = request.trunk ?? null;
  const metadata = request.metadata === undefined ? null : JSON.stringify(request.metadata);
  return {
    callId: key === null ? systemRandom.id() : await namedAfter([principalName(principal), userId, key]),
    digest: await hexOf([
      userId,
      campaignId,
      to,
      callerId,
      ringMs,
      trunk,
      request.expiresInMs ?? null,
      metadata,
    ]),
    ...{ userId, campaignId, to, callerId, trunk, ringMs, metadata },
    expiresAt: now + (request.expiresInMs ?? config.DIAL_EXPIRES),
  };
}

/** A number of the user's, for this campaign or for any; null: there is none, or the wanted one is somebody else's. */
function callerIdOf(
  { callerId, userId, campaignId }: DialRequest,
  numbers: Config['NUMBERS'],
): string | null {
  const own = Object.entries(numbers).filter(
    ([, owner]) =>
      owner.userId === userId && (owner.campaignId === undefined || owner.campaignId === campaignId),
  );
  const plain = (number: string) => number.replace(/\D/g, '');
  if (callerId !== undefined) return own.find(([number]) => plain(number) === plain(callerId))?.[0] ?? null;
  // The campaign's own before one of the user's that is nobody's in particular.
  const ofCampaign = own.find(([, owner]) => owner.campaignId !== undefined);
  return (ofCampaign ?? own[0])?.[0] ?? null;
}

/** What account and campaign have against it; null: nothing. */
async function refusalOf({ userId, campaignId }: DialRequest, config: Config): Promise<Response | null> {
  let permission: DialPermission;
  try {
    permission = await within(systemClock, LOOKUP_MS, (signal) =>
      connectDials(config)().permission(userId, campaignId, signal),
    );
  } catch (error) {
    log('error', 'nobody could be asked whether a call may be placed', {
      userId: personalId(userId),
      error: describeError(error),
    });
    return apiError(503, 'INTERNAL_ERROR', 'The database does not answer', { 'Retry-After': '5' });
  }
  const { campaign } = permission;
  const isConfigured = campaignId !== null && Object.hasOwn(config.CAMPAIGNS, campaignId);
  if (campaignId !== null && campaign === null && !isConfigured) {
    return apiError(404, 'NOT_FOUND', 'campaignId: there is no such campaign');
  }
  if (campaign !== null && campaign.owner !== userId) {
    return apiError(403, 'FORBIDDEN', 'This user or campaign is not yours to call for');
  }
  switch (reasonAgainst(permission, config)) {
    case 'campaign not active':
      return apiError(409, 'CAMPAIGN_NOT_ACTIVE', 'campaignId: the campaign is paused, or has ended');
    case 'user blocked':
      return apiError(403, 'FORBIDDEN', 'This user may not call');
    case 'insufficient funds':
      return apiError(402, 'INSUFFICIENT_FUNDS', 'The account cannot pay for this call');
    default:
      return null;
  }
}

/** A UUID (version 8, RFC 9562) of what a repeat repeats: it finds the same call. */
async function namedAfter(parts: readonly string[]): Promise<string> {
  const hex = await hexOf(parts);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

async function hexOf(parts: readonly unknown[]): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(parts)));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
