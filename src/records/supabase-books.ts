import { z } from 'zod';
import type { Books, PaidCall } from '../call/funds.ts';
import { startedPayload } from './bounds.ts';
import { createFunctionCalls, type SupabaseOptions } from './supabase-project.ts';

const reservationSchema = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('reserved'), seconds: z.number().int().min(0) }),
  z.object({ outcome: z.enum(['insufficient funds', 'blocked', 'no account', 'over']) }),
]);

const settlementSchema = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('charged'), charged: z.number(), uncollected: z.number() }),
  z.object({ outcome: z.enum(['repeated', 'no account']) }),
]);

/**
 * {@link Books} in a Supabase project with the tables of `supabase/migrations`. Rejects with `RecordsError`.
 * @param pricePerSecond of accounts that have no price of their own; decimal digits, so that none gets lost.
 */
export function createSupabaseBooks(options: SupabaseOptions & { pricePerSecond: string }): Books {
  const { pricePerSecond } = options;
  const callFunction = createFunctionCalls(options);
  return {
    reserve(call, seconds, signal) {
      const args = { call: { ...named(call), ...seconds, pricePerSecond } };
      return callFunction('reserve_call', args, reservationSchema, signal);
    },
    settle(call, seconds, signal) {
      const args = { call: { ...named(call), seconds, pricePerSecond } };
      return callFunction('settle_call', args, settlementSchema, signal);
    },
    async release(call, signal) {
      await callFunction('release_call', { call: named(call) }, z.boolean(), signal);
    },
  };
}

/** In the form in which the log has it: the same text, cut and mended in the same way. */
function named(call: PaidCall): { callId: string; userId: string; startTime: string } {
  const { callId, userId, startTime } = startedPayload({
    ...call,
    campaignId: null,
    phoneNumber: null,
    metadata: {},
  });
  return { callId, userId, startTime };
}
