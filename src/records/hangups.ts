import { z } from 'zod';
import { maySee, type Principal } from '../call/principal.ts';
import { RecordsError } from './call-records.ts';
import { connectProject, exactly, isRetryable } from './supabase-project.ts';

/** How a call ended on the telephone network, as FreeSWITCH has it. */
export const hangupSchema = z.strictObject({
  /** https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Troubleshooting-Debugging/Hangup-Cause-Code-Table_3964945/ */
  cause: z.string().regex(/^[A-Z0-9_]{1,64}$/),
  /** ITU-T Q.850. */
  q850: z.number().int().min(0).max(127),
  /** FreeSWITCH's `sip_hangup_disposition`: `recv_bye` is the caller, `send_bye` the node. */
  by: z.string().regex(/^[a-z_]{1,32}$/),
  /** Since the answer. */
  seconds: z.number().int().min(0).max(1_000_000),
  /** Of these, with whom the caller was connected to; absent: with nobody. */
  transferredSeconds: z.number().int().min(0).max(1_000_000).optional(),
});
export type Hangup = z.output<typeof hangupSchema>;

const rowsSchema = z
  .array(
    z.object({
      user_id: z.string(),
      campaign_id: z.string().nullable(),
      node: z.string().nullable().catch(null),
    }),
  )
  .max(1);

/**
 * Writes how a call ended into its row; what is there already stays. False: there is no such row, or it is not for this node: its user is not,
 * or it said at its start that another node has it. Rejects with `RecordsError`.
 */
export async function writeHangup(
  database: { url: string; key: string },
  principal: Principal,
  callId: string,
  hangup: Hangup,
  signal: AbortSignal,
): Promise<boolean> {
  const calls = () => connectProject(database).from('call_logs');
  const found = await calls()
    .select('user_id, campaign_id, node:metadata->sip->>node')
    .filter('call_id', 'in', exactly([callId]))
    .limit(1)
    .abortSignal(signal)
    .retry(false);
  if (found.error !== null) throw recordsError(found.status, found.error);
  const [row] = rowsSchema.parse(found.data);
  if (row === undefined || !maySee(principal, row.user_id, row.campaign_id)) return false;
  // What is written first stays: no other node may be first.
  if (row.node !== null && row.node !== principal.id) return false;
  const written = await calls()
    .update({ hangup })
    .filter('call_id', 'in', exactly([callId]))
    .is('hangup', null)
    .abortSignal(signal);
  if (written.error !== null) throw recordsError(written.status, written.error);
  return true;
}

function recordsError(status: number, error: { message: string; code?: string | null }): RecordsError {
  return new RecordsError(`hangup: status ${status}: ${error.message.slice(0, 300)}`, {
    retryable: isRetryable(status, error.code ?? null, 'hangup'),
    code: error.code ?? null,
  });
}
