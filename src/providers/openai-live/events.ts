import type { ServerEvent as LiveServerEvent } from 'openai/resources/live/live';
import { z } from 'zod';

/**
 * What the server sends, so far as it is heeded, after the types of the `openai` package and
 * https://developers.openai.com/api/docs/guides/voice-websockets, …/live-conversations and …/live-delegation. Other types of
 * events pass unread: acknowledgements tell that a context was accepted, and not that it was understood.
 */

const id = z.string().min(1).max(256);
/** A fragment covers some 200 ms. */
const text = z.string().max(10_000);
const position = z.number().nonnegative();
const seconds = z.number().nonnegative();
/** Vendors' messages are shown to operators, who need no more. */
const message = z
  .string()
  .transform((whole) => whole.slice(0, 300))
  .nullish();
const code = z.string().max(200).nullish();

const fragment = { delta: text, start_ms: position, end_ms: position };
const usage = z.object({ seconds });

const serverEventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('session.started'),
    /** Unix seconds. */
    session: z.object({ expires_at: z.number().nullish().catch(null) }),
  }),
  z.object({ type: z.literal('session.output_audio.delta'), delta: z.string() }),
  z.object({ type: z.literal('session.input_transcript.delta'), ...fragment }),
  z.object({ type: z.literal('session.output_transcript.delta'), ...fragment }),
  z.object({
    type: z.literal('session.delegation.created'),
    delegation: z.object({ id, target: z.string().max(64) }),
  }),
  z.object({ type: z.literal('session.usage.updated'), usage }),
  z.object({
    type: z.literal('session.closed'),
    reason: z.string().max(64).nullish(),
    usage: usage.nullish().catch(null),
  }),
  z.object({ type: z.literal('error'), error: z.object({ type: code, code, message }) }),
]);

export type ServerEvent = z.infer<typeof serverEventSchema>;

/** An entry for each, so that a type that is misspelt or that OpenAI renames does not compile. */
const heeded: Record<ServerEvent['type'], true> = {
  'session.started': true,
  'session.output_audio.delta': true,
  'session.input_transcript.delta': true,
  'session.output_transcript.delta': true,
  'session.delegation.created': true,
  'session.usage.updated': true,
  'session.closed': true,
  error: true,
} satisfies Partial<Record<LiveServerEvent['type'], true>>;

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
