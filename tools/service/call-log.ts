import { createClient } from '@supabase/supabase-js';
import { z } from 'zod';

const rowSchema = z.object({
  call_id: z.string(),
  user_id: z.string(),
  status: z.enum(['active', 'ended', 'failed']),
  end_reason: z.string().nullable(),
  start_time: z.string(),
  end_time: z.string().nullable(),
  duration_seconds: z.number().nullable(),
  recording: z.string().nullable(),
  transcript: z.array(z.object({ role: z.enum(['caller', 'agent']), text: z.string() })),
});

/** What the launcher shows of a row of `call_logs`. */
export type CallLogRow = z.output<typeof rowSchema>;

const requestLimitMs = 5_000;
const pollMs = 200;

/** The call's row, once it is no longer `active`; as it is, or null, after `withinMs`. Throws if the database refuses. */
export async function readEndedCall(
  supabase: { url: string; serviceRoleKey: string },
  callId: string,
  withinMs: number,
  signal: AbortSignal,
): Promise<CallLogRow | null> {
  const client = createClient(supabase.url, supabase.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const until = performance.now() + withinMs;
  for (;;) {
    const { data, error } = await client
      .from('call_logs')
      .select(Object.keys(rowSchema.shape).join(','))
      .eq('call_id', callId)
      .abortSignal(AbortSignal.any([signal, AbortSignal.timeout(requestLimitMs)]))
      .maybeSingle();
    if (error !== null) throw new Error(`call_logs cannot be read: ${error.message}`);
    const row = data === null ? null : rowSchema.parse(data);
    if ((row !== null && row.status !== 'active') || performance.now() >= until) return row;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
