import type { RealtimeServerEvent } from 'openai/resources/realtime/realtime';
import { z } from 'zod';

/**
 * What the server sends, so far as it is heeded, after the types of the `openai` package and
 * https://developers.openai.com/api/docs/guides/realtime-conversations and …/realtime-transcription. Other types of events pass unread.
 */

/** OpenAI's own ids have some 30 characters. */
const id = z.string().min(1).max(256);
/** Ten minutes of the fastest speech have some 15,000 characters. */
const text = z.string().max(50_000);
/** Vendors' messages are shown to operators, who need no more. */
const message = z
  .string()
  .transform((whole) => whole.slice(0, 300))
  .nullish();
const code = z.string().max(200).nullish();
const count = z.number().nonnegative();

const errorSchema = z.object({ type: code, code, message, event_id: id.nullish().catch(null) });

const transcriptionUsage = z
  .union([
    z.object({ type: z.literal('duration'), seconds: count }),
    z.object({ type: z.literal('tokens'), input_tokens: count, output_tokens: count }),
  ])
  .nullish()
  .catch(null);

const responseSchema = z.object({
  id,
  status: z.enum(['completed', 'cancelled', 'failed', 'incomplete', 'in_progress']).nullish(),
  status_details: z
    .object({ reason: code, error: z.object({ type: code, code, message }).nullish() })
    .nullish(),
  metadata: z.record(z.string(), z.string()).nullish().catch(null),
  usage: z
    .object({
      input_tokens: count.nullish(),
      output_tokens: count.nullish(),
      input_token_details: z
        .object({
          audio_tokens: count.nullish(),
          cached_tokens: count.nullish(),
          cached_tokens_details: z.object({ audio_tokens: count.nullish() }).nullish(),
        })
        .nullish()
        .catch(null),
      output_token_details: z.object({ audio_tokens: count.nullish() }).nullish().catch(null),
    })
    .nullish()
    .catch(null),
});

const itemSchema = z.object({
  id,
  type: z.string(),
  role: z.string().nullish(),
  call_id: id.nullish(),
  name: z.string().max(64).nullish(),
  arguments: text.nullish(),
});

const delta = { response_id: id, item_id: id, delta: z.string() };

const serverEventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('session.created'),
    session: z.object({ expires_at: z.number().nullish().catch(null) }),
  }),
  z.object({ type: z.literal('session.updated') }),
  z.object({ type: z.literal('error'), error: errorSchema }),
  z.object({ type: z.literal('input_audio_buffer.committed'), item_id: id }),
  z.object({ type: z.literal('input_audio_buffer.cleared') }),
  z.object({
    type: z.literal('conversation.item.input_audio_transcription.delta'),
    item_id: id,
    delta: text.nullish(),
  }),
  z.object({
    type: z.literal('conversation.item.input_audio_transcription.completed'),
    item_id: id,
    transcript: text,
    usage: transcriptionUsage,
    languages: z
      .array(z.object({ code: z.string().min(2).max(35) }))
      .nullish()
      .catch(null),
  }),
  z.object({
    type: z.literal('conversation.item.input_audio_transcription.failed'),
    item_id: id,
    error: errorSchema,
  }),
  z.object({ type: z.literal('response.created'), response: responseSchema }),
  z.object({ type: z.literal('response.done'), response: responseSchema }),
  z.object({ type: z.literal('response.output_item.added'), response_id: id, item: itemSchema }),
  z.object({ type: z.literal('response.output_item.done'), response_id: id, item: itemSchema }),
  z.object({ type: z.literal('response.output_audio.delta'), ...delta }),
  z.object({ type: z.literal('response.output_audio_transcript.delta'), ...delta }),
  z.object({ type: z.literal('response.output_text.delta'), ...delta }),
]);

export type ServerEvent = z.infer<typeof serverEventSchema>;
export type ServerEventOf<T extends ServerEvent['type']> = Extract<ServerEvent, { type: T }>;
export type ServerError = z.infer<typeof errorSchema>;
export type ServerResponse = z.infer<typeof responseSchema>;
export type TranscriptionUsage = z.infer<typeof transcriptionUsage>;

/** An entry for each, so that a type that is misspelt or that OpenAI renames does not compile. */
const heeded: Record<ServerEvent['type'], true> = {
  'session.created': true,
  'session.updated': true,
  error: true,
  'input_audio_buffer.committed': true,
  'input_audio_buffer.cleared': true,
  'conversation.item.input_audio_transcription.delta': true,
  'conversation.item.input_audio_transcription.completed': true,
  'conversation.item.input_audio_transcription.failed': true,
  'response.created': true,
  'response.done': true,
  'response.output_item.added': true,
  'response.output_item.done': true,
  'response.output_audio.delta': true,
  'response.output_audio_transcript.delta': true,
  'response.output_text.delta': true,
} satisfies Partial<Record<RealtimeServerEvent['type'], true>>;

/** One message of the server; null if nobody heeds its type; `'malformed'` if it is none. */
export function parseServerEvent(data: string | Uint8Array): ServerEvent | null | 'malformed' {
  if (typeof data !== 'string') return 'malformed';
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return 'malformed';
  }
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  if (typeof type !== 'string') return 'malformed';
  if (!Object.hasOwn(heeded, type)) return null;
  const event = serverEventSchema.safeParse(value);
  return event.success ? event.data : 'malformed';
}
