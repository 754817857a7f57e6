import { z } from 'zod';
import { boundTurns, costPayload, endedPayload, startedPayload, transfersPayload } from './bounds.ts';
import { type CallRecords, RecordsError } from './call-records.ts';
import { createFunctionCalls, type SupabaseOptions } from './supabase-project.ts';

/**
 * {@link CallRecords} in a Supabase project with the tables of `supabase/migrations`.
 * @throws Error where `url` is no http or https address.
 */
export function createSupabaseCallRecords(options: SupabaseOptions): CallRecords {
  const callFunction = createFunctionCalls(options);
  // Whether there was anything left to do.
  const call = (name: string, args: Record<string, unknown>, signal: AbortSignal) =>
    callFunction(name, args, z.boolean(), signal);

  return {
    async started(started, signal) {
      await call('call_started', { call: checked(startedPayload, started) }, signal);
    },
    async conversation(callId, turns, signal) {
      await call('call_conversation', { of_call: callId, turns: boundTurns(turns) }, signal);
    },
    async ended(ended, signal) {
      await call('call_ended', { call: checked(endedPayload, ended) }, signal);
      if (ended.transfers.length === 0) return;
      const attempts = checked(transfersPayload, ended.transfers);
      await call('call_transfers', { of_call: ended.callId, attempts }, signal);
    },
    async costed(callId, cost, signal) {
      await call('call_costed', { of_call: callId, cost: costPayload(cost) }, signal);
    },
  };
}

function checked<Record, Payload>(toPayload: (record: Record) => Payload, record: Record): Payload {
  try {
    return toPayload(record);
  } catch (cause) {
    throw new RecordsError(`not a record: ${String(cause)}`, { retryable: false, code: null, cause });
  }
}
