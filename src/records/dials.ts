import { z } from 'zod';
import { startedPayload } from './bounds.ts';
import type { StartedCall } from './call-records.ts';
import { createFunctionCalls, type SupabaseOptions } from './supabase-project.ts';

/** How a call was dialled: `call_logs.dial`. */
export interface DialFacts {
  state: string;
  /** Null: it was answered. */
  reason: string | null;
  /** From the request to the dialling; null: it was not dialled. */
  queuedMs: number | null;
  /** From the first ringing to its end; null: nobody heard it ring. */
  ringMs: number | null;
  node: string | null;
  trunk: string | null;
  callerId: string;
  cause: string | null;
  sipStatus: number | null;
  q850: number | null;
}

/** A dial that is over. `end`: the row's, where no call came of it; null: it was answered, and the call writes its row itself. */
export interface EndedDial extends StartedCall {
  endTime: number;
  end: { status: 'ended' | 'failed'; reason: string } | null;
  dial: DialFacts;
}

/** What the database says to somebody who wants to have a call placed. */
export interface DialPermission {
  account: boolean;
  blocked: boolean;
  /** That the account can pay for; null: nothing is paid for. */
  seconds: number | null;
  campaign: { owner: string; status: string } | null;
}

/** Rejects with `RecordsError`. */
export interface DialRecords {
  permission(userId: string, campaignId: string | null, signal: AbortSignal): Promise<DialPermission>;
  /** Idempotent. Resolves with the ids of answered dials whose row is not there yet. */
  ended(dials: readonly EndedDial[], signal: AbortSignal): Promise<string[]>;
}

const permissionSchema = z.object({
  account: z.boolean(),
  blocked: z.boolean(),
  seconds: z.number().nullable(),
  campaign: z.object({ owner: z.string(), status: z.string() }).nullable(),
});

/** {@link DialRecords} in a Supabase project with the tables of `supabase/migrations`. */
export function createSupabaseDials(options: SupabaseOptions & { pricePerSecond: string }): DialRecords {
  const callFunction = createFunctionCalls(options);
  return {
    permission(userId, campaignId, signal) {
      const args = { of_user: userId, of_campaign: campaignId, price_per_second: options.pricePerSecond };
      return callFunction('may_dial', args, permissionSchema, signal);
    },
    ended(dials, signal) {
      const payload = dials.map(({ endTime, end, dial, ...call }) => ({
        ...startedPayload(call),
        endTime: new Date(endTime).toISOString(),
        status: end?.status ?? null,
        endReason: end?.reason ?? null,
        dial,
      }));
      return callFunction('dials_ended', { dials: payload }, z.array(z.string()), signal);
    },
  };
}
