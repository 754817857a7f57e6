import { z } from 'zod';
import { latencyMoments, type ServerMessage } from '../../src/dialects/native-messages.ts';

/** The largest message that a service may send: 200 ms of 16 kHz L16 as base64 is 8.5 KiB; a long text some more. */
export const messageLimitBytes = 256 * 1024;

const text = z.string().max(20_000);
const milliseconds = z.number().min(-3_600_000).max(3_600_000);

/** Server → client, as {@link ServerMessage}; codes are any text, so that an older client can talk to a newer service. */
const serverMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('status'),
    status: z.enum(['ready', 'processing', 'error']),
    message: text,
    callId: z.string().max(128).optional(),
    resumeToken: z.string().max(4096).optional(),
  }),
  z.object({ type: z.literal('audio_response'), audio: z.string(), text }),
  z.object({ type: z.literal('speech'), text }),
  z.object({ type: z.literal('error'), code: z.string().max(64), message: text }),
  z.object({ type: z.literal('clear') }),
  z.object({ type: z.literal('mark'), name: z.string().max(128) }),
  z.object({ type: z.literal('transcript'), role: z.enum(['caller', 'agent']), text, final: z.boolean() }),
  z.object({
    type: z.literal('latency'),
    turn: z.number().int(),
    endpointWaitMs: milliseconds,
    processingMs: milliseconds,
    providerMs: milliseconds,
    totalMs: milliseconds,
    /** An older service sends neither. */
    providers: z.array(z.string().max(256)).max(100).default([]),
    moments: z.partialRecord(z.enum(latencyMoments), milliseconds).default({}),
  }),
  z.object({
    type: z.literal('transfer'),
    to: z.string().max(256),
    /** An older service does not tell, and waits for nothing. */
    ringSeconds: z.number().min(0).max(3_600).default(0),
  }),
  z.object({ type: z.literal('cancel_transfer') }),
  z.object({ type: z.literal('dtmf'), digits: z.string().max(64) }),
]);

/** A message as it arrives. */
export type ReceivedMessage = z.infer<typeof serverMessageSchema>;

type Unhandled = Exclude<ServerMessage['type'], ReceivedMessage['type']>;
/** The type checker's word that no message of the service is missing above. */
export const everyMessageIsKnown: [Unhandled] extends [never] ? true : Unhandled = true;

/** Parses one text message; a string says what is wrong with it. Types that are not known are `null`: newer than us. */
export function parseServerMessage(data: string): ReceivedMessage | null | string {
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    return 'a text message that is not JSON';
  }
  const type = z.object({ type: z.string() }).safeParse(json);
  if (!type.success) return 'a message without a type';
  const parsed = serverMessageSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  if (issue?.code === 'invalid_union' && issue.path.join() === 'type') return null;
  return `a bad ${type.data.type} message: ${issue?.path.join('.')}: ${issue?.message}`;
}
