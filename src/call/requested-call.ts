import type { StartRequest } from '../dialects/dialect.ts';
import type { CallOptions } from './call-options.ts';
import type { StartedCallFacts } from './events.ts';
import { mayStartCall, principalName } from './principal.ts';
import type { Refusal } from './returning-leg.ts';

/** A call that was asked for, before its agent is known. */
export type RequestedCall = Omit<StartedCallFacts, 'recording' | 'chunkSamples' | 'funds'>;

/** To whoever calls for another's user, or campaign. */
export const notYours: Refusal = {
  code: 'UNAUTHORIZED',
  message: 'This user or campaign is not yours to call for',
  closing: 'refused',
};

/** Why a leg may not start the call that it asks for, as far as that is known at once; null: it may. */
export function refusalToStart(
  request: StartRequest,
  {
    callId,
    callIdBound,
    principal,
    mayBeHere,
  }: Pick<CallOptions, 'callId' | 'callIdBound' | 'principal' | 'mayBeHere'>,
): Refusal | null {
  const { userId, metadata } = request;
  if (callIdBound && request.callId !== callId) {
    const message = `callId must be ${callId}, as in the URL`;
    return { code: 'CALL_ID_MISMATCH', message, closing: 'refused' };
  }
  const campaignId = textOf(metadata.campaignId);
  if (!mayStartCall(principal, { callId: request.callId, userId, campaignId })) return notYours;
  if (!mayBeHere(userId)) {
    const message = 'This user’s calls are kept in another region; see REGIONS';
    return { code: 'WRONG_REGION', message, closing: 'refused' };
  }
  return null;
}

/** The call that a leg asks for, and may start. */
export function requestedCall(
  request: StartRequest,
  { clock, principal, given }: Pick<CallOptions, 'clock' | 'principal' | 'given'>,
): RequestedCall {
  const { callId, userId, metadata, sampleRate } = request;
  return {
    callId,
    userId,
    campaignId: textOf(metadata.campaignId),
    phoneNumber: textOf(metadata.phoneNumber),
    startTime: clock.now() - (request.earlyMs ?? 0),
    // What the leg tells counts before what the call was given.
    metadata: given?.userId === userId ? { ...given.metadata, ...metadata } : metadata,
    sampleRate,
    startedBy: principalName(principal),
  };
}

/** Metadata is whatever JSON the client sent. */
function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= 256 ? value : null;
}
