import { z } from 'zod';

/**
 * The native dialect's messages (`/ws/call-session`), one union for each direction, shared by the service and
 * by its clients (`npm run call`, the console, the tests). Audio is base64 of μ-law, A-law or 16-bit
 * little-endian PCM, mono.
 */

/** Ids name rows, objects and recordings: 1–128 of `A–Z a–z 0–9 . _ -`, and no path (`.`, `..`). */
export const callIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,128}$/, 'must be 1 to 128 of A-Z a-z 0-9 . _ -')
  .refine((id) => !/^\.+$/.test(id), 'must not consist of dots');

export const audioEncodings = ['mulaw', 'alaw', 'l16'] as const;
export type AudioEncoding = (typeof audioEncodings)[number];
export type SampleRate = 8000 | 16000;

/** Server messages beyond the documents' own three, sent only to a client that lists them. */
export const nativeFeatures = ['clear', 'mark', 'transcript', 'latency', 'transfer', 'dtmf'] as const;
export type NativeFeature = (typeof nativeFeatures)[number];

/** Bounds of what a client may send. Sizes are characters of JSON or base64. */
export const nativeLimits = {
  /** A text message. 64 KiB of base64 is 3 s of 8 kHz L16, far above any telephony frame. */
  messageCharacters: 96 * 1024,
  /** Length of one frame of audio, in milliseconds. */
  frameMs: 1_000,
  /** Levels of arrays and objects within each other: what a parser may have to go down. */
  nesting: 32,
  /** `metadata`, as JSON. */
  metadataCharacters: 16 * 1024,
} as const;

export const metadataSchema = z
  .record(z.string().max(128), z.json())
  .refine((value) => JSON.stringify(value).length <= nativeLimits.metadataCharacters, {
    message: `must be at most ${nativeLimits.metadataCharacters} characters as JSON`,
  });

export const startCallSchema = z.object({
  type: z.literal('start_call'),
  callId: callIdSchema,
  userId: z.string().min(1).max(128),
  /** Comes back to a call whose socket was lost: the token that its first `ready` brought. */
  resumeToken: z.string().min(1).max(256).optional(),
  metadata: metadataSchema.default({}),
  audio: z
    .object({
      transport: z.enum(['json', 'binary']).default('json'),
      encoding: z.enum(audioEncodings).default('mulaw'),
      sampleRate: z.union([z.literal(8000), z.literal(16000)]).default(8000),
    })
    .default({ transport: 'json', encoding: 'mulaw', sampleRate: 8000 }),
  /** Unknown features are ignored, so that a newer client can talk to an older service. */
  features: z.array(z.string().max(64)).max(32).default([]),
});

export const transferReportSchema = z.object({
  state: z.enum(['ringing', 'answered', 'failed']),
  /** FreeSWITCH's name of the cause, e.g. `USER_BUSY`, or the client's own. */
  cause: z
    .string()
    .regex(/^[A-Z0-9_]{1,64}$/, 'must be 1 to 64 of A-Z 0-9 _')
    .optional(),
  sipStatus: z.number().int().min(100).max(699).optional(),
});

/**
 * Client → server. `audio` is checked by hand in the dialect (`native.ts`), since it comes 50 times a second;
 * its schema stands here for the clients and for the type.
 */
export const clientMessageSchema = z.discriminatedUnion('type', [
  startCallSchema,
  z.object({
    type: z.literal('audio'),
    data: z.string(),
    format: z.enum(audioEncodings).optional(),
    sampleRate: z.union([z.literal(8000), z.literal(16000)]).optional(),
  }),
  z.object({ type: z.literal('end_call') }),
  /** Silences the agent, as a caller's words do. */
  z.object({ type: z.literal('interrupt') }),
  z.object({
    type: z.literal('dtmf'),
    digit: z.string().regex(/^[0-9*#A-D]$/, 'must be one of 0-9 * # A-D'),
    durationMs: z.number().min(0).max(60_000).optional(),
  }),
  /** How a transfer goes that the service has asked for; `cause` and `sipStatus` of one that failed. */
  z.object({ type: z.literal('transfer'), ...transferReportSchema.shape }),
  z.object({ type: z.literal('mark'), name: z.string().min(1).max(128) }),
]);
export type ClientMessage = z.input<typeof clientMessageSchema>;
export type StartCall = z.infer<typeof startCallSchema>;

/** Every `code` of an `error` message. README has the same table with what a client should do. */
export const errorCodes = [
  'BAD_MESSAGE',
  'BAD_AUDIO',
  'NOT_STARTED',
  'ALREADY_STARTED',
  'TOO_LARGE',
  'TOO_FAST',
  'CALL_ID_MISMATCH',
  'CALL_ID_IN_USE',
  'UNAUTHORIZED',
  'WRONG_REGION',
  'INSUFFICIENT_FUNDS',
  'TOO_MANY_CALLS',
  'RATE_LIMIT',
  'TIMEOUT',
  'INTERNAL_ERROR',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** Milliseconds of a turn, from the caller's last voiced sample to the first audio sent; `guide`: three parts. */
export interface LatencyParts {
  /** From the last voiced sample to the decision that the turn is over. */
  endpointWaitMs: number;
  /** Our own work after it. */
  processingMs: number;
  /** Waiting for vendors. */
  providerMs: number;
  totalMs: number;
}

/** What happens on the way to an answer, in order. */
export const latencyMoments = [
  /** The turn was decided to be over. */
  'decided',
  /** The last request for a transcript was answered. */
  'transcript',
  /** Of the model's answer; none of an answer that no model wrote. */
  'firstToken',
  /** The first whole sentence of the reply was there. */
  'firstSentence',
  'firstAudio',
  /** The first piece of audio went out to the leg. */
  'firstSent',
] as const;
export type LatencyMoment = (typeof latencyMoments)[number];

/** The ledger of one turn. `moments`: milliseconds from the caller's last voiced sample. */
export interface TurnLatency extends LatencyParts {
  /** Who served the turn, provider and model, in the order of their bills; ready audio has none. */
  providers: string[];
  moments: Partial<Record<LatencyMoment, number>>;
}

/** Server → client. */
export type ServerMessage =
  | { type: 'status'; status: 'ready'; message: string; callId?: string; resumeToken?: string }
  | { type: 'status'; status: 'processing' | 'error'; message: string }
  | { type: 'audio_response'; audio: string; text: string }
  /** Binary transport: the sentence whose audio follows as binary frames. */
  | { type: 'speech'; text: string }
  | { type: 'error'; code: ErrorCode; message: string }
  | { type: 'clear' }
  | { type: 'mark'; name: string }
  | { type: 'transcript'; role: 'caller' | 'agent'; text: string; final: boolean }
  | ({ type: 'latency'; turn: number } & TurnLatency)
  /** Connect the caller: `to` is a number in E.164 or a SIP address. The client tells how it goes, by its own `transfer`. */
  | { type: 'transfer'; to: string; ringSeconds: number }
  /** Give it up, also where somebody has answered meanwhile. */
  | { type: 'cancel_transfer' }
  /** Keys that the agent presses. */
  | { type: 'dtmf'; digits: string };

/** Close codes of `/ws/call-session`, one meaning each (README has the table). */
export const closeCodes = {
  /** The call is over: `end_call`, or the agent hung up. */
  ended: 1000,
  /** Something failed in the service. */
  internal: 1011,
  /** No `start_call`, or no frame, within the time allowed; or the longest call's time is over. */
  timeout: 4408,
  /** `start_call` was refused: the error before it says why. */
  refused: 4403,
  /** What the account could pay for is used up. */
  fundsUsedUp: 4402,
  /** The call id is in use by another live call, or has been used. */
  callIdInUse: 4409,
  /** The call goes on on another socket: its client has come back. */
  replaced: 4410,
  /** Too many bad messages. */
  badMessages: 4400,
  /** Faster than real time beyond the bound. */
  tooFast: 4429,
} as const;
