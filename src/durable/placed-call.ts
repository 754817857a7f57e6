import type { CallOptions } from '../call/call-options.ts';
import { systemClock } from '../call/clock.ts';
import { within } from '../call/within.ts';
import type { Config } from '../config.ts';
import type { Env } from '../env.ts';
import { dialsOf, orNull } from '../http/dials.ts';
import type { LegRequest } from '../http/leg-request.ts';
import { metadataOf } from './dial-deliveries.ts';

/** The longest wait for what a placed call was given: whoever has answered hears nothing meanwhile. */
const GIVEN_MS = 1_000;

/** What a call that we have placed was given along with its request. A node says that it is one; where the queue is silent, the call goes without. */
export async function givenToPlacedCall(
  leg: LegRequest,
  url: string,
  { env, config }: { env: Env; config: Config },
): Promise<CallOptions['given']> {
  if (!leg.bound || new URL(url).searchParams.get('dialled') !== 'true') return null;
  const queue = dialsOf(env, config, leg.callId);
  const found = await orNull(
    'given',
    within(systemClock, GIVEN_MS, async () => ({ dial: await queue.find(leg.callId) })),
  );
  const dial = found?.dial ?? null;
  return dial === null ? null : { userId: dial.userId, metadata: metadataOf(dial) };
}
