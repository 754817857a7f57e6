import { z } from 'zod';
import { connectProject, exactly } from '../records/supabase-project.ts';

/** What the log says of a call's recording, and whose it is. */
export interface RecordingRow {
  callId: string;
  userId: string;
  campaignId: string | null;
  /** Object key in the bucket; null where there is none. */
  recording: string | null;
}

/** The database did not answer the question. */
export class LookupError extends Error {
  override readonly name = 'LookupError';
}

/** A listener waits for it. */
const timeoutMs = 10_000;

const rowSchema = z.object({
  call_id: z.string(),
  user_id: z.string(),
  campaign_id: z.string().nullable(),
  // Nothing else in the bucket is a recording.
  recording: z.string().startsWith('recordings/').max(1024).nullable(),
});

/** The row of a call, or null where there is none. @throws {LookupError} */
export async function findRecording(
  database: { url: string; key: string },
  callId: string,
  signal: AbortSignal,
): Promise<RecordingRow | null> {
  const client = connectProject(database);
  const { data, error, status } = await client
    .from('call_logs')
    .select('call_id, user_id, campaign_id, recording')
    .filter('call_id', 'in', exactly([callId]))
    .limit(1)
    .abortSignal(AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
    .retry(false);
  if (error !== null) throw new LookupError(`status ${status}: ${error.message.slice(0, 300)}`);
  const rows = z.array(rowSchema).safeParse(data);
  if (!rows.success) throw new LookupError('the answer is not that of a Supabase project');
  const [row] = rows.data;
  if (row === undefined) return null;
  return {
    callId: row.call_id,
    userId: row.user_id,
    campaignId: row.campaign_id,
    recording: row.recording,
  };
}
