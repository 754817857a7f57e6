import { z } from 'zod';
import { failed } from './settings.ts';

/** An hour of the fastest speech has some 60,000 characters. */
const text = z.string().max(50_000);
/** Seconds of the audio that was sent on the connection. */
const seconds = z.number().min(0).max(1_000_000);
const languages = z.array(z.string().max(35)).max(50).nullish().catch(null);

const word = z.object({ word: text, punctuated_word: text.nullish(), start: seconds });

/** What `/v1/listen` sends: https://developers.deepgram.com/reference/speech-to-text/listen-streaming ("Receive"). */
export const novaMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('Results'),
    start: seconds,
    duration: seconds,
    /** No more will be said about this stretch of audio: https://developers.deepgram.com/docs/interim-results. */
    is_final: z.boolean().nullish(),
    /** The stretch ends with a pause: https://developers.deepgram.com/docs/endpointing. */
    speech_final: z.boolean().nullish(),
    /** The answer to `Finalize`: https://developers.deepgram.com/docs/finalize. */
    from_finalize: z.boolean().nullish(),
    channel: z.object({
      alternatives: z
        .array(z.object({ transcript: text, languages, words: z.array(word).max(10_000).nullish() }))
        .max(20),
    }),
  }),
  /** A gap between words: https://developers.deepgram.com/docs/utterance-end. */
  z.object({ type: z.literal('UtteranceEnd') }),
  z.object({ type: z.literal('SpeechStarted') }),
  /** Before the end of the connection: https://developers.deepgram.com/docs/close-stream. */
  z.object({ type: z.literal('Metadata') }),
  z.object({ type: z.literal('Error'), description: z.string().nullish(), message: z.string().nullish() }),
]);

export type NovaResults = Extract<z.infer<typeof novaMessageSchema>, { type: 'Results' }>;

/**
 * What `/v2/listen` sends: https://developers.deepgram.com/reference/speech-to-text/listen-flux ("Receive"), and
 * https://developers.deepgram.com/docs/flux/state for the order of the events.
 */
export const fluxMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('Connected') }),
  z.object({
    type: z.literal('TurnInfo'),
    event: z.string(),
    audio_window_end: seconds,
    /** The turn so far. */
    transcript: text,
    languages,
  }),
  z.object({ type: z.literal('ConfigureSuccess') }),
  z.object({ type: z.literal('ConfigureFailure') }),
  z.object({ type: z.literal('Error'), code: z.string(), description: z.string().nullish() }),
]);

export type FluxMessage = z.infer<typeof fluxMessageSchema>;

/** What `/v1/speak` sends beside audio: https://developers.deepgram.com/reference/text-to-speech/speak-streaming ("Receive"). */
export const speakMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('Metadata') }),
  /** https://developers.deepgram.com/docs/tts-ws-flush */
  z.object({ type: z.literal('Flushed') }),
  /** https://developers.deepgram.com/docs/tts-ws-clear */
  z.object({ type: z.literal('Cleared') }),
  z.object({
    type: z.literal('Warning'),
    description: z.string().nullish(),
    code: z.string().nullish(),
  }),
  z.object({
    type: z.literal('Error'),
    description: z.string().nullish(),
    code: z.string().nullish(),
  }),
]);

const typeSchema = z.object({ type: z.string() });

/**
 * A message of one of the schema's types, or null for a type that it does not know: vendors add new ones.
 *
 * @throws {ProviderError} `malformed`.
 */
export function parseMessage<T>(provider: string, schema: z.ZodType<T>, message: string): T | null {
  let raw: unknown;
  try {
    raw = JSON.parse(message);
  } catch {
    throw failed(provider, 'malformed', 'sent a message that is no JSON');
  }
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const type = typeSchema.safeParse(raw);
  if (type.success && parsed.error.issues.some((issue) => issue.code === 'invalid_union')) return null;
  throw failed(provider, 'malformed', 'sent a message of no known form');
}
